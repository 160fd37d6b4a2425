//! What the committee orders.

use super::{
    Claim, Evidence, Expect, Fence, Index, MemoryKey, Namespace, Principal, ProposalId, Propose, SignedMotion,
    SignedSupport, SignedVote,
};
use crate::{
    bounded,
    codec::{self, DecodeError},
    credential::{Credential, CredentialError},
    genesis::Genesis,
    id::{NodeId, TaskId},
    key::BadSignature,
    limits,
    task::Octets,
};
use serde::{Deserialize, Serialize};

/// One thing that somebody wants of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    #[serde(rename = "c")]
    pub id: CommandId,
    #[serde(rename = "b")]
    pub body: Body,
}

/// What makes a repeat of a command the same command, through whichever gateway it comes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandId {
    #[serde(rename = "u")]
    pub principal: Principal,
    /// The user's idempotency key, else random bits drawn before the first attempt.
    #[serde(rename = "k", deserialize_with = "bounded::octets::<_, { limits::COMMAND_KEY_BYTES }>")]
    pub key: Octets,
    /// What the mesh had executed when the key was drawn, as the client or its gateway knew it then; a repeat carries
    /// the same. An id whose run may be forgotten is told by it, and refused.
    #[serde(rename = "o")]
    pub born: Index,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Body {
    // Decisions.
    #[serde(rename = "p")]
    Propose(Propose),
    #[serde(rename = "v")]
    Vote(SignedVote),
    /// The proposer's word that it is not to be decided any more.
    #[serde(rename = "c")]
    Close(ProposalId),

    // Shared memory.
    #[serde(rename = "w")]
    MemoryPut {
        #[serde(rename = "n")]
        namespace: Namespace,
        #[serde(rename = "k")]
        key: MemoryKey,
        #[serde(rename = "v", deserialize_with = "bounded::octets::<_, { limits::MEMORY_VALUE_BYTES }>")]
        value: Octets,
        /// Absent after so many milliseconds of agreed time. Default never.
        #[serde(rename = "t", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
        ttl_ms: Option<u64>,
    },
    #[serde(rename = "x")]
    MemoryDelete {
        #[serde(rename = "n")]
        namespace: Namespace,
        #[serde(rename = "k")]
        key: MemoryKey,
    },
    #[serde(rename = "s")]
    MemoryCompareAndSwap {
        #[serde(rename = "n")]
        namespace: Namespace,
        #[serde(rename = "k")]
        key: MemoryKey,
        #[serde(rename = "e")]
        expect: Expect,
        /// Default nothing: what is there is deleted.
        #[serde(
            rename = "v",
            default,
            skip_serializing_if = "Option::is_none",
            deserialize_with = "bounded::optional_octets::<_, { limits::MEMORY_VALUE_BYTES }>"
        )]
        value: Option<Octets>,
        #[serde(rename = "t", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
        ttl_ms: Option<u64>,
    },

    // Who belongs.
    /// A member shows its credential, so that the ledger knows it.
    #[serde(rename = "a")]
    Admit(Box<Credential>),
    /// Revocation, inviter keys, the committee.
    #[serde(rename = "m")]
    Motion(SignedMotion),
    #[serde(rename = "e")]
    Evidence(Evidence),
    #[serde(rename = "r")]
    Support(SignedSupport),
    /// Raises the version of commands at the next checkpoint boundary. Every member of the committee must have
    /// reported that it supports it.
    #[serde(rename = "V")]
    ActivateVersion(u16),

    // What one may have at a time.
    /// Assigns a task to a node, unless it is assigned.
    #[serde(rename = "g")]
    Award {
        #[serde(rename = "t")]
        task: TaskId,
        #[serde(rename = "n")]
        to: NodeId,
        #[serde(rename = "l")]
        lease_ms: u64,
    },
    #[serde(rename = "l")]
    Lock {
        #[serde(rename = "n")]
        name: super::LockName,
        #[serde(rename = "h")]
        holder: NodeId,
        #[serde(rename = "l")]
        lease_ms: u64,
    },
    /// Of a lock or an award.
    #[serde(rename = "n")]
    Renew {
        #[serde(rename = "c")]
        claim: Claim,
        #[serde(rename = "f")]
        fence: Fence,
        #[serde(rename = "l")]
        lease_ms: u64,
    },
    /// Of a lock or an award.
    #[serde(rename = "u")]
    Unlock {
        #[serde(rename = "c")]
        claim: Claim,
        #[serde(rename = "f")]
        fence: Fence,
    },

    /// Nothing but that time has passed: what is due at the batch's agreed time happens.
    #[serde(rename = "t")]
    Tick,
}

/// A command whose signatures were checked. What they cannot say (is the signer entitled, now) is judged when it is
/// executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked(Command);

/// Why a command is not ordered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    #[error(transparent)]
    Signature(#[from] BadSignature),
    #[error(transparent)]
    Credential(#[from] CredentialError),
    #[error("the statements do not prove anything against {0}")]
    ProvesNothing(NodeId),
}

impl Command {
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode_canonical(bytes, limits::COMMAND_BYTES)
    }

    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode_into(Vec::with_capacity(self.body.weight()), self)
    }
}

impl Body {
    /// The version of commands that this came with.
    #[must_use]
    pub fn since(&self) -> u16 {
        match self {
            Self::Propose(_)
            | Self::Vote(_)
            | Self::Close(_)
            | Self::MemoryPut { .. }
            | Self::MemoryDelete { .. }
            | Self::MemoryCompareAndSwap { .. }
            | Self::Admit(_)
            | Self::Motion(_)
            | Self::Evidence(_)
            | Self::Support(_)
            | Self::ActivateVersion(_)
            | Self::Award { .. }
            | Self::Lock { .. }
            | Self::Renew { .. }
            | Self::Unlock { .. }
            | Self::Tick => 1,
        }
    }

    /// About how many bytes it takes.
    fn weight(&self) -> usize {
        match self {
            Self::MemoryPut { value, .. } => 512 + value.len(),
            Self::MemoryCompareAndSwap { value, .. } => 512 + value.as_ref().map_or(0, |value| value.len()),
            _ => 512,
        }
    }
}

impl Checked {
    /// Checks every signature in the command; `proves` says whether a piece of evidence holds against the accused.
    /// The former depends on nothing but the command, the latter at most on the committee, which all replicas have alike
    /// where they execute it: so all judge alike.
    pub fn check(
        command: Command,
        genesis: &Genesis,
        proves: impl FnOnce(&Evidence) -> bool,
    ) -> Result<Self, CheckError> {
        match &command.body {
            Body::Vote(vote) => drop(vote.verify(&genesis.network_id())?),
            Body::Motion(motion) => drop(motion.verify(&genesis.network_id())?),
            Body::Support(support) => drop(support.verify(&genesis.network_id())?),
            Body::Admit(credential) => credential.verify_signatures(genesis)?,
            Body::Evidence(evidence) if !proves(evidence) => {
                return Err(CheckError::ProvesNothing(evidence.accused));
            }
            Body::Evidence(_)
            | Body::Propose(_)
            | Body::Close(_)
            | Body::MemoryPut { .. }
            | Body::MemoryDelete { .. }
            | Body::MemoryCompareAndSwap { .. }
            | Body::ActivateVersion(_)
            | Body::Award { .. }
            | Body::Lock { .. }
            | Body::Renew { .. }
            | Body::Unlock { .. }
            | Body::Tick => {}
        }
        Ok(Self(command))
    }

    /// Of a batch that is committed, or was ordered by an engine that trusts its members: enough of those who let it be
    /// ordered are honest and have checked it. Never for what a peer alone says.
    #[must_use]
    pub fn committed(command: Command) -> Self {
        Self(command)
    }

    #[must_use]
    pub fn get(&self) -> &Command {
        &self.0
    }

    #[must_use]
    pub fn into_inner(self) -> Command {
        self.0
    }
}
