//! The metrics registry and its families.
