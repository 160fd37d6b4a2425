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
    /// How much longer a blob is kept for a member that needed it and is out of reach. Default: 24h.
    pub silent_keep: Span,
    /// How long a blob that nothing needs is spared after its last use, unless its room is wanted. Default: 10m.
    pub warm: Span,
    /// How long an interrupted download is kept to be gone on with. Default: 1h.
    pub partial_keep: Span,
}

impl Default for Blob {
    fn default() -> Self {
        Self {
            quota: Size::from_gib(10),
            free_floor: Size::from_mib(256),
            upload_lease: Span::from_secs(3600),
            silent_keep: Span::from_secs(24 * 3600),
            warm: Span::from_secs(600),
            partial_keep: Span::from_secs(3600),
        }
    }
}

impl Section for Blob {
    fn check(&self, report: &mut Report<'_>) {
        report.within("quota", self.quota, Size::from_mib(1), Size::from_bytes(1 << 50));
        report.within("free_floor", self.free_floor, Size::from_mib(1), Size::from_bytes(1 << 50));
        report.within("upload_lease", self.upload_lease, Span::from_secs(10), Span::from_secs(30 * 86_400));
        report.within("silent_keep", self.silent_keep, Span::from_secs(60), Span::from_secs(365 * 86_400));
        report.within("warm", self.warm, Span::from_secs(0), Span::from_secs(30 * 86_400));
        report.within("partial_keep", self.partial_keep, Span::from_secs(10), Span::from_secs(30 * 86_400));
    }
}
