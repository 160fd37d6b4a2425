//! `[tasks]`.

use serde::{Deserialize, Serialize};

use super::Section;
use crate::config::{Report, Span};

/// Task records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tasks {
    /// Members that hold a task's record, where the mesh has as many. Default: 3.
    pub copies: u32,
    /// Members that must hold a task's blobs before it is acknowledged, where the mesh has as many. Default: 2.
    pub blob_copies: u32,
    /// How long an ended task is remembered. Default: 24h.
    pub retention: Span,
    /// Ended tasks remembered at most; above it the oldest go first. Default: 1000000.
    pub max_ended: u32,
    /// How long a holder may take to write a new task down, before another is asked. Default: 250ms.
    pub place_timeout: Span,
    /// How long a member must be silent before copies of what it held are made elsewhere. Default: 30s.
    pub repair_delay: Span,
    /// Attempts lost with their nodes before a task is given up. Default: 5.
    pub poison_limit: u32,
}

/// A record holds 64 failed attempts: those of 50 retries, and these.
const MOST_LOST: u32 = 12;

impl Default for Tasks {
    fn default() -> Self {
        Self {
            copies: 3,
            blob_copies: 2,
            retention: Span::from_secs(24 * 3600),
            max_ended: 1_000_000,
            place_timeout: Span::from_millis(250),
            repair_delay: Span::from_secs(30),
            poison_limit: 5,
        }
    }
}

impl Section for Tasks {
    fn check(&self, report: &mut Report<'_>) {
        // A home list has five members, and holders are taken from it.
        report.within("copies", self.copies, 1, 5);
        report.within("blob_copies", self.blob_copies, 1, 5);
        report.within("retention", self.retention, Span::from_secs(60), Span::from_secs(365 * 86_400));
        report.within("max_ended", self.max_ended, 1_000, 100_000_000);
        // A placement is given up after 5 s.
        report.within("place_timeout", self.place_timeout, Span::from_millis(10), Span::from_secs(2));
        report.within("repair_delay", self.repair_delay, Span::from_secs(1), Span::from_secs(7 * 86_400));
        report.within("poison_limit", self.poison_limit, 1, MOST_LOST);
    }
}
