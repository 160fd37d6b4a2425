//! What is on the disk does not match its id. A wrong tree is made anew; wrong content is no longer offered.

use super::{error::BlobError, lease::Hold, outboard, store::Inner};
use std::{fs::File, io::Write, sync::Arc};

impl Inner {
    /// Hashes the whole blob. `Ok`: the content is right, and the tree is now. Blocking.
    pub(super) fn examine(self: &Arc<Self>, hold: &Hold) -> Result<(), BlobError> {
        let path = hold.path();
        let content = File::open(&path).map_err(BlobError::io("opening", &path))?;
        let tree = self.layout.temp();
        let mut file = super::ingest::create(&tree)?;
        let (id, size) =
            outboard::hash(content, |pairs| file.write_all(pairs)).map_err(BlobError::io("reading", &path))?;
        if (id, size) == (hold.id(), hold.size()) {
            tracing::info!(%id, "the tree of a blob was missing or wrong; made anew");
            return tree.rename(&self.layout.tree(id));
        }
        tracing::error!(id = %hold.id(), found = %id, "a blob is damaged on this disk; it is removed");
        self.metrics.damaged_blobs.inc();
        let _names = self.names();
        {
            let mut index = self.index();
            if index.entries.get(&hold.id()).is_none_or(|entry| entry.life != hold.life()) {
                // Removed meanwhile, or made anew.
                return Err(BlobError::Damaged { id: hold.id() });
            }
            index.remove(hold.id());
            self.measure(&index);
        }
        self.unlink(hold.id())?;
        self.sync_names()?;
        Err(BlobError::Damaged { id: hold.id() })
    }
}
