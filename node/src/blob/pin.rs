//! The operator's pins: empty files, so that a pin and its end are one name each.

use super::{
    error::BlobError,
    layout::{remove_if_there, sync_dir},
    lease::Hold,
    store::Inner,
};
use mesh_proto::id::BlobId;
use std::{fs::File, sync::Arc};

impl Inner {
    pub(super) async fn pin(self: &Arc<Self>, id: BlobId) -> Result<(), BlobError> {
        let hold = Hold::take(self, id).ok_or(BlobError::NotFound { id })?;
        self.set_pin(hold, true).await
    }

    pub(super) async fn unpin(self: &Arc<Self>, id: BlobId) -> Result<(), BlobError> {
        let hold = Hold::take(self, id).ok_or(BlobError::NotFound { id })?;
        self.set_pin(hold, false).await
    }

    async fn set_pin(self: &Arc<Self>, hold: Hold, pinned: bool) -> Result<(), BlobError> {
        self.disk(move |inner| {
            // Pins change in the order in which their files do.
            let _names = inner.names();
            let path = inner.layout.pin(hold.id());
            if pinned {
                File::create(&path).map_err(BlobError::io("creating", &path))?;
            } else {
                remove_if_there(&path)?;
            }
            let dir = inner.layout.pin_dir();
            sync_dir(&dir).map_err(BlobError::io("syncing", &dir))?;
            if let Some(entry) = inner.index().entries.get_mut(&hold.id()) {
                entry.pinned = pinned;
            }
            Ok(())
        })
        .await
    }
}
