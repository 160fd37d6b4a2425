//! A copy as the store keeps it.

use super::{copy::Copy, names::Named};
use mesh_proto::task::{Ballot, Birth, FailedAttempt, Holder, Register, State, Version};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A [`Copy`] in which holders are named by their places on the birth's home list: nearly all are on it, and written out
/// thirteen times they would be half of the entry.
#[derive(Serialize, Deserialize)]
pub struct Entry {
    #[serde(rename = "i")]
    birth: Arc<Birth>,
    #[serde(rename = "b")]
    ballot: Ballot,
    #[serde(rename = "v")]
    version: Version,
    #[serde(rename = "h")]
    holders: Vec<Named>,
    #[serde(rename = "j", default, skip_serializing_if = "Option::is_none")]
    joint: Option<Vec<Named>>,
    #[serde(rename = "p", default, skip_serializing_if = "Vec::is_empty")]
    passed_by: Vec<Vec<Named>>,
    #[serde(rename = "s")]
    state: State,
    #[serde(rename = "f", default, skip_serializing_if = "Vec::is_empty")]
    failed: Vec<FailedAttempt>,
    #[serde(rename = "d", default, skip_serializing_if = "std::ops::Not::not")]
    settled: bool,
    #[serde(rename = "c", default, skip_serializing_if = "std::ops::Not::not")]
    complete: bool,
}

impl Entry {
    pub fn new(copy: &Copy) -> Self {
        let home = &copy.birth.home;
        let place = |holder: &Holder| home.iter().position(|one| one == holder).and_then(|at| u32::try_from(at).ok());
        let named = |list: &Vec<Holder>| -> Vec<Named> {
            list.iter().map(|holder| place(holder).map_or(Named::Other(*holder), Named::Known)).collect()
        };
        let register = &copy.register;
        Self {
            birth: Arc::clone(&copy.birth),
            ballot: copy.ballot,
            version: copy.version,
            holders: named(&register.holders),
            joint: register.joint.as_ref().map(named),
            passed_by: register.passed_by.iter().map(named).collect(),
            state: register.state.clone(),
            failed: register.failed.clone(),
            settled: copy.settled,
            complete: copy.complete,
        }
    }

    /// `None` where it names a place that its home list has not.
    pub fn into_copy(self) -> Option<Copy> {
        let home = &self.birth.home;
        let list = |named: &Vec<Named>| -> Option<Vec<Holder>> {
            let who = |named: &Named| match named {
                Named::Known(at) => home.get(usize::try_from(*at).ok()?).copied(),
                Named::Other(holder) => Some(*holder),
            };
            named.iter().map(who).collect()
        };
        let joint = match &self.joint {
            Some(joint) => Some(list(joint)?),
            None => None,
        };
        let register = Register {
            holders: list(&self.holders)?,
            joint,
            passed_by: self.passed_by.iter().map(list).collect::<Option<_>>()?,
            state: self.state,
            failed: self.failed,
        };
        Some(Copy {
            birth: self.birth,
            ballot: self.ballot,
            version: self.version,
            register: Arc::new(register),
            confirmed: false,
            in_force: false,
            settled: self.settled,
            complete: self.complete,
        })
    }
}
