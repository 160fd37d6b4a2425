//! `[blob]`.

use serde::{Deserialize, Serialize};

use super::Section;
use crate::config::{Report, Size, Span};

/// The local blob store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Blob {
    /// Bytes of blobs kept here; full of referenced ones, uploads are refused. Default: 16GiB.
    pub quota: Size,
    /// Members that must hold a task's blobs, where the mesh has as many. Default: 2.
    pub copies: u32,
    /// How long an upload is kept that no task refers to. Default: 1h.
    pub upload_lease: Span,
}

impl Default for Blob {
    fn default() -> Self {
        Self { quota: Size::from_gib(16), copies: 2, upload_lease: Span::from_secs(3600) }
    }
}

impl Section for Blob {
    fn check(&self, report: &mut Report<'_>) {
        report.within("quota", self.quota, Size::from_mib(1), Size::from_bytes(1 << 50));
        report.within("copies", self.copies, 1, 5);
        report.within("upload_lease", self.upload_lease, Span::from_secs(10), Span::from_secs(30 * 86_400));
    }
}
