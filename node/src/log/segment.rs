//! A segment's file name and header.

use super::{Damage, Disk, DiskFile, LogError};
use mesh_proto::id::{LogPosition, StoreId};

/// Bytes that the disk writes as one.
pub(super) const SECTOR: usize = 512;
/// Where the frames begin. The header has a sector of its own, which no append ever touches.
pub(super) const RECORDS_AT: u64 = SECTOR as u64;
/// The format that this build writes, and the only one that it reads.
pub(super) const VERSION: u32 = 1;

/// What the first sector of a segment says.
///
/// Little-endian: magic 8, version u32, zero u32, store id u64, salt u64, generation u64, first position u64, size u64,
/// check u64, zeros. Magic, version, and the check with its place stay the same in all versions, so that a build can
/// tell a version that it does not know from damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub store_id: StoreId,
    pub salt: u64,
    /// The number of the segment in the life of the log, from 1. No two segments of a log have the same.
    pub generation: u64,
    /// The position of the first record, if there is one.
    pub first: LogPosition,
    /// Bytes of the segment, this header included.
    pub size: u64,
}

impl Header {
    pub fn encode(&self) -> [u8; SECTOR] {
        let mut sector = [0; SECTOR];
        sector[..8].copy_from_slice(&MAGIC);
        sector[8..12].copy_from_slice(&VERSION.to_le_bytes());
        let fields = [self.store_id.0, self.salt, self.generation, self.first.0, self.size];
        for (place, field) in sector[16..CHECK_AT].chunks_exact_mut(8).zip(fields) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        let check = check(&sector);
        sector[CHECK_AT..CHECK_AT + 8].copy_from_slice(&check);
        sector
    }

    /// Reads the header of `file`, and checks that it is the one that its name promises.
    pub fn read(file: &impl DiskFile, name: &str, generation: u64) -> Result<Self, LogError> {
        let mut sector = [0; SECTOR];
        let read = file.read_at(&mut sector, 0).map_err(LogError::io("read", name))?;
        if read < SECTOR {
            return Err(LogError::damaged(name, read as u64, Damage::Short));
        }
        let header = Self::decode(&sector, name)?;
        if header.generation != generation {
            return Err(LogError::damaged(name, 0, Damage::Foreign));
        }
        let len = file.len().map_err(LogError::io("read the length of", name))?;
        if len < header.size {
            return Err(LogError::damaged(name, len, Damage::Short));
        }
        Ok(header)
    }

    fn decode(sector: &[u8; SECTOR], name: &str) -> Result<Self, LogError> {
        if sector[..8] != MAGIC || sector[CHECK_AT..CHECK_AT + 8] != check(sector) {
            return Err(LogError::damaged(name, 0, Damage::Header));
        }
        let found = u32::from_le_bytes(sector[8..12].try_into().expect("4 bytes"));
        if found != VERSION {
            return Err(LogError::Version { segment: name.to_owned(), found, supported: VERSION });
        }
        let field = |n: usize| u64::from_le_bytes(sector[16 + 8 * n..24 + 8 * n].try_into().expect("8 bytes"));
        Ok(Self {
            store_id: StoreId(field(0)),
            salt: field(1),
            generation: field(2),
            first: LogPosition(field(3)),
            size: field(4),
        })
    }
}

/// What a file name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    /// Part of the log.
    Live(u64),
    /// To be used again. The number only keeps the names apart.
    Free(u64),
}

impl Name {
    /// `None` for a file that is not the log's.
    pub fn parse(name: &str) -> Option<Self> {
        let (number, kind) = name.strip_prefix("segment-")?.split_once('.')?;
        let generation = u64::from_str_radix(number, 16).ok()?;
        let parsed = match kind {
            "log" => Self::Live(generation),
            "free" => Self::Free(generation),
            _ => return None,
        };
        (parsed.to_string() == name).then_some(parsed)
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Live(generation) => write!(f, "segment-{generation:016x}.log"),
            Self::Free(generation) => write!(f, "segment-{generation:016x}.free"),
        }
    }
}

/// Makes a free segment of `spare` (or a new file) the live one of `header`, durably, empty of valid frames.
///
/// The header is synced under the free name, before the rename: so a live name always has a valid header, and one
/// that does not is damage, whenever the crash came.
pub(super) fn establish<D: Disk>(disk: &mut D, spare: Option<u64>, header: &Header) -> Result<D::File, LogError> {
    let from = Name::Free(spare.unwrap_or(header.generation)).to_string();
    let mut file = match spare {
        Some(_) => disk.open(&from).map_err(LogError::io("open", &from))?,
        None => disk.create(&from, header.size).map_err(LogError::io("create", &from))?,
    };
    file.write_at(&header.encode(), 0).map_err(LogError::io("write", &from))?;
    file.sync_data().map_err(LogError::io("sync", &from))?;
    let to = Name::Live(header.generation).to_string();
    disk.rename(&from, &to).map_err(LogError::io("rename", &from))?;
    disk.sync().map_err(LogError::io("sync the directory of", &to))?;
    Ok(file)
}

fn check(sector: &[u8; SECTOR]) -> [u8; 8] {
    let hash = blake3::derive_key("meshd log segment header", &sector[..CHECK_AT]);
    hash[..8].try_into().expect("8 bytes")
}

const MAGIC: [u8; 8] = *b"meshdlog";
const CHECK_AT: usize = 56;
