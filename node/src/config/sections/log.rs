//! `[log]`.

use serde::{Deserialize, Serialize};

use super::Section;
use crate::config::{Report, Size};

/// The segment log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// Size of a preallocated segment, a multiple of 512 bytes. May differ from one start to the next. Default: 16MiB.
    pub segment_size: Size,
    /// Segments kept for use when all that they held is released; more are removed. A new one is written twice, first with
    /// zeros, and commits wait for it: the default is what is written between two times that the store catches up. Default: 8.
    pub free_segments: u32,
}

impl Default for Log {
    fn default() -> Self {
        Self { segment_size: Size::from_mib(16), free_segments: 8 }
    }
}

impl Section for Log {
    fn check(&self, report: &mut Report<'_>) {
        // A record never spans segments, and the largest has to fit.
        report.within("segment_size", self.segment_size, Size::from_mib(1), Size::from_gib(1));
        if !self.segment_size.bytes().is_multiple_of(512) {
            report.wrong(
                "segment_size",
                format!("{} is no multiple of 512 bytes, the sector of a disk", self.segment_size),
            );
        }
        report.within("free_segments", self.free_segments, 1, 1_024);
    }
}
