//! Questions to the state, which change nothing. Whether the answer is linearizable is the asker's choice of replica
//! and moment, not the ledger's.

use super::{
    Claim, Claimed, Committee, Evidence, Index, MemoryItem, MemoryKey, Namespace, Pattern, Proposal, ProposalId,
    SignedVote, Standing,
};
use crate::{
    bounded,
    codec::{self, DecodeError},
    id::NodeId,
    limits,
    role::Role,
    time::Wall,
};
use serde::{Deserialize, Serialize};

/// Lists are in order of their keys and begin behind `after`; an answer has at most `limit` rows, and at most as many as
/// [`limits::ANSWER_ROWS`] and [`limits::ANSWER_BYTES`] allow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Query {
    #[serde(rename = "g")]
    Get {
        #[serde(rename = "n")]
        namespace: Namespace,
        #[serde(rename = "k")]
        key: MemoryKey,
    },
    #[serde(rename = "l")]
    List {
        #[serde(rename = "n")]
        namespace: Namespace,
        /// Default all.
        #[serde(rename = "p", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
        prefix: Option<MemoryKey>,
        #[serde(rename = "a", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
        after: Option<MemoryKey>,
        #[serde(rename = "m")]
        limit: u16,
    },
    /// Keys and values that hold the pattern. Looks at [`limits::SEARCHED_ROWS`] at most before it answers, so that an
    /// answer may be empty and have a place to go on from.
    #[serde(rename = "s")]
    Search {
        #[serde(rename = "n")]
        namespace: Namespace,
        #[serde(rename = "p")]
        pattern: Pattern,
        #[serde(rename = "a", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
        after: Option<MemoryKey>,
        #[serde(rename = "m")]
        limit: u16,
    },
    #[serde(rename = "p")]
    Proposal(ProposalId),
    #[serde(rename = "P")]
    Proposals {
        #[serde(rename = "a", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
        after: Option<ProposalId>,
        #[serde(rename = "m")]
        limit: u16,
    },
    /// Of the round that is being voted, or was the last.
    #[serde(rename = "v")]
    Votes(ProposalId),
    #[serde(rename = "c")]
    Claim(Claim),
    #[serde(rename = "L")]
    Locks {
        #[serde(rename = "a", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
        after: Option<super::LockName>,
        #[serde(rename = "m")]
        limit: u16,
    },
    #[serde(rename = "A")]
    Awards {
        #[serde(rename = "a", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
        after: Option<crate::id::TaskId>,
        #[serde(rename = "m")]
        limit: u16,
    },
    #[serde(rename = "C")]
    Committee,
    #[serde(rename = "M")]
    Members {
        #[serde(rename = "a", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
        after: Option<NodeId>,
        #[serde(rename = "m")]
        limit: u16,
    },
    #[serde(rename = "n")]
    Member(NodeId),
    /// The keys that may invite.
    #[serde(rename = "I")]
    Inviters {
        #[serde(rename = "a", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
        after: Option<NodeId>,
        #[serde(rename = "m")]
        limit: u16,
    },
    /// Against one node.
    #[serde(rename = "e")]
    Evidence(NodeId),
}

/// What was asked, as of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    #[serde(rename = "i")]
    pub index: Index,
    #[serde(rename = "w")]
    pub time: Wall,
    /// None of what is not there.
    #[serde(rename = "r", deserialize_with = "bounded::list::<_, _, { limits::ANSWER_ROWS }>")]
    pub rows: Vec<Row>,
    /// Whether there is more behind the last row, or behind [`Row::Looked`].
    #[serde(rename = "m")]
    pub more: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Row {
    #[serde(rename = "m")]
    Memory {
        #[serde(rename = "k")]
        key: MemoryKey,
        #[serde(rename = "i")]
        item: MemoryItem,
    },
    /// A search came so far.
    #[serde(rename = "l")]
    Looked(MemoryKey),
    #[serde(rename = "p")]
    Proposal {
        #[serde(rename = "i")]
        id: ProposalId,
        #[serde(rename = "p")]
        proposal: Box<Proposal>,
        #[serde(rename = "s")]
        standing: Standing,
    },
    #[serde(rename = "v")]
    Vote(SignedVote),
    #[serde(rename = "c")]
    Claim {
        #[serde(rename = "c")]
        claim: Claim,
        #[serde(rename = "h")]
        held: Claimed,
    },
    #[serde(rename = "C")]
    Committee {
        #[serde(rename = "c")]
        committee: Committee,
        /// The active version of commands.
        #[serde(rename = "v")]
        version: u16,
        /// What the next motion must carry.
        #[serde(rename = "s")]
        serial: u64,
    },
    #[serde(rename = "n")]
    Member {
        #[serde(rename = "n")]
        node: NodeId,
        #[serde(rename = "r")]
        role: Role,
        /// When its invitation was issued.
        #[serde(rename = "v")]
        invited: Wall,
        #[serde(rename = "u", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
        until: Option<Wall>,
        #[serde(rename = "x", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
        revoked: Option<Wall>,
        /// Whether it has a seat in the committee.
        #[serde(rename = "s")]
        seated: bool,
    },
    #[serde(rename = "i")]
    Inviter {
        #[serde(rename = "k")]
        key: NodeId,
        /// How many it may still let in. Any number if missing.
        #[serde(rename = "n", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
        uses: Option<u32>,
        /// Invitations of later are not good.
        #[serde(rename = "u", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
        until: Option<Wall>,
        /// Its signature alone carries a motion.
        #[serde(rename = "g")]
        governs: bool,
    },
    #[serde(rename = "e")]
    Evidence(Evidence),
}

impl Query {
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode_canonical(bytes, limits::QUERY_BYTES)
    }
}

impl Answer {
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode_canonical(bytes, limits::ANSWER_BYTES + limits::ENTRY_BYTES)
    }
}
