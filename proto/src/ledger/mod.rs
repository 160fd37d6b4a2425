//! The ledger on the wire: the commands that the committee orders, what comes of them, what is asked of the state, and
//! the nodes of the Merkle map that the state is.
//!
//! A command has one encoding. What a user must answer for in person (a vote, a motion, a report) is signed by the
//! user's own key inside the command; everything else rests on the gateway that brings it.

mod bundle;
mod claim;
mod command;
mod committee;
mod decision;
mod evidence;
mod fetch;
mod inclusion;
mod index;
mod memory;
mod motion;
mod name;
mod node;
mod outcome;
mod proposal;
mod put;
mod query;
mod support;
mod vote;

pub use bundle::{Bundle, Certified};
pub use claim::{Claim, Claimed, Fence};
pub use command::{Body, CheckError, Checked, Command, CommandId};
pub use committee::{Auto, Committee, Pending, Seat};
pub use decision::{DecisionProof, ProofError};
pub use evidence::Evidence;
pub use fetch::{FetchNodes, FetchedNode, FetchedNodes, NodePath};
pub use inclusion::{Inclusion, InclusionError};
pub use index::Index;
pub use memory::{Expect, MemoryItem};
pub use motion::{Change, Motion, SignedMotion};
pub use name::{LockName, MemoryKey, Name, NameError, Namespace, Pattern, Principal, Title};
pub use node::{Branch, Child, Entry, Node, NodeError, branch_digest, common_prefix, page_digest, slot};
pub use outcome::{Done, Outcome, Rejection};
pub use proposal::{Decision, Electorate, Proposal, ProposalId, ProposalState, Propose, Standing, Tally, Threshold};
pub use put::Put;
pub use query::{Answer, Query, Row};
pub use support::{SignedSupport, Support};
pub use vote::{Choice, SignedVote, Vote};

/// The newest version of commands that this build executes. A replica executes by the ledger's active version, which
/// begins at 1 and is raised by agreement.
pub const NEWEST_VERSION: u16 = 1;
