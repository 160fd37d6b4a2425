//! A state on the disk: what openraft calls its meta data, then the pieces, each behind its length and digest.
//!
//! ```text
//! DIR/snapshot           the last one
//!     snapshot.new       one that is being written here
//!     snapshot.coming    one that a leader sends
//!     snapshot.accepted  that one, once it was read
//! ```
//!
//! A file is made whole and synced aside before it takes the name, and the directory is synced behind.

use crate::types::{Member, Meta};
use mesh_proto::{codec, id::Digest};
use openraft::EmptyNode;
use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, BufReader, BufWriter, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::watch;

const MAGIC: &[u8; 8] = b"meshdRS1";
const DOMAIN: &str = "meshd v1 raft snapshot";
/// Bytes of a piece, and of the meta data, at most.
const PIECE: usize = 16 * 1024 * 1024;

/// The directory of snapshots. Clones are the same one.
#[derive(Clone)]
pub struct Snapshots {
    dir: PathBuf,
    current: Arc<Mutex<Option<Meta>>>,
    covers: watch::Sender<Option<u64>>,
}

impl Snapshots {
    /// Makes the directory if it is not there. A file that is not whole is an error: it was when it got its name.
    pub fn open(dir: PathBuf) -> io::Result<Self> {
        match DirBuilder::new().mode(0o700).create(&dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let current = match File::open(dir.join(CURRENT)) {
            Ok(file) => Some(Reader::new(file)?.meta),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let covers = watch::Sender::new(index(current.as_ref()));
        Ok(Self { dir, current: Arc::new(Mutex::new(current)), covers })
    }

    /// The last entry that is covered by what is on the disk.
    pub fn covers(&self) -> watch::Receiver<Option<u64>> {
        self.covers.subscribe()
    }

    pub fn current(&self) -> Option<Meta> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn path(&self) -> PathBuf {
        self.dir.join(CURRENT)
    }

    pub fn coming(&self) -> PathBuf {
        self.dir.join(COMING)
    }

    /// Blocks. Where the one that is there is later, that one stays.
    pub fn write(&self, meta: Meta, pieces: impl Iterator<Item = Vec<u8>>) -> io::Result<()> {
        let path = self.dir.join(NEW);
        let mut out = BufWriter::with_capacity(256 * 1024, create(&path)?);
        out.write_all(MAGIC)?;
        put(&mut out, &codec::encode(&meta))?;
        for piece in pieces {
            put(&mut out, &piece)?;
        }
        out.write_all(&0u32.to_le_bytes())?;
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        self.replace(&path, meta)
    }

    /// Takes one that came and was read, wherever it lies. Blocks.
    pub fn accept(&self, meta: Meta, mut came: File) -> io::Result<()> {
        // One of this node's own may be written at the same time.
        let path = self.dir.join(ACCEPTED);
        let mut out = create(&path)?;
        came.rewind()?;
        io::copy(&mut came, &mut out)?;
        out.sync_all()?;
        self.replace(&path, meta)
    }

    fn replace(&self, path: &Path, meta: Meta) -> io::Result<()> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_some_and(|current| current.last_log_id > meta.last_log_id) {
            return std::fs::remove_file(path);
        }
        std::fs::rename(path, self.path())?;
        File::open(&self.dir)?.sync_all()?;
        self.covers.send_replace(index(Some(&meta)));
        *current = Some(meta);
        Ok(())
    }
}

fn index(meta: Option<&Meta>) -> Option<u64> {
    meta.and_then(|meta| meta.last_log_id).map(|last| last.index)
}

/// A file for what is to come, empty.
pub fn create(path: &Path) -> io::Result<File> {
    // 0600: memory that users share is in it.
    OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// A snapshot, piece by piece.
pub struct Reader {
    file: BufReader<File>,
    pub meta: Meta,
}

impl Reader {
    pub fn new(file: File) -> io::Result<Self> {
        let mut file = BufReader::with_capacity(256 * 1024, file);
        let mut magic = [0; 8];
        file.read_exact(&mut magic)?;
        if magic != *MAGIC {
            return Err(invalid("it does not begin as one"));
        }
        let meta = get(&mut file)?.ok_or_else(|| invalid("it says nothing of itself"))?;
        let meta: openraft::SnapshotMeta<Member, EmptyNode> =
            codec::decode(&meta, PIECE).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok(Self { file, meta })
    }

    /// All of it: a piece that is wrong, or an end that is missing, is an error.
    pub fn pieces(mut self) -> io::Result<Vec<Vec<u8>>> {
        let mut pieces = Vec::new();
        while let Some(piece) = get(&mut self.file)? {
            pieces.push(piece);
        }
        Ok(pieces)
    }
}

fn put(out: &mut impl Write, piece: &[u8]) -> io::Result<()> {
    let length = u32::try_from(piece.len()).ok().filter(|length| (1..=PIECE).contains(&(*length as usize)));
    let length = length.ok_or_else(|| invalid("a piece of it is empty or too large"))?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(Digest::of(DOMAIN, &[piece]).as_bytes())?;
    out.write_all(piece)
}

/// The next piece; none at the end.
fn get(file: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    file.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length == 0 {
        return Ok(None);
    }
    if length > PIECE {
        return Err(invalid("a piece of it is too large"));
    }
    let mut digest = [0; 32];
    file.read_exact(&mut digest)?;
    let mut piece = vec![0; length];
    file.read_exact(&mut piece)?;
    match *Digest::of(DOMAIN, &[&piece]).as_bytes() == digest {
        true => Ok(Some(piece)),
        false => Err(invalid("a piece of it is damaged")),
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the snapshot of Raft: {what}"))
}

const CURRENT: &str = "snapshot";
const NEW: &str = "snapshot.new";
const COMING: &str = "snapshot.coming";
const ACCEPTED: &str = "snapshot.accepted";
