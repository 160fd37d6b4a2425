//! Why the log refuses.

use mesh_proto::id::LogPosition;
use std::io;

/// All but [`LogError::TooLarge`] and [`LogError::Poisoned`] concern the operator: the node cannot run on this log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The disk failed. Nothing more is accepted; what was appended and not committed may or may not be found again.
    #[error("log: cannot {action} `{file}`: {source}")]
    Io { action: &'static str, file: String, source: io::Error },
    /// What was durable is no longer what it was. The node must not act on what is left: it lost promises that it
    /// made, and has to begin a new life under a new store id.
    #[error("log: `{segment}` is damaged at byte {offset}: {damage}")]
    Damaged { segment: String, offset: u64, damage: Damage },
    /// Written by another build. Nothing was changed.
    #[error("log: `{segment}` has format version {found}, this build reads version {supported}")]
    Version { segment: String, found: u32, supported: u32 },
    /// The record is refused; the log is as before.
    #[error("log: a record of {size} bytes is over the limit of {limit}")]
    TooLarge { size: usize, limit: usize },
    /// An earlier call failed, so that nobody knows what is on disk: end the process and open the log anew.
    #[error("log: closed by an earlier failure")]
    Poisoned,
    /// The configuration is refused.
    #[error("log: segment size {size} is not a multiple of 512 from {min} to {max}")]
    SegmentSize { size: u64, min: u64, max: u64 },
    /// Records were asked for that are released already: the store is older than the log.
    #[error("log: record {wanted} was released, the first kept is {first}")]
    Released { wanted: LogPosition, first: LogPosition },
    /// Records are missing that somebody knows were durable: the log is older than the store. As grave as damage.
    #[error("log: ends at record {last}, but record {known} is known to have been durable")]
    Lost { last: LogPosition, known: LogPosition },
}

/// What is wrong where a log is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    #[error("the segment's header does not match its checksum")]
    Header,
    #[error("the header belongs to another segment or another log")]
    Foreign,
    #[error("the file is shorter than its header says")]
    Short,
    #[error("the records before and after are there, this segment is not")]
    MissingSegment,
    #[error("its records do not continue those of the segment before it")]
    Positions,
    #[error("an invalid record with later ones behind it")]
    Record,
}

impl LogError {
    pub(super) fn io(action: &'static str, file: &str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, file: file.to_owned(), source }
    }

    pub(super) fn damaged(segment: &str, offset: u64, damage: Damage) -> Self {
        Self::Damaged { segment: segment.to_owned(), offset, damage }
    }
}
