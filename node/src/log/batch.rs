//! What was appended and not yet committed.

use super::{
    frame::{ALIGN, HEADER, RECORD_HEADER},
    segment::RECORDS_AT,
};
use mesh_proto::id::LogPosition;

/// Records in the form in which they will be written, so that a commit copies nothing.
#[derive(Debug, Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    frames: Vec<Frame>,
}

/// One frame of a batch. All but the first begin a segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    /// Where it begins in the batch's bytes.
    start: usize,
    /// Where it goes in its segment.
    pub offset: u64,
    pub first: LogPosition,
    pub count: u32,
    /// It goes into the segment after that of the frame before it.
    pub next_segment: bool,
}

impl Batch {
    /// Adds a record. `tail` is where the current segment is free from, `size` the size of segments to come, and
    /// `room` that of the current one. The record must fit into an empty segment.
    pub fn push(&mut self, record: &[u8], position: LogPosition, tail: u64, room: u64, size: u64) {
        let needed = (RECORD_HEADER + record.len()) as u64;
        let opened = match self.frames.last() {
            Some(frame) => {
                let end = frame.offset + (self.bytes.len() - frame.start) as u64;
                let limit = if self.frames.len() == 1 && !frame.next_segment { room } else { size };
                fits(end + needed, limit)
            }
            None => false,
        };
        if !opened {
            let first_of_batch = self.frames.is_empty();
            let here = first_of_batch && fits(tail + HEADER as u64 + needed, room);
            self.open(if here { tail } else { RECORDS_AT }, position, !here);
        }
        self.bytes.extend_from_slice(&(record.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(record);
        self.frames.last_mut().expect("opened above").count += 1;
    }

    /// The frames, in the order in which they must become durable, each with its bytes.
    pub fn frames(&mut self) -> impl Iterator<Item = (Frame, &mut [u8])> {
        self.pad();
        let total = self.bytes.len();
        let ends: Vec<usize> = self.frames.iter().skip(1).map(|frame| frame.start).chain([total]).collect();
        let mut rest = self.bytes.as_mut_slice();
        self.frames.iter().zip(ends).map(move |(frame, end)| {
            let (bytes, tail) = std::mem::take(&mut rest).split_at_mut(end - frame.start);
            rest = tail;
            (*frame, bytes)
        })
    }

    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Bytes that are waiting.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Empties the batch. Keeps its memory for the next one, unless it was an unusually large one.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_CAPACITY);
        self.frames.clear();
    }

    fn open(&mut self, offset: u64, first: LogPosition, next_segment: bool) {
        self.pad();
        self.frames.push(Frame { start: self.bytes.len(), offset, first, count: 0, next_segment });
        self.bytes.resize(self.bytes.len() + HEADER, 0);
    }

    fn pad(&mut self) {
        // Frames start aligned in the batch as well, so padding the whole pads the last.
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGN), 0);
    }
}

/// Whether a frame may end at `end` of a segment of `size` bytes: a seal must always fit behind it.
fn fits(end: u64, size: u64) -> bool {
    end.next_multiple_of(ALIGN as u64) + HEADER as u64 <= size
}

/// Several ordinary batches; an idle node shall not hold the memory of its busiest moment.
const KEPT_CAPACITY: usize = 1 << 20;
