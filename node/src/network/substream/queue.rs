//! The frames that wait to be written to one peer in one class.
//!
//! Senders on any thread push; one writer takes. The lock is held for a few instructions, and the writer is woken only
//! when the queue was empty, so a burst costs one wake-up.

use crate::network::config::FrameBounds;
use bytes::{Bytes, BytesMut};
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// Frames up to this size are copied together into one write; larger ones are written from where they are.
const COPIED: usize = 16 * 1024;
/// How much is gathered for one write. Yamux cuts at 16 KiB, TLS and QUIC lower still: more gains nothing.
const GATHERED: usize = 64 * 1024;

/// Why a frame was not queued. It stays with the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// No room. Once half of the room is free again, the writer says so.
    Full,
    /// The connection is gone.
    Closed,
    /// The frame is above the limit of its class and never fits.
    TooLarge,
}

/// A bounded queue with one consumer.
#[derive(Debug)]
pub struct Queue {
    bounds: FrameBounds,
    state: Mutex<State>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct State {
    frames: VecDeque<Bytes>,
    bytes: usize,
    /// Somebody was refused and waits to hear that there is room.
    refused: bool,
    closed: bool,
}

/// What [`Queue::take`] moved out.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Frames taken, the large one included.
    pub frames: u64,
    /// Payload bytes taken.
    pub bytes: u64,
    /// A large frame, to be written after the buffer, which ends with its header.
    pub large: Option<Bytes>,
    /// Nothing is left: time to flush.
    pub drained: bool,
    /// Somebody was refused before, and half of the room is free again: say it.
    pub writable: bool,
}

impl Queue {
    pub fn new(bounds: FrameBounds) -> Self {
        Self { bounds, state: Mutex::default(), filled: Notify::new() }
    }

    /// Appends a frame, or leaves the queue as it was.
    pub fn push(&self, frame: Bytes) -> Result<(), Refused> {
        if frame.len() > self.bounds.max_frame {
            return Err(Refused::TooLarge);
        }
        let was_empty = {
            let mut state = self.lock();
            if state.closed {
                return Err(Refused::Closed);
            }
            let crowded = state.bytes + frame.len() > self.bounds.queue_bytes;
            if state.frames.len() >= self.bounds.queue_frames || (crowded && !state.frames.is_empty()) {
                state.refused = true;
                return Err(Refused::Full);
            }
            state.bytes += frame.len();
            state.frames.push_back(frame);
            state.frames.len() == 1
        };
        if was_empty {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Moves what fits one write into `buffer`, each frame behind its header.
    pub fn take(&self, buffer: &mut BytesMut) -> Taken {
        let mut taken = Taken::default();
        let mut state = self.lock();
        while buffer.len() < GATHERED {
            let Some(frame) = state.frames.pop_front() else { break };
            state.bytes -= frame.len();
            taken.frames += 1;
            taken.bytes += frame.len() as u64;
            super::codec::put_header(buffer, frame.len());
            if frame.len() > COPIED {
                taken.large = Some(frame);
                break;
            }
            buffer.extend_from_slice(&frame);
        }
        taken.drained = state.frames.is_empty();
        let roomy = state.bytes <= self.bounds.queue_bytes / 2 && state.frames.len() <= self.bounds.queue_frames / 2;
        if state.refused && roomy {
            state.refused = false;
            taken.writable = true;
        }
        if taken.drained && state.frames.capacity() > KEPT_CAPACITY {
            state.frames.shrink_to(KEPT_CAPACITY);
        }
        taken
    }

    /// Waits until there is something to take. Spurious returns are possible.
    pub async fn filled(&self) {
        self.filled.notified().await;
    }

    /// Refuses from now on, and drops what waits: its connection is gone.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.frames = VecDeque::new();
        state.bytes = 0;
    }

    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while holding it; and were it so, the counts are still consistent between statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Slots that an empty queue keeps; a burst's room is given back.
const KEPT_CAPACITY: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(bytes: usize, frames: usize) -> Queue {
        Queue::new(FrameBounds { max_frame: 1 << 20, queue_bytes: bytes, queue_frames: frames })
    }

    #[test]
    fn a_full_queue_says_once_that_half_is_free() {
        let queue = queue(1 << 20, 4);
        for _ in 0..4 {
            queue.push(Bytes::from_static(b"x")).unwrap();
        }
        assert_eq!(queue.push(Bytes::new()), Err(Refused::Full));
        let taken = queue.take(&mut BytesMut::new());
        assert_eq!((taken.frames, taken.drained, taken.writable), (4, true, true));
        assert!(!queue.take(&mut BytesMut::new()).writable);
    }

    #[test]
    fn bytes_are_bounded_but_one_large_frame_always_passes() {
        let queue = queue(10, 100);
        queue.push(Bytes::from(vec![0; 50_000])).unwrap();
        assert_eq!(queue.push(Bytes::from_static(b"x")), Err(Refused::Full));
        let mut buffer = BytesMut::new();
        let taken = queue.take(&mut buffer);
        assert_eq!(buffer.len(), super::super::codec::HEADER);
        assert_eq!(taken.large.map(|frame| frame.len()), Some(50_000));
        assert!(taken.writable);
        assert_eq!(queue.push(Bytes::from(vec![0; 2 << 20])), Err(Refused::TooLarge));
    }

    #[test]
    fn a_closed_queue_refuses_and_forgets() {
        let queue = queue(10, 10);
        queue.push(Bytes::from_static(b"x")).unwrap();
        queue.close();
        assert_eq!(queue.push(Bytes::new()), Err(Refused::Closed));
        assert_eq!(queue.take(&mut BytesMut::new()).frames, 0);
    }
}
