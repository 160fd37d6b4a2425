//! The framing of what one commit writes into one segment.
//!
//! ```text
//!   0 size   u32   bytes of the frame, header and padding included; a multiple of 8
//!   4 count  u32   records; 0 is a seal
//!   8 first  u64   position of the first record (in a seal: of the next one to come)
//!  16 head   u64   check over store, generation, offset and the fields above
//!  24 body   u64   check over the head and all that follows
//!  32 records, each u32 length and bytes, then zeros up to a multiple of 8
//! ```
//!
//! One check over many records instead of one a record: BLAKE3 is several times as fast over 100 KB as over 300 B, and
//! a commit is all or nothing to its caller anyway.

use mesh_proto::id::{LogPosition, StoreId};

/// Bytes before the records.
pub(super) const HEADER: usize = 32;
/// Bytes before each record.
pub(super) const RECORD_HEADER: usize = 4;
/// Frames begin at multiples of this, so that a search has an eighth of the places to try.
pub(super) const ALIGN: usize = 8;

/// What the header of a valid frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub size: usize,
    pub count: u32,
    pub first: LogPosition,
}

/// The key of the checks of one segment: nothing that was written elsewhere, or in another use of the file, holds.
#[derive(Debug, Clone)]
pub(super) struct FrameKey([u8; 32]);

impl FrameKey {
    pub fn new(store_id: StoreId, salt: u64, generation: u64) -> Self {
        let mut material = [0; 24];
        material[..8].copy_from_slice(&store_id.0.to_le_bytes());
        material[8..16].copy_from_slice(&salt.to_le_bytes());
        material[16..].copy_from_slice(&generation.to_le_bytes());
        Self(blake3::derive_key("meshd log segment frames", &material))
    }

    /// Fills in the header of a frame, the rest of which is there already, for a place in the segment.
    pub fn finish(&self, frame: &mut [u8], offset: u64, first: LogPosition, count: u32) {
        debug_assert!(frame.len().is_multiple_of(ALIGN) && frame.len() >= HEADER);
        let size = frame.len() as u32;
        frame[..4].copy_from_slice(&size.to_le_bytes());
        frame[4..8].copy_from_slice(&count.to_le_bytes());
        frame[8..16].copy_from_slice(&first.0.to_le_bytes());
        let head = self.head(frame, offset);
        frame[16..24].copy_from_slice(&head);
        let body = self.body(frame);
        frame[24..32].copy_from_slice(&body);
    }

    /// The header at `offset` of a segment, of which `room` bytes are left from there; `None` if it is not valid.
    /// `bytes` has at least [`HEADER`] bytes.
    pub fn read_header(&self, bytes: &[u8], offset: u64, room: u64) -> Option<FrameHeader> {
        let size = u32::from_le_bytes(bytes[..4].try_into().expect("4 bytes")) as usize;
        if size < HEADER || size as u64 > room || !size.is_multiple_of(ALIGN) {
            return None; // without hashing: a search comes here for every place of a segment
        }
        (self.head(bytes, offset) == bytes[16..24]).then(|| FrameHeader {
            size,
            count: u32::from_le_bytes(bytes[4..8].try_into().expect("4 bytes")),
            first: LogPosition(u64::from_le_bytes(bytes[8..16].try_into().expect("8 bytes"))),
        })
    }

    /// Whether the records of a frame with a valid header are those that were written.
    pub fn holds(&self, frame: &[u8]) -> bool {
        self.body(frame) == frame[24..32]
    }

    fn head(&self, bytes: &[u8], offset: u64) -> [u8; 8] {
        let mut material = [0; 24];
        material[..16].copy_from_slice(&bytes[..16]);
        material[16..].copy_from_slice(&offset.to_le_bytes());
        first_eight(blake3::keyed_hash(&self.0, &material))
    }

    fn body(&self, frame: &[u8]) -> [u8; 8] {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(&frame[16..24]);
        hasher.update(&frame[HEADER..]);
        first_eight(hasher.finalize())
    }
}

/// The records of a valid frame, oldest first.
pub(super) fn records(frame: &[u8], count: u32) -> impl Iterator<Item = &[u8]> {
    let mut rest = &frame[HEADER..];
    (0..count).map_while(move |_| {
        let (len, tail) = rest.split_at_checked(RECORD_HEADER)?;
        let len = u32::from_le_bytes(len.try_into().expect("4 bytes")) as usize;
        let (record, tail) = tail.split_at_checked(len)?;
        rest = tail;
        Some(record)
    })
}

fn first_eight(hash: blake3::Hash) -> [u8; 8] {
    hash.as_bytes()[..8].try_into().expect("8 bytes")
}
