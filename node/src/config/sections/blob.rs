//! `[blob]`.

use serde::{Deserialize, Serialize};

use super::Section;
use crate::config::{Report, Size, Span};

/// The local blob store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Blob {
    /// Bytes of blobs kept here; full of referenced ones, uploads are refused. Default: 10GiB.
    pub quota: Size,
    /// Bytes left free on the file system, so that the log can finish what was accepted. Default: 256MiB.
    pub free_floor: Size,
    /// How long an upload is kept that no task refers to. Default: 1h.
    pub upload_lease: Span,
}

impl Default for Blob {
    fn default() -> Self {
        Self { quota: Size::from_gib(10), free_floor: Size::from_mib(256), upload_lease: Span::from_secs(3600) }
    }
}

impl Section for Blob {
    fn check(&self, report: &mut Report<'_>) {
        report.within("quota", self.quota, Size::from_mib(1), Size::from_bytes(1 << 50));
        report.within("free_floor", self.free_floor, Size::from_mib(1), Size::from_bytes(1 << 50));
        report.within("upload_lease", self.upload_lease, Span::from_secs(10), Span::from_secs(30 * 86_400));
    }
}
