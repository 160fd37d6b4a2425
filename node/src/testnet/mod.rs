//! Testnets of real processes on loopback.
