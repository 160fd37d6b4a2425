//! A row of the member table, as brains keep it and tell it to each other.

use crate::{
    bounded,
    capability::Capabilities,
    id::{NodeId, StoreId},
    label::Label,
    limits,
    member::Rank,
    task::Octets,
    time::Wall,
};
use serde::{Deserialize, Serialize};

/// An admitted identity, as the brain knows it. The body verified it against its signed entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    #[serde(rename = "n")]
    pub node: NodeId,
    #[serde(rename = "s")]
    pub store: StoreId,
    #[serde(rename = "r")]
    pub role: Role,
    #[serde(rename = "t")]
    pub standing: Standing,
    /// When it was invited, or forgotten; the epoch's start for who was not invited.
    #[serde(rename = "d")]
    pub dated: Wall,
    /// The higher one wins; a member raises its own at every start.
    #[serde(rename = "i")]
    pub incarnation: u64,
    /// Multiaddrs, at most 8.
    #[serde(rename = "a", deserialize_with = "bounded::list::<_, _, { limits::ADDRESSES }>")]
    pub addresses: Vec<String>,
    /// It drains: holds and runs nothing that is new, and the others replace what it has.
    #[serde(rename = "q", default, skip_serializing_if = "std::ops::Not::not", deserialize_with = "bounded::holds")]
    pub drains: bool,
    /// What people call it.
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
    pub name: Option<Label>,
    /// Where its machine stands: a rack, a site.
    #[serde(rename = "z", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
    pub zone: Option<Label>,
    /// What it has for tasks to use.
    #[serde(rename = "c", default, skip_serializing_if = "Capabilities::is_empty")]
    pub capabilities: Capabilities,
    /// The signed entry that all this was read from: what is passed on to others.
    #[serde(rename = "e")]
    pub entry: Octets,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Role {
    /// Runs and holds tasks, may be in the committee.
    #[serde(rename = "f")]
    Full,
    /// Runs and holds tasks.
    #[serde(rename = "w")]
    Worker,
    /// Helps others to find each other; holds nothing.
    #[serde(rename = "r")]
    Relay,
    /// Submits; holds nothing.
    #[serde(rename = "c")]
    Client,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Standing {
    #[serde(rename = "j")]
    Joined,
    #[serde(rename = "l")]
    Left,
    /// Taken out by an operator: for good, unless it is invited anew.
    #[serde(rename = "f")]
    Forgotten,
}

impl Member {
    /// Entries of one node are totally ordered, as [`crate::member`] says, and the greatest stays; the bytes decide
    /// between two words of a liar. What was seen at the door has no bytes, and is the least under its invitation.
    pub fn rank(&self) -> (Rank, &[u8]) {
        let Self { dated, incarnation, .. } = *self;
        match self.standing {
            // Who forgot it makes no difference.
            Standing::Forgotten => (Rank { dated, is_forgotten: true, incarnation: 0, has_left: false }, &[]),
            Standing::Joined | Standing::Left => {
                let has_left = self.standing == Standing::Left;
                (Rank { dated, is_forgotten: false, incarnation, has_left }, self.entry.as_ref())
            }
        }
    }

    /// Others can check it, so it is passed on.
    pub fn is_told(&self) -> bool {
        !self.entry.is_empty()
    }

    /// Whether tasks may be placed on it: by what it is, not by whether it can be reached now.
    pub fn holds_tasks(&self) -> bool {
        self.keeps_tasks() && !self.drains
    }

    /// Whether it may have tasks, though none that are new where it drains.
    pub fn keeps_tasks(&self) -> bool {
        self.standing == Standing::Joined && matches!(self.role, Role::Full | Role::Worker)
    }
}

/// What one side knows of a member, without what it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    #[serde(rename = "n")]
    pub node: NodeId,
    /// When it was invited, or forgotten.
    #[serde(rename = "d")]
    pub dated: Wall,
    /// `u64::MAX` of one that was forgotten.
    #[serde(rename = "i")]
    pub incarnation: u64,
    /// Of the entry's bytes: tells two words under one incarnation apart.
    #[serde(rename = "h")]
    pub hash: u64,
}

impl Mark {
    pub fn of(member: &Member) -> Self {
        let Member { node, dated, incarnation, .. } = *member;
        match member.standing {
            Standing::Forgotten => Self { node, dated, incarnation: u64::MAX, hash: 0 },
            Standing::Joined | Standing::Left => {
                let left = [u8::from(member.standing == Standing::Left)];
                let hash = first_eight(blake3::Hasher::new().update(&member.entry).update(&left).finalize());
                Self { node, dated, incarnation, hash }
            }
        }
    }

    /// What decides, of two marks of one node, unless only the bytes differ.
    pub fn rank(&self) -> (Wall, u64) {
        (self.dated, self.incarnation)
    }
}

/// The first 64 bits of a hash, for comparing tables.
pub fn first_eight(hash: blake3::Hash) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    u64::from_le_bytes(first)
}
