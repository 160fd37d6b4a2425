//! What an operator may set, and what a new log is born with.

use super::{LogError, frame, segment};
use mesh_proto::id::StoreId;

/// Bytes of the largest record. Default and maximum; less where a segment is smaller.
pub const MAX_RECORD: usize = 8 << 20;
/// Bytes a segment.
pub const DEFAULT_SEGMENT_SIZE: u64 = 16 << 20;
/// Free segments that are kept for use.
pub const DEFAULT_FREE_SEGMENTS: usize = 8;

/// Sizes of a log.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// Bytes a segment, header included: a multiple of 512 from 4 KiB to 1 GiB. A record never spans segments, so
    /// this bounds the record too. May differ from one start to the next. Default [`DEFAULT_SEGMENT_SIZE`].
    pub segment_size: u64,
    /// Segments that are kept for use when all that they held is released; more are removed.
    /// Default [`DEFAULT_FREE_SEGMENTS`].
    pub free_segments: usize,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { segment_size: DEFAULT_SEGMENT_SIZE, free_segments: DEFAULT_FREE_SEGMENTS }
    }
}

impl LogConfig {
    pub(super) fn check(&self) -> Result<(), LogError> {
        let size = self.segment_size;
        if !(MIN_SEGMENT_SIZE..=MAX_SEGMENT_SIZE).contains(&size) || !size.is_multiple_of(segment::SECTOR as u64) {
            return Err(LogError::SegmentSize { size, min: MIN_SEGMENT_SIZE, max: MAX_SEGMENT_SIZE });
        }
        Ok(())
    }

    /// Bytes of the largest record that a log of this configuration takes.
    pub fn max_record(&self) -> usize {
        let frame = self.segment_size - segment::RECORDS_AT - frame::HEADER as u64;
        MAX_RECORD.min(frame as usize - frame::HEADER - frame::RECORD_HEADER)
    }
}

/// The randomness for a log that does not exist yet; not used where one does.
#[derive(Debug, Clone, Copy)]
pub struct NewLog {
    pub store_id: StoreId,
    /// Random, told to nobody. Keys the checks of the frames, so that no user can have bytes stored that look like a
    /// frame and turn a torn tail into damage.
    pub salt: u64,
}

const MIN_SEGMENT_SIZE: u64 = 4 << 10;
const MAX_SEGMENT_SIZE: u64 = 1 << 30;
