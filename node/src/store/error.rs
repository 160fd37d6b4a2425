//! Why the store refuses.

use mesh_proto::id::{LogPosition, StoreId};

/// All of them concern the operator, or a fault in the caller: the node cannot go on with this store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk or the database failed. The transaction was not made, or, after a failed sync, possibly made.
    #[error("store: cannot {action}: {source}")]
    Database { action: &'static str, source: Box<redb::Error> },
    #[error("store: cannot {action}: {source}")]
    Io { action: &'static str, source: std::io::Error },
    /// The store belongs to another life of this node, or to another node; nothing was changed. With the log's own
    /// store gone, nothing is known of what the log has released.
    #[error("store: belongs to store id {found}, the log to {expected}")]
    OtherStore { found: StoreId, expected: StoreId },
    /// Written by another build. Nothing was changed.
    #[error("store: format version {found}, this build reads version {supported}")]
    Version { found: u64, supported: u64 },
    /// The store is there, but not what it must say about itself.
    #[error("store: damaged, its `{missing}` is missing")]
    Damaged { missing: &'static str },
    /// Changes up to `upto` were offered to a store that has more already; they are refused.
    #[error("store: is at record {position}, cannot go back to {upto}")]
    Backwards { position: LogPosition, upto: LogPosition },
}

impl StoreError {
    pub(super) fn database<E: Into<redb::Error>>(action: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self::Database { action, source: Box::new(error.into()) }
    }

    pub(super) fn io(action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { action, source }
    }
}
