//! The API against a scripted brain.
