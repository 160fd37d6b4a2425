//! pBFT on the wire and on disk: requests, the three phases, checkpoints, view changes, catching up, epochs.
//!
//! The names are those of Castro and Liskov, *Practical Byzantine Fault Tolerance*, OSDI '99. What others must be able
//! to prove is signed under its own [`crate::domain::Domain`], with network and epoch; questions and their answers rest
//! on the connection, for each answer proves itself: by a digest, a certificate or a path to a certified root.

mod batch;
mod certificate;
mod checkpoint;
mod decided;
mod epoch;
mod evidence;
mod fetch;
mod message;
mod new_view;
mod number;
mod operations;
mod pre_prepare;
mod reply;
mod request;
mod sizes;
mod status;
mod transfer;
mod view_change;
mod vote;

pub use batch::Batch;
pub use certificate::{Ballots, Committed, Prepared, Stable};
pub use checkpoint::{Checkpoint, Roots, Summary};
pub use decided::Decided;
pub use epoch::{EpochCertificate, EpochConfig, EpochConfigError};
pub use evidence::{Conflict, Evidence};
pub use fetch::{Fetch, Part};
pub use message::{Kind, Message};
pub use new_view::{NewView, Reproposal};
pub use number::{ReplicaId, RequestNumber, Sequence, View};
pub use operations::{BadOperations, Operations};
pub use pre_prepare::PrePrepare;
pub use reply::{Answered, Outcome, Reply};
pub use request::Request;
pub use sizes::Sizes;
pub use status::Status;
pub use transfer::{Chunk, ClientEntry, Executed, state_leaf};
pub use view_change::{Change, ViewChange};
pub use vote::{Phase, Vote};
