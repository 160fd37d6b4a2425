//! `[capabilities]`.

use mesh_proto::capability::Capabilities as Declared;
use serde::{Deserialize, Serialize};

use super::Section;
use crate::config::Report;

/// What this node has for tasks to ask for, besides what it finds out itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Capabilities {
    /// Each as `name` or `name=value`: `gpu=1`, `disk=2TiB`, `tool:ffmpeg=6.1.1`, `ssd`. What is found out gives way to what
    /// stands here. Default: none.
    pub declare: Vec<String>,
}

impl Section for Capabilities {
    fn check(&self, report: &mut Report<'_>) {
        match Declared::parse(self.declare.iter().map(String::as_str)) {
            Err(error) => report.wrong("declare", error.to_string()),
            Ok(declared) if declared.iter().any(|(name, _)| name.as_str() == "zone") => {
                report.wrong("declare", "says in which zone the node stands; that is node.zone's to say");
            }
            Ok(_) => {}
        }
    }
}
