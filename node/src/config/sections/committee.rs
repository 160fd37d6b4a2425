//! `[committee]`.

use serde::{Deserialize, Serialize};

use super::Section;
use crate::config::{Report, Span};

/// When a member of the committee sees to it that the committee grows, and that who fails is replaced. Whether it does at
/// all, and up to how many, is agreed on: `meshd committee auto`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Committee {
    /// A full node that was in reach for so long without a break may be taken in. Default: 10m.
    pub stay: Span,
    /// A member that was out of reach for so long is replaced, if there is another. Default: 10m.
    pub gone_after: Span,
}

impl Default for Committee {
    fn default() -> Self {
        Self { stay: Span::from_secs(600), gone_after: Span::from_secs(600) }
    }
}

impl Section for Committee {
    fn check(&self, report: &mut Report<'_>) {
        let (least, most) = (Span::from_secs(1), Span::from_secs(30 * 24 * 3600));
        report.within("stay", self.stay, least, most);
        report.within("gone_after", self.gone_after, least, most);
    }
}
