use super::{Ending, Octets, Spec};
use crate::{
    bounded, codec,
    id::{Digest, NodeId, StoreId, TaskId},
    limits,
    time::Wall,
};
use serde::{Deserialize, Serialize};

/// The part of a record that never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Birth {
    #[serde(rename = "i")]
    pub task: TaskId,
    /// The encoded [`super::Spec`]; hashed and passed on as it is, decoded where it is run or shown.
    #[serde(rename = "s", deserialize_with = "bounded::octets::<_, { limits::SPEC_BYTES }>")]
    pub spec: Octets,
    /// When its key was drawn, as in the spec: what the retention floor is compared with.
    #[serde(rename = "b")]
    pub born: Wall,
    /// The gateway that placed it, and when by its clock.
    #[serde(rename = "g")]
    pub gateway: NodeId,
    #[serde(rename = "w")]
    pub placed: Wall,
    /// The home list it was placed from, in its order, at most 5 members, each with its store.
    #[serde(rename = "h", deserialize_with = "bounded::list::<_, _, { limits::HOLDERS }>")]
    pub home: Vec<Holder>,
}

impl Birth {
    /// What tells a repeat of a submission from another task under the same key.
    pub fn digest(&self) -> Digest {
        spec_digest(&self.spec)
    }
}

/// The digest of what an encoded specification asks for. When its key was drawn, its deadline, its trace id and where
/// its blobs are found are left out: a user's repeat under the same key, in another shell or through another node, has
/// others of these and is the same task.
pub fn spec_digest(spec: &[u8]) -> Digest {
    // What cannot be decoded was refused before; it still has a digest of its own.
    let asked = Spec::decode(spec).map(|spec| codec::encode(&spec.asked()));
    Digest::of("meshd 2026 task spec", &[asked.as_deref().unwrap_or(spec)])
}

/// A member's disk: the same member with another store holds and promised nothing of this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holder {
    #[serde(rename = "n")]
    pub node: NodeId,
    #[serde(rename = "s")]
    pub store: StoreId,
}

/// The value of a task's replicated register: what a driver writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// Who keeps this record, the first being the driver of its birth. At most 5.
    #[serde(rename = "h", deserialize_with = "bounded::list::<_, _, { limits::HOLDERS }>")]
    pub holders: Vec<Holder>,
    /// The holders being replaced: until a later write drops them, every quorum needs a majority of them as well.
    /// A birth has its home list here, see `mesh-tasks`.
    #[serde(
        rename = "j",
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "bounded::optional_list::<_, _, { limits::HOLDERS }>"
    )]
    pub joint: Option<Vec<Holder>>,
    /// Of a birth that is settled, the holders of other births of the task that were seen and passed by: as long as
    /// `joint` is there, every quorum needs a majority of each of these as well.
    #[serde(
        rename = "p",
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "bounded::lists::<_, _, { limits::HOLDERS }, { limits::HOLDERS }>"
    )]
    pub passed_by: Vec<Vec<Holder>>,
    #[serde(rename = "s")]
    pub state: State,
    /// Attempts that came to nothing, oldest first; at most [`limits::FAILED_ATTEMPTS`].
    #[serde(
        rename = "f",
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "bounded::list::<_, _, { limits::FAILED_ATTEMPTS }>"
    )]
    pub failed: Vec<FailedAttempt>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "registers are shared behind an `Arc`, and nearly all of them end")]
pub enum State {
    /// Nobody known has what it asks for, or it waits for the end of others, and no attempt was granted yet. Only a birth
    /// begins so, and it is left for good.
    #[serde(rename = "w")]
    Waiting,
    /// An attempt was granted.
    #[serde(rename = "a")]
    Assigned(Attempt),
    /// Terminal: never changes once a majority of the holders has it.
    #[serde(rename = "e")]
    Ended(Ending),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// From 1.
    #[serde(rename = "n")]
    pub number: u32,
    #[serde(rename = "x")]
    pub executor: NodeId,
    /// When it was granted, by the granter's clock.
    #[serde(rename = "w")]
    pub granted: Wall,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailedAttempt {
    #[serde(rename = "a")]
    pub attempt: Attempt,
    #[serde(rename = "w")]
    pub at: Wall,
    /// For people; at most [`limits::REASON_BYTES`].
    #[serde(rename = "y", deserialize_with = "bounded::text::<_, { limits::REASON_BYTES }>")]
    pub why: String,
    #[serde(rename = "o")]
    pub fault: Fault,
}

/// Whose fault a failed attempt is: what it counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Fault {
    /// The program ran and exited with another code than 0: counts against the task's own retries.
    #[serde(rename = "p")]
    Program,
    /// Its executor was lost while it had it, or could not run it: counts against the poison limit.
    #[serde(rename = "n")]
    Node,
    /// It never came to its executor, or was given back before anything came of it: counts against nothing.
    #[serde(rename = "b")]
    Nobody,
}

impl Register {
    /// Whether an honest driver may have written this. What is not so is refused before it is on disk: nobody could go on
    /// with it.
    pub fn is_sane(&self) -> bool {
        let is_list = |list: &[Holder]| {
            let distinct = list.iter().enumerate().all(|(at, one)| !list[..at].contains(one));
            !list.is_empty() && distinct
        };
        let others = self.joint.iter().chain(&self.passed_by);
        let has_room = match &self.state {
            State::Waiting => self.failed.is_empty(),
            // One more that fails, and the one under way when the task ends.
            State::Assigned(attempt) => {
                attempt.number <= u32::MAX / 2 && self.failed.len() + 2 <= limits::FAILED_ATTEMPTS
            }
            State::Ended(_) => self.failed.len() <= limits::FAILED_ATTEMPTS,
        };
        has_room && is_list(&self.holders) && others.into_iter().all(|list| is_list(list))
    }

    /// All lists of holders of which a quorum has a majority.
    pub fn lists(&self) -> impl Iterator<Item = &Vec<Holder>> {
        std::iter::once(&self.holders).chain(&self.joint).chain(&self.passed_by)
    }

    pub fn ending(&self) -> Option<&Ending> {
        match &self.state {
            State::Ended(ending) => Some(ending),
            State::Waiting | State::Assigned(_) => None,
        }
    }

    /// The attempt that was granted last, of a task that has not ended.
    pub fn attempt(&self) -> Option<Attempt> {
        match self.state {
            State::Assigned(attempt) => Some(attempt),
            State::Waiting | State::Ended(_) => None,
        }
    }
}
