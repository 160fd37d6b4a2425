use super::{Claimed, Fence, Index, ProposalId, ProposalState};
use crate::{bounded, time::Wall};
use serde::{Deserialize, Serialize};

/// What came of a command. Part of the state, as long as its id is remembered: codes only, no text that the next build
/// could word otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Outcome {
    #[serde(rename = "d")]
    Done(Done),
    /// The state is as it was.
    #[serde(rename = "r")]
    Rejected(Rejection),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Done {
    /// A tick, an admission, a report, a piece of evidence: it is in the state.
    #[serde(rename = "k")]
    Kept,
    /// A write to memory.
    #[serde(rename = "w")]
    Written {
        #[serde(rename = "v")]
        version: u64,
    },
    #[serde(rename = "x")]
    Deleted {
        /// Whether there was something.
        #[serde(rename = "f")]
        found: bool,
    },
    #[serde(rename = "p")]
    Proposed(ProposalId),
    /// How the proposal stands with this vote, or as it was closed.
    #[serde(rename = "v")]
    Voted(ProposalState),
    /// A lock or an award, or its renewal.
    #[serde(rename = "g")]
    Granted {
        #[serde(rename = "f")]
        fence: Fence,
        #[serde(rename = "x")]
        expires: Wall,
    },
    #[serde(rename = "u")]
    Released,
    /// A motion that others must sign too.
    #[serde(rename = "s")]
    Seconded {
        #[serde(rename = "h")]
        signed: u8,
        #[serde(rename = "n")]
        needed: u8,
    },
    /// A motion in force, from this index on: at once, or from the end of a checkpoint.
    #[serde(rename = "m")]
    Moved {
        #[serde(rename = "i")]
        from: Index,
    },
}

/// Why it was not done. What the user can do about it is in the variant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Rejection {
    #[serde(rename = "i")]
    #[error("the command is not well-formed")]
    Invalid,
    #[serde(rename = "N")]
    #[error("the command is of version {since}, and the mesh executes {active}")]
    NotActive {
        #[serde(rename = "s")]
        since: u16,
        #[serde(rename = "a")]
        active: u16,
    },

    // Command ids.
    #[serde(rename = "o")]
    #[error("the command was drawn before {floor}, and what ran before is forgotten: it may have run")]
    Stale {
        #[serde(rename = "f")]
        floor: Index,
    },
    #[serde(rename = "A")]
    #[error("the command claims to be drawn after what is executed")]
    Ahead,
    #[serde(rename = "R")]
    #[error("another command had the same id")]
    Reused,

    // Room.
    #[serde(rename = "f")]
    #[error("the ledger's state is full: delete something first")]
    Full,
    #[serde(rename = "m")]
    #[error("there are too many of these at once: try again later")]
    TooMany,

    // Memory.
    #[serde(rename = "c")]
    #[error("the key holds another version")]
    Mismatch {
        /// What it holds.
        #[serde(rename = "v", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
        version: Option<u64>,
    },

    // Proposals and votes.
    #[serde(rename = "u")]
    #[error("nothing is known under this name")]
    Unknown,
    #[serde(rename = "d")]
    #[error("it is decided")]
    Decided,
    #[serde(rename = "w")]
    #[error("round {round} is being voted")]
    WrongRound {
        #[serde(rename = "r")]
        round: u16,
    },
    #[serde(rename = "e")]
    #[error("the voter is not of the electorate")]
    NotElector,
    #[serde(rename = "V")]
    #[error("the voter has voted in this round")]
    AlreadyVoted,
    #[serde(rename = "E")]
    #[error("an electorate must have 1 to 1,024 voters")]
    Electorate,
    #[serde(rename = "O")]
    #[error("it is another's")]
    NotOwner,

    // Locks and awards.
    #[serde(rename = "h")]
    #[error("it is held until {}", .0.expires)]
    Held(Claimed),
    #[serde(rename = "l")]
    #[error("it is not held any more under this number")]
    NotHeld,

    // Members and committee.
    #[serde(rename = "I")]
    #[error("the inviter may not invite, or not any more")]
    NotInviter,
    #[serde(rename = "x")]
    #[error("the invitation or the membership has expired")]
    Expired,
    #[serde(rename = "X")]
    #[error("the member was revoked at {at}")]
    Revoked {
        #[serde(rename = "w")]
        at: Wall,
    },
    #[serde(rename = "S")]
    #[error("the signer may not move this")]
    NotEntitled,
    #[serde(rename = "s")]
    #[error("the motion was made for another point: {serial} are in force")]
    Overtaken {
        #[serde(rename = "s")]
        serial: u64,
    },
    #[serde(rename = "p")]
    #[error("another change is pending until the next checkpoint")]
    Pending,
    #[serde(rename = "a")]
    #[error("it is so already")]
    Already,
    #[serde(rename = "M")]
    #[error("the node is no full member that the ledger knows")]
    NotMember,
    #[serde(rename = "D")]
    #[error("the key was in the committee with another disk: it needs a fresh key")]
    SecondIdentity,
    #[serde(rename = "L")]
    #[error("the committee cannot be empty")]
    LastSeat,
    #[serde(rename = "b")]
    #[error("a member does not support this version, or it is not the next")]
    Unsupported,
}
