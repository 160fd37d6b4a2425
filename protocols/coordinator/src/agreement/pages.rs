use mesh_ledger::Map;
use mesh_proto::id::Digest;

/// What makes a store that holds the pages of one state hold those of another. Cheap to make; what it comes to is found
/// where there is time for it.
#[derive(Clone, Debug, Default)]
pub struct Pages {
    pub(super) before: Map,
    pub(super) after: Map,
}

impl Pages {
    /// Entries of the store, by key; no value is a removal.
    pub fn changes(&self) -> crate::Changes {
        let changes = self.after.changes_since(&self.before);
        let added = changes.added.into_iter().map(|(digest, page)| (key(&digest), Some(page)));
        let removed = changes.removed.iter().map(|digest| (key(digest), None));
        removed.chain(added).collect()
    }
}

/// Where a page is in the store.
pub const PAGE_KEY: &[u8] = b"al";

fn key(digest: &Digest) -> Vec<u8> {
    [PAGE_KEY, digest.as_bytes().as_slice()].concat()
}
