//! The data directory: key, network and credential.
