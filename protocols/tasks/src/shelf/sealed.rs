//! A record that has ended, packed: it is kept for a day and hardly ever looked at again.

use super::{
    copy::Copy,
    names::{Named, Names},
    pages::{Pages, Place},
};
use mesh_proto::{
    codec,
    id::TaskId,
    task::{Ballot, Birth, Ending, FailedAttempt, Holder, How, Octets, Outcome, Register, State, Version},
    time::Wall,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// An ended copy in a third of the memory. Only in memory, and only in this process.
#[derive(Debug)]
pub struct Sealed {
    pub holders: Arc<[Holder]>,
    pub confirmed: bool,
    pub in_force: bool,
    pub settled: bool,
    pub complete: bool,
    /// Its version is above a birth's.
    pub is_written: bool,
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
    #[serde(rename = "t")]
    term: u32,
    #[serde(rename = "n")]
    nonce: u64,
    #[serde(rename = "d")]
    driver: Named,
    #[serde(rename = "v")]
    version: Version,
    #[serde(rename = "j", default, skip_serializing_if = "Option::is_none")]
    joint: Option<Vec<Named>>,
    #[serde(rename = "f", default, skip_serializing_if = "Vec::is_empty")]
    failed: Vec<FailedAttempt>,
    #[serde(rename = "h")]
    how: How,
    #[serde(rename = "y", default, skip_serializing_if = "Option::is_none")]
    by: Option<(u32, Named)>,
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    outcome: Option<Outcome>,
    #[serde(rename = "a")]
    at: Wall,
}

impl Sealed {
    /// `None` of a copy that has not ended.
    pub fn seal(copy: &Copy, names: &mut Names, pages: &mut Pages) -> Option<Self> {
        let ending = copy.register.ending()?;
        let packed = Packed {
            spec: copy.birth.spec.clone(),
            born: copy.birth.born,
            gateway: names.node(copy.birth.gateway),
            placed: copy.birth.placed,
            home: copy.birth.home.iter().map(|holder| names.holder(holder)).collect(),
            term: copy.ballot.term,
            nonce: copy.ballot.nonce,
            driver: names.node(copy.ballot.driver),
            version: copy.version,
            joint: copy.register.joint.as_ref().map(|joint| joint.iter().map(|h| names.holder(h)).collect()),
            failed: copy.register.failed.clone(),
            how: ending.how,
            by: ending.by.map(|(attempt, node)| (attempt, names.node(node))),
            outcome: ending.outcome.clone(),
            at: ending.at,
        };
        Some(Self {
            holders: names.list(&copy.register.holders),
            confirmed: copy.confirmed,
            in_force: copy.in_force,
            settled: copy.settled,
            complete: copy.complete,
            is_written: copy.version > Version::BIRTH,
            place: pages.put(&codec::encode(&packed)),
        })
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
        let ending = Ending { how: packed.how, by, outcome: packed.outcome, at: packed.at };
        let register =
            Register { holders: self.holders.to_vec(), joint, state: State::Ended(ending), failed: packed.failed };
        Some(Copy {
            birth: Arc::new(birth),
            ballot: Ballot { term: packed.term, nonce: packed.nonce, driver: node(&packed.driver)? },
            version: packed.version,
            register: Arc::new(register),
            confirmed: self.confirmed,
            in_force: self.in_force,
            settled: self.settled,
            complete: self.complete,
        })
    }
}
