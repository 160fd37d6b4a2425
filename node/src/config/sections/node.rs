//! `[node]`.

use std::path::PathBuf;

use mesh_proto::label::{BadLabel, Label};
use serde::{Deserialize, Serialize};

use super::Section;
use crate::config::Report;
use crate::identity::default_data_dir;

/// The node itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Node {
    /// A name for people, at most 64 bytes. Default: none, the node's id stands for it.
    pub name: Option<String>,
    /// Where the machine stands (a rack, a site), at most 64 bytes. Default: none.
    pub zone: Option<String>,
    /// The directory of key, network, log and blobs. Default: see [`default_data_dir`].
    pub data_dir: PathBuf,
}

impl Default for Node {
    fn default() -> Self {
        Self { name: None, zone: None, data_dir: default_data_dir(&|name| std::env::var_os(name)) }
    }
}

impl Section for Node {
    fn check(&self, report: &mut Report<'_>) {
        for (field, value) in [("name", &self.name), ("zone", &self.zone)] {
            if let Some(Err(error @ BadLabel)) = value.as_ref().map(|value| value.parse::<Label>()) {
                report.wrong(field, format!("{error}; leave it out for none"));
            }
        }
        if self.data_dir.as_os_str().is_empty() {
            report.wrong("data_dir", "is empty; name a directory");
        }
    }
}
