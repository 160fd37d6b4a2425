//! `[membership]`.

use serde::{Deserialize, Serialize};

use super::Section;
use crate::config::{Report, Span};

/// How members notice that one of them is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Membership {
    /// Between two heartbeats to each connected member. Default: 3s.
    pub heartbeat: Span,
    /// Without a word for so long a member counts as silent, and its connections are closed. Default: 10s.
    pub timeout: Span,
}

impl Default for Membership {
    fn default() -> Self {
        Self { heartbeat: Span::from_secs(3), timeout: Span::from_secs(10) }
    }
}

impl Section for Membership {
    fn check(&self, report: &mut Report<'_>) {
        report.within("heartbeat", self.heartbeat, Span::from_millis(200), Span::from_secs(60));
        report.within("timeout", self.timeout, Span::from_millis(500), Span::from_secs(3600));
        // One heartbeat may be lost, or late.
        if self.timeout.get() < self.heartbeat.get() * 2 {
            report.wrong("timeout", "is shorter than two heartbeats: who lives would count as silent");
        }
    }
}
