//! `[workers]`.

use serde::{Deserialize, Serialize};

use super::Section;
use crate::config::{Report, Span};

/// Programs that attach themselves over the API. Whoever has its token can attach one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Workers {
    /// This node lets them in. Default: true.
    pub enabled: bool,
    /// At once. Default: 64.
    pub max: u32,
    /// One that says nothing for so long is gone, and its tasks go to others. Default: 10s.
    pub lease: Span,
    /// A task that no worker takes for so long goes elsewhere. Default: 30s.
    pub untaken: Span,
}

impl Default for Workers {
    fn default() -> Self {
        Self { enabled: true, max: 64, lease: Span::from_secs(10), untaken: Span::from_secs(30) }
    }
}

impl Section for Workers {
    fn check(&self, report: &mut Report<'_>) {
        report.within("max", self.max, 1, 4096);
        report.within("lease", self.lease, Span::from_secs(1), Span::from_secs(3600));
        report.within("untaken", self.untaken, Span::from_secs(1), Span::from_secs(3600));
    }
}
