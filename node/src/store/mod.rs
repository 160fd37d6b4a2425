//! The indexed store behind the log.
