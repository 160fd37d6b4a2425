//! A record on which nobody works, packed: it has ended and is kept for a day, or waits among a million for its turn, and is
//! hardly looked at meanwhile.

use super::{
    copy::Copy,
    names::{Named, Names},
    pages::{Pages, Place},
};
use crate::naming;
use mesh_proto::{
    codec,
    id::TaskId,
    task::{
        Attempt, Ballot, Birth, Ending, FailedAttempt, Holder, How, Octets, Outcome, Register, Spec, State, Version,
    },
    time::Wall,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A copy in a third of the memory. Only in memory, and only in this process. What is asked for often is beside the
/// packed part.
#[derive(Debug)]
pub struct Sealed {
    pub holders: Arc<[Holder]>,
    /// When it ended, if it has.
    pub ended: Option<Wall>,
    nonce: u64,
    term: u32,
    driver: u32,
    pub version: Version,
    pub confirmed: bool,
    pub in_force: bool,
    pub settled: bool,
    pub complete: bool,
    /// It names blobs: as input, or as output.
    pub names_blobs: bool,
    pub place: Place,
}

#[derive(Serialize, Deserialize)]
struct Packed {
    #[serde(rename = "s")]
    spec: Octets,
    #[serde(rename = "b")]
    born: Wall,
    #[serde(rename = "g")]
    gateway: Named,
    #[serde(rename = "p")]
    placed: Wall,
    #[serde(rename = "m")]
    home: Vec<Named>,
    #[serde(rename = "j", default, skip_serializing_if = "Option::is_none")]
    joint: Option<Vec<Named>>,
    #[serde(rename = "q", default, skip_serializing_if = "Vec::is_empty")]
    passed_by: Vec<Vec<Named>>,
    #[serde(rename = "f", default, skip_serializing_if = "Vec::is_empty")]
    failed: Vec<FailedAttempt>,
    #[serde(rename = "t")]
    state: PackedState,
}

#[derive(Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "made for its encoding, and gone with that")]
enum PackedState {
    #[serde(rename = "w")]
    Waiting,
    #[serde(rename = "a")]
    Assigned(u32, Named, Wall),
    /// When is beside it.
    #[serde(rename = "e")]
    Ended(How, Option<(u32, Named)>, Option<Outcome>),
}

impl Sealed {
    /// `None` of a copy whose driver is one name too many to get a number.
    pub fn seal(copy: &Copy, names: &mut Names, pages: &mut Pages) -> Option<Self> {
        let Named::Known(driver) = names.node(copy.ballot.driver) else { return None };
        let packed = Packed {
            spec: copy.birth.spec.clone(),
            born: copy.birth.born,
            gateway: names.node(copy.birth.gateway),
            placed: copy.birth.placed,
            home: copy.birth.home.iter().map(|holder| names.holder(holder)).collect(),
            joint: copy.register.joint.as_ref().map(|joint| joint.iter().map(|h| names.holder(h)).collect()),
            passed_by: (copy.register.passed_by.iter())
                .map(|list| list.iter().map(|holder| names.holder(holder)).collect())
                .collect(),
            failed: copy.register.failed.clone(),
            state: match &copy.register.state {
                State::Waiting => PackedState::Waiting,
                State::Assigned(attempt) => {
                    PackedState::Assigned(attempt.number, names.node(attempt.executor), attempt.granted)
                }
                State::Ended(ending) => {
                    let by = ending.by.map(|(attempt, node)| (attempt, names.node(node)));
                    PackedState::Ended(ending.how, by, ending.outcome.clone())
                }
            },
        };
        Some(Self {
            holders: names.list(&copy.register.holders),
            ended: copy.register.ending().map(|ending| ending.at),
            nonce: copy.ballot.nonce,
            term: copy.ballot.term,
            driver,
            version: copy.version,
            confirmed: copy.confirmed,
            in_force: copy.in_force,
            settled: copy.settled,
            complete: copy.complete,
            names_blobs: !naming::of_copy(copy).is_empty(),
            place: pages.put(&codec::encode(&packed)),
        })
    }

    /// Its version is above a birth's.
    pub fn is_written(&self) -> bool {
        self.version > Version::BIRTH
    }

    /// In the packed part the specification stands as it is.
    pub fn may_have_a_deadline(&self, pages: &Pages) -> bool {
        Spec::may_have_a_deadline(pages.get(self.place))
    }

    /// The ballot that wrote it.
    ///
    /// # Panics
    /// As [`Self::open`].
    pub fn ballot(&self, names: &Names) -> Ballot {
        let driver = names.who(&Named::Known(self.driver)).expect("what was sealed here has a driver");
        Ballot { term: self.term, nonce: self.nonce, driver: driver.node }
    }

    /// The copy as it was.
    ///
    /// # Panics
    /// If it is asked for with the names and pages of another shelf: what was packed here is read here.
    pub fn open(&self, task: TaskId, names: &Names, pages: &Pages) -> Copy {
        self.unpack(task, names, pages).expect("what was sealed here opens here")
    }

    fn unpack(&self, task: TaskId, names: &Names, pages: &Pages) -> Option<Copy> {
        let packed: Packed = codec::decode(pages.get(self.place), usize::MAX).ok()?;
        let list = |named: &[Named]| named.iter().map(|named| names.who(named)).collect::<Option<Vec<Holder>>>();
        let node = |named: &Named| names.who(named).map(|holder| holder.node);
        let birth = Birth {
            task,
            spec: packed.spec,
            born: packed.born,
            gateway: node(&packed.gateway)?,
            placed: packed.placed,
            home: list(&packed.home)?,
        };
        let joint = match &packed.joint {
            Some(joint) => Some(list(joint)?),
            None => None,
        };
        let passed_by = packed.passed_by.iter().map(|named| list(named)).collect::<Option<Vec<_>>>()?;
        let state = match packed.state {
            PackedState::Waiting => State::Waiting,
            PackedState::Assigned(number, executor, granted) => {
                State::Assigned(Attempt { number, executor: node(&executor)?, granted })
            }
            PackedState::Ended(how, by, outcome) => {
                let by = match &by {
                    Some((attempt, by)) => Some((*attempt, node(by)?)),
                    None => None,
                };
                State::Ended(Ending { how, by, outcome, at: self.ended? })
            }
        };
        let register = Register { holders: self.holders.to_vec(), joint, passed_by, state, failed: packed.failed };
        Some(Copy {
            birth: Arc::new(birth),
            ballot: self.ballot(names),
            version: self.version,
            register: Arc::new(register),
            confirmed: self.confirmed,
            in_force: self.in_force,
            settled: self.settled,
            complete: self.complete,
        })
    }
}
