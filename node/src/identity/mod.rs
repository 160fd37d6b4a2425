//! The data directory: key, network and credential.

mod data_dir;

pub use data_dir::default_data_dir;
