//! Content comes in: streamed into a temporary file with its tree beside it, in bounded memory.

use super::{
    error::BlobError,
    index::footprint,
    layout::TempPath,
    outboard::TreeBuilder,
    quota::Reservation,
    store::{Complete, Inner, Step},
};
use mesh_proto::id::BlobId;
use std::{
    fs::{File, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    sync::Arc,
    time::Duration,
};
use tokio::io::{AsyncRead, AsyncReadExt};

/// What an upload became. Durable, and spared by its lease.
#[derive(Debug)]
pub struct Ingested {
    pub id: BlobId,
    /// In bytes.
    pub size: u64,
    /// Whether the content was not here before.
    pub new: bool,
    /// Spares the blob beyond its lease, for as long as it lives.
    pub hold: super::Hold,
}

impl Inner {
    pub(super) async fn ingest(
        self: &Arc<Self>,
        mut reader: impl AsyncRead + Unpin,
        expected: Option<u64>,
        lease: Duration,
    ) -> Result<Ingested, BlobError> {
        let _slot = self.uploads.acquire().await.map_err(|_| BlobError::Stopping)?;
        let mut room = Reservation::none(self);
        if let Some(size) = expected {
            self.check_size(size)?;
            room.grow_to(footprint(size)).await?;
        }
        let mut total = 0;
        let mut upload: Option<Upload> = None;
        let mut piece = self.next_piece(&mut reader, Vec::with_capacity(PIECE_BYTES)).await?;
        let mut spare = Vec::with_capacity(if piece.last { 0 } else { PIECE_BYTES });
        loop {
            total += piece.bytes.len() as u64;
            match expected {
                Some(expected) if total > expected || (piece.last && total < expected) => {
                    return Err(BlobError::WrongSize { expected, actual: total });
                }
                Some(_) => {}
                None => {
                    self.check_size(total)?;
                    room.grow_to(footprint(total)).await?;
                }
            }
            let Piece { bytes, last } = piece;
            let write = self.disk(move |inner| {
                let mut upload = upload.map_or_else(|| Upload::create(inner), Ok)?;
                upload.write(&bytes)?;
                Ok((upload, bytes))
            });
            if last {
                let (upload, _) = write.await?;
                let (hold, new) = self
                    .disk(move |inner| {
                        let complete = upload.finish(inner)?;
                        inner.commit(complete, lease, room)
                    })
                    .await?;
                self.metrics.ingested.inc_by(total);
                return Ok(Ingested { id: hold.id(), size: total, new, hold });
            }
            // One piece is read while the other is hashed and written.
            let (next, written) = tokio::join!(self.next_piece(&mut reader, spare), write);
            let (back, buffer) = written?;
            (upload, spare, piece) = (Some(back), buffer, next?);
        }
    }

    pub(super) fn check_size(&self, size: u64) -> Result<(), BlobError> {
        let limit = self.config.quota_bytes.min(super::wire::SIZE_MAX);
        if size > limit { Err(BlobError::TooLarge { size, limit }) } else { Ok(()) }
    }

    async fn next_piece(&self, reader: &mut (impl AsyncRead + Unpin), mut bytes: Vec<u8>) -> Result<Piece, BlobError> {
        bytes.clear();
        while bytes.len() < PIECE_BYTES {
            let idle = self.config.upload_idle;
            let mut rest = reader.take((PIECE_BYTES - bytes.len()) as u64);
            let read = tokio::time::timeout(idle, rest.read_buf(&mut bytes)).await;
            let n = read.map_err(|_| BlobError::UploadIdle(idle))?.map_err(|e| BlobError::Upload(Arc::new(e)))?;
            if n == 0 {
                return Ok(Piece { bytes, last: true });
            }
        }
        Ok(Piece { bytes, last: false })
    }
}

struct Piece {
    bytes: Vec<u8>,
    last: bool,
}

/// Large enough that the way to a blocking thread and back does not count, small enough for 32 at once.
const PIECE_BYTES: usize = 256 << 10;

/// A temporary file and the tree that grows beside it. Blocking.
pub(super) struct Upload {
    file: File,
    data: TempPath,
    tree: Tree,
    size: u64,
}

impl Upload {
    fn create(inner: &Arc<Inner>) -> Result<Self, BlobError> {
        let data = inner.layout.temp();
        let file = create(&data)?;
        inner.step(Step::Created, data.path())?;
        Ok(Self { file, data, tree: Tree::new(inner), size: 0 })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.file.write_all(bytes).map_err(BlobError::io("writing", self.data.path()))?;
        self.size += bytes.len() as u64;
        self.tree.update(bytes)
    }

    fn finish(self, inner: &Arc<Inner>) -> Result<Complete, BlobError> {
        inner.step(Step::Written, self.data.path())?;
        let (id, tree) = self.tree.finish()?;
        Ok(Complete { id, size: self.size, file: self.file, data: self.data, tree })
    }
}

/// The tree of content that streams by, in a file from its first pair on.
pub(super) struct Tree {
    inner: Arc<Inner>,
    builder: TreeBuilder,
    pairs: Vec<u8>,
    file: Option<(File, TempPath)>,
}

impl Tree {
    pub(super) fn new(inner: &Arc<Inner>) -> Self {
        Self { inner: Arc::clone(inner), builder: TreeBuilder::default(), pairs: Vec::new(), file: None }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.builder.update(bytes, &mut self.pairs);
        self.write()
    }

    pub(super) fn finish(mut self) -> Result<(BlobId, Option<TempPath>), BlobError> {
        let builder = std::mem::take(&mut self.builder);
        let id = builder.finish(&mut self.pairs);
        self.write()?;
        Ok((id, self.file.map(|(_, path)| path)))
    }

    fn write(&mut self) -> Result<(), BlobError> {
        if self.pairs.is_empty() {
            return Ok(());
        }
        let (file, path) = match &mut self.file {
            Some(file) => file,
            none => {
                let path = self.inner.layout.temp();
                none.insert((create(&path)?, path))
            }
        };
        file.write_all(&self.pairs).map_err(BlobError::io("writing", path.path()))?;
        self.pairs.clear();
        Ok(())
    }
}

pub(super) fn create(path: &TempPath) -> Result<File, BlobError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600);
    options.open(path.path()).map_err(BlobError::io("creating", path.path()))
}
