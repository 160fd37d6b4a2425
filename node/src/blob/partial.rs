//! A download under way, on disk. Tree and data are written in the order of the stream and never synced before the
//! end: whatever a crash leaves, hashing tells from the front how much of it is really there.

use super::{
    error::BlobError,
    flight::Turn,
    index::footprint,
    layout::{TempPath, remove_if_there},
    outboard::{GROUP_BYTES, Verifier, shape, stored},
    quota::Reservation,
    store::{Complete, Inner, Step},
};
use bao_tree::{BaoTree, ChunkNum, ChunkRanges, TreeNode, io::sync::Outboard, iter::BaoChunk, iter::ResponseIterRef};
use mesh_proto::id::BlobId;
use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// What has been verified but may not be written yet: groups from `offset` on, and the pairs before and between them.
#[derive(Debug, Default)]
pub(super) struct Verified {
    pub(super) offset: u64,
    pub(super) data: Vec<u8>,
    pub(super) pairs: Vec<(TreeNode, [u8; 64])>,
}

/// The files of one download, and the right to write them.
pub(super) struct Partial {
    inner: Arc<Inner>,
    id: BlobId,
    size: u64,
    data: File,
    tree: File,
    /// Bytes from the front that are verified and in the file.
    verified: AtomicU64,
    room: Mutex<Reservation>,
    _rest: Rest,
    _turn: Turn,
}

impl Partial {
    /// Sets room aside and finds out how much is already there.
    pub(super) async fn open(inner: &Arc<Inner>, id: BlobId, size: u64, turn: Turn) -> Result<Self, BlobError> {
        inner.check_size(size)?;
        let mut room = Reservation::none(inner);
        // What lies here already must not be paid for twice.
        let resumed = inner.index().partials.get(&id).copied().unwrap_or(0);
        room.grow_to(footprint(size).saturating_sub(resumed)).await?;
        room.absorb(id);
        let rest = Rest { inner: Arc::clone(inner), id };
        inner
            .disk(move |inner| {
                let data = open(&inner.layout.partial_data(id))?;
                let tree = open(&inner.layout.partial_tree(id))?;
                let inner = Arc::clone(inner);
                let partial = Self {
                    inner,
                    id,
                    size,
                    data,
                    tree,
                    verified: AtomicU64::new(0),
                    room: Mutex::new(room),
                    _rest: rest,
                    _turn: turn,
                };
                let path = partial.inner.layout.partial_data(id);
                let verified = partial.verified_prefix().map_err(BlobError::io("verifying", &path))?;
                // Nothing may lie behind the end of what was announced.
                partial.data.set_len(verified).map_err(BlobError::io("cutting", &path))?;
                partial.verified.store(verified, Ordering::Release);
                Ok(partial)
            })
            .await
    }

    pub(super) fn id(&self) -> BlobId {
        self.id
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Bytes from the front that need not be asked for again.
    pub(super) fn verified(&self) -> u64 {
        self.verified.load(Ordering::Acquire)
    }

    pub(super) fn is_complete(&self) -> bool {
        // Of an empty blob nothing is missing, but only one id is that of nothing.
        self.verified() == self.size && (self.size > 0 || Verifier::new(self.id).group(0, &[], true))
    }

    /// Blocking.
    pub(super) fn write(&self, verified: &Verified) -> Result<(), BlobError> {
        let path = self.inner.layout.partial_tree(self.id);
        self.inner.step(Step::Received, &path)?;
        let shape = shape(self.size);
        for (node, pair) in &verified.pairs {
            if let Some(place) = shape.post_order_offset(*node) {
                self.tree.write_all_at(pair, place.value() * 64).map_err(BlobError::io("writing", &path))?;
            }
        }
        let path = self.inner.layout.partial_data(self.id);
        self.data.write_all_at(&verified.data, verified.offset).map_err(BlobError::io("writing", &path))?;
        self.verified.fetch_max(verified.offset + verified.data.len() as u64, Ordering::AcqRel);
        Ok(())
    }

    /// Makes the blob of it. Blocking.
    pub(super) fn finish(&self, lease: Duration) -> Result<super::Hold, BlobError> {
        let inner = Arc::clone(&self.inner);
        let file = self.data.try_clone().map_err(BlobError::io("opening", inner.layout.partial_data(self.id)))?;
        // Renamed straight from here: a crash while a large blob is being synced must not cost its download.
        let data = TempPath::lasting(inner.layout.partial_data(self.id));
        let tree = TempPath::lasting(inner.layout.partial_tree(self.id));
        inner.step(Step::Written, data.path())?;
        let tree = (self.size > GROUP_BYTES as u64).then_some(tree);
        let complete = Complete { id: self.id, size: self.size, file, data, tree };
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        let room = std::mem::replace(&mut *room, Reservation::none(&inner));
        let (hold, _) = inner.commit(complete, lease, room)?;
        // A small blob's empty tree, or what an upload of the same content made needless.
        inner.remove_partial(self.id)?;
        Ok(hold)
    }

    /// Walks tree and data as they would be sent, to the first item that is missing or wrong.
    fn verified_prefix(&self) -> io::Result<u64> {
        let pairs = stored(self.id, self.size, Some(self.tree.try_clone()?));
        let mut verifier = Verifier::new(self.id);
        let mut buffer = vec![0; GROUP_BYTES];
        let mut verified = 0;
        for item in ResponseIterRef::new(shape(self.size), &ChunkRanges::all()) {
            let good = match item {
                BaoChunk::Parent { node, is_root, left, right, .. } => match pairs.load(node)? {
                    Some((l, r)) => verifier.parent(&join(l.as_bytes(), r.as_bytes()), is_root, left, right),
                    None => false,
                },
                BaoChunk::Leaf { start_chunk, size, is_root, .. } => {
                    let offset = start_chunk.to_bytes();
                    let group = &mut buffer[..size];
                    match self.data.read_exact_at(group, offset) {
                        Ok(()) if verifier.group(offset, group, is_root) => {
                            verified = offset + size as u64;
                            true
                        }
                        Ok(()) => false,
                        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => false,
                        Err(error) => return Err(error),
                    }
                }
            };
            if !good {
                break;
            }
        }
        Ok(verified)
    }
}

/// Counts what is left for a continuation, when a download ends. Nothing is left after [`Partial::finish`].
struct Rest {
    inner: Arc<Inner>,
    id: BlobId,
}

impl Drop for Rest {
    fn drop(&mut self) {
        let length = |path: &Path| fs::metadata(path).map(|file| footprint(file.len())).unwrap_or(0);
        let layout = &self.inner.layout;
        let bytes = length(&layout.partial_data(self.id)) + length(&layout.partial_tree(self.id));
        if bytes > 0 {
            self.inner.index().partials.insert(self.id, bytes);
        }
    }
}

impl Inner {
    pub(super) fn remove_partial(&self, id: BlobId) -> Result<(), BlobError> {
        remove_if_there(&self.layout.partial_data(id))?;
        remove_if_there(&self.layout.partial_tree(id))
    }
}

pub(super) fn join(left: &[u8; 32], right: &[u8; 32]) -> [u8; 64] {
    let mut pair = [0; 64];
    pair[..32].copy_from_slice(left);
    pair[32..].copy_from_slice(right);
    pair
}

/// The chunks of the segment that starts at `start`: both sides cut a blob at the same places, so that each segment is
/// encoded, verified and timed on its own. `start` must be on a group's boundary. With the end of the segment, in bytes.
pub(super) fn segment(shape: BaoTree, start: u64) -> (ChunkRanges, u64) {
    let end = (start / SEGMENT_BYTES + 1).saturating_mul(SEGMENT_BYTES);
    let from = ChunkNum(start / 1024);
    // The last one is open at its end: so is an empty blob's only one.
    if end >= shape.size() {
        (ChunkRanges::from(from..), shape.size())
    } else {
        (ChunkRanges::from(from..ChunkNum(end / 1024)), end)
    }
}

/// A segment: large enough that a stream runs at the speed of the disk, small enough that 40 streams take 40 MiB.
pub(super) const SEGMENT_BYTES: u64 = 512 << 10;

fn open(path: &Path) -> Result<File, BlobError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let file = match options.open(path) {
        // A crash came after it had been protected and before it was renamed.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(BlobError::io("opening", path))?;
            options.open(path)
        }
        file => file,
    };
    file.map_err(BlobError::io("opening", path))
}
