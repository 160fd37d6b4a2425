//! Figures of a mesh of real processes on this machine: one JSON object a run, with what it was measured under.
