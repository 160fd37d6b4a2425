//! The segment log: what must be durable before it is spoken of. DESIGN section 3.
//!
//! ```text
//!   oldest                                                  current
//!   segment-07.log        segment-08.log                    segment-09.log           segment-05.free
//!   [header|frame|frame]  [header|frame|frame|frame|seal]   [header|frame|frame|…]   (content not trusted)
//! ```
//!
//! - A **segment** is a preallocated file of fixed size. Its header names the store, its generation (one more than
//!   the segment's before it) and the position of its first record. A segment whose records are all absorbed
//!   elsewhere becomes free by a rename, and is used again under a new generation.
//! - A **frame** is what one commit put into one segment: a header and the records. Its two checks are keyed by
//!   store id, a salt, generation and offset, so neither stale bytes nor bytes that somebody had us store are ever
//!   taken for a frame.
//! - A **seal** is a frame without records. It proves that the frames before it were durable.
//!
//! How to hold it: [`Log::open`], [`Log::replay`] from the store's position, then [`Log::append`] any number of
//! times and one [`Log::commit`] for all of them; [`Log::release`] what the store has absorbed; when idle,
//! [`Log::seal`] and [`Log::prepare`]. After an error of `commit`, `seal`, `prepare` or `release` nothing more is
//! accepted: the process must end and open the log anew.
//!
//! # Torn or damaged
//!
//! A commit writes one frame a segment, and syncs it before the next frame is written anywhere. So of all frames only
//! the very last can be torn by a crash, and an invalid frame with the header of a later frame of its generation
//! behind it, or with a later segment, once was durable: that is damage, [`LogError::Damaged`]. Everything else that
//! does not hold is a torn tail and is cut off.
//!
//! What cannot be told apart is rot in the last frame from tearing of it, as long as nothing was written after it.
//! That is what the seal is for: with it, rot in any record is found.
//!
//! # Invariants
//!
//! 1. A position that `commit` returned is returned by every later recovery, with the same bytes, or recovery fails.
//! 2. What recovery returns is durable by then, even where it was only in the page cache before.
//! 3. No byte of a cut-off tail is ever part of a record again.
//!
//! Assumed of the disk: a synced sector is not changed by a write to its neighbours, nor are bytes in a sector that a
//! write does not change (what SQLite calls power-safe overwrite).

mod batch;
mod config;
mod disk;
mod error;
mod file_disk;
mod frame;
#[allow(clippy::module_inception)]
mod log;
mod recovery;
mod segment;
pub mod sim_disk;
#[cfg(test)]
mod tests;
mod window;

pub use config::{DEFAULT_FREE_SEGMENTS, DEFAULT_SEGMENT_SIZE, LogConfig, MAX_RECORD, NewLog};
pub use disk::{Disk, DiskFile};
pub use error::{Damage, LogError};
pub use file_disk::{FileDisk, FileDiskFile};
pub use log::{Log, Opened};
