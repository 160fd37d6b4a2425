//! What nodes ask each other about agreement: who the committee is, where a replica stands, what the ledger says, and the
//! nodes of its state.

use crate::{
    bounded,
    codec::{self, DecodeError},
    domain::Epoch,
    id::StoreId,
    ledger::{self, Certified, Command, FetchNodes, FetchedNodes, Index, Outcome, ProposalId},
    limits,
    pbft::{EpochCertificate, Sequence, View},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One operation of a request that a gateway has ordered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Operation {
    #[serde(rename = "c")]
    Command(Box<Command>),
    /// A linearizable read: answered from the state behind the batch that it is in.
    #[serde(rename = "q")]
    Query(ledger::Query),
}

/// What came of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Ran {
    #[serde(rename = "o")]
    Outcome(Outcome),
    #[serde(rename = "a")]
    Answer(Box<ledger::Answer>),
    /// Bytes that are no operation, or an answer that no reply could carry.
    #[serde(rename = "b")]
    Refused,
}

/// The outcome of a request: what came of each of its operations, in their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AllRan(pub Vec<Ran>);

/// A question to one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Question {
    /// For the ends of the epochs from this one on: who asks is in it.
    #[serde(rename = "e")]
    Epochs(Epoch),
    #[serde(rename = "s")]
    Standing,
    /// What the ledger says there now, which may be old.
    #[serde(rename = "l")]
    Ledger(ledger::Query),
    #[serde(rename = "n")]
    Nodes(FetchNodes),
    /// The node is to follow the committee, so that it can become a member; it answers with its standing.
    #[serde(rename = "f")]
    Follow,
    /// For what the committee certified last, if that is no earlier batch than this; with the decision on a proposal.
    #[serde(rename = "c")]
    Certified {
        #[serde(rename = "i")]
        behind: Index,
        #[serde(rename = "p", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
        proposal: Option<ProposalId>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Reply {
    #[serde(rename = "e")]
    Epochs(#[serde(deserialize_with = "bounded::list::<_, _, { limits::PBFT_EPOCHS }>")] Vec<Arc<EpochCertificate>>),
    #[serde(rename = "s")]
    Standing(Standing),
    /// Nothing from who has no ledger.
    #[serde(rename = "l")]
    Ledger(Option<Box<ledger::Answer>>),
    #[serde(rename = "n")]
    Nodes(FetchedNodes),
    /// Nothing from who does not hold it.
    #[serde(rename = "c")]
    Certified(Option<Box<Certified>>),
}

/// Where a node stands: told to people, rested on by nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// Its disk: what a seat is of.
    #[serde(rename = "d")]
    pub store: StoreId,
    #[serde(rename = "e")]
    pub epoch: Epoch,
    /// Nothing from who has no replica.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
    pub replica: Option<ReplicaStanding>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplicaStanding {
    #[serde(rename = "v")]
    pub view: View,
    /// It takes part in the view.
    #[serde(rename = "a")]
    pub active: bool,
    /// A member that may vote; otherwise it only follows.
    #[serde(rename = "m")]
    pub voting: bool,
    /// The last number that it executed.
    #[serde(rename = "x")]
    pub executed: Sequence,
    /// h: the last stable checkpoint.
    #[serde(rename = "h")]
    pub stable: Sequence,
    /// It has stopped for good, with an alarm.
    #[serde(rename = "z")]
    pub halted: bool,
}

impl ReplicaStanding {
    /// Its vote counts, and it gives one.
    #[must_use]
    pub fn votes(&self) -> bool {
        self.voting && !self.halted
    }
}

impl Operation {
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode_canonical(bytes, limits::COMMAND_BYTES + 8)
    }

    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode_into(Vec::with_capacity(768), self)
    }
}

impl AllRan {
    /// Of one request.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode_canonical(bytes, limits::PBFT_CLIENT_BYTES)
    }
}
