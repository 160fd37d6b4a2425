//! What `meshd --version` says.

use std::sync::LazyLock;

use mesh_proto::version::WireVersions;

use crate::metrics::COMMIT;

static TEXT: LazyLock<String> =
    LazyLock::new(|| format!("{} (commit {COMMIT}, wire versions {})", env!("CARGO_PKG_VERSION"), WireVersions::OURS));

/// The version, the commit, and the versions of the wire that this build speaks.
pub(super) fn text() -> &'static str {
    &TEXT
}
