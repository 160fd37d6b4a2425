//! `[log]`.

use serde::{Deserialize, Serialize};

use super::Section;
use crate::config::{Report, Size};

/// The segment log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// Size of a preallocated segment; the disk holds at least two. Default: 64MiB.
    pub segment_size: Size,
}

impl Default for Log {
    fn default() -> Self {
        Self { segment_size: Size::from_mib(64) }
    }
}

impl Section for Log {
    fn check(&self, report: &mut Report<'_>) {
        // Below, a single large batch would not fit into one segment.
        report.within("segment_size", self.segment_size, Size::from_mib(1), Size::from_gib(4));
    }
}
