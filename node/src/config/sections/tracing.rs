//! `[tracing]`.

use serde::{Deserialize, Serialize};

use super::Section;
use crate::config::Report;

/// What the node writes to standard error about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tracing {
    /// `text` for people, `json` for programs, one object a line. Default: text.
    pub format: LogFormat,
    /// Levels by target, as `RUST_LOG` has them. Default: info; of Kademlia errors only,
    /// for it warns each five minutes that a node alone has nobody to ask; of openraft nothing, for it says each request
    /// to a node that is down to be an error, and the node itself says what ends it.
    pub filter: String,
}

/// The form of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Tracing {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info,libp2p_kad=error,openraft=off".to_owned() }
    }
}

impl Section for Tracing {
    fn check(&self, report: &mut Report<'_>) {
        if let Err(error) = self.filter.parse::<tracing_subscriber::filter::Targets>() {
            report
                .wrong("filter", format!("{:?} is no list of levels, like \"info,meshd=debug\": {error}", self.filter));
        }
    }
}
