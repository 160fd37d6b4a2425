//! A record that has ended, packed: it is kept for a day and hardly ever looked at again.

use super::{
    copy::Copy,
    names::{Named, Names},
    pages::{Pages, Place},
};
use crate::naming;
use mesh_proto::{
    codec,
    id::TaskId,
    task::{Ballot, Birth, Ending, FailedAttempt, Holder, How, Octets, Outcome, Register, State, Version},
    time::Wall,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// An ended copy in a third of the memory. Only in memory, and only in this process. What is asked for often is beside the
/// packed part.
#[derive(Debug)]
pub struct Sealed {
    pub holders: Arc<[Holder]>,
    /// When it ended.
    pub at: Wall,
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
    #[serde(rename = "h")]
    how: How,
    #[serde(rename = "y", default, skip_serializing_if = "Option::is_none")]
    by: Option<(u32, Named)>,
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    outcome: Option<Outcome>,
}

impl Sealed {
    /// `None` of a copy that has not ended, or whose driver is one name too many to get a number.
    pub fn seal(copy: &Copy, names: &mut Names, pages: &mut Pages) -> Option<Self> {
        let ending = copy.register.ending()?;
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
            how: ending.how,
            by: ending.by.map(|(attempt, node)| (attempt, names.node(node))),
            outcome: ending.outcome.clone(),
        };
        Some(Self {
            holders: names.list(&copy.register.holders),
            at: ending.at,
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
        let by = match &packed.by {
            Some((attempt, by)) => Some((*attempt, node(by)?)),
            None => None,
        };
        let joint = match &packed.joint {
            Some(joint) => Some(list(joint)?),
            None => None,
        };
        let passed_by = packed.passed_by.iter().map(|named| list(named)).collect::<Option<Vec<_>>>()?;
        let ending = Ending { how: packed.how, by, outcome: packed.outcome, at: self.at };
        let register = Register {
            holders: self.holders.to_vec(),
            joint,
            passed_by,
            state: State::Ended(ending),
            failed: packed.failed,
        };
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
