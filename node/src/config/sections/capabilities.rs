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
    /// Which of the allowed commands are run at the start with `--version`, for theirs to be known. Default `system`.
    pub versions: Versions,
}

/// Commands that are asked for their version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Versions {
    None,
    /// Those of `/bin` and `/usr/bin`.
    #[default]
    System,
    All,
}

impl Section for Capabilities {
    fn check(&self, report: &mut Report<'_>) {
        match Declared::parse(self.declare.iter().map(String::as_str)) {
            Err(error) => report.wrong("declare", error.to_string()),
            Ok(declared) if declared.iter().any(|(name, _)| name.as_str() == "zone") => {
                report.wrong("declare", "says in which zone the node stands; that is node.zone's to say");
            }
            Ok(declared) if declared.iter().any(|(name, _)| name.is_worker()) => {
                report.wrong("declare", "has a kind of worker; those that are attached say that themselves");
            }
            Ok(_) => {}
        }
    }
}
