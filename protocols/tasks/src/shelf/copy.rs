use mesh_proto::task::{Ballot, Birth, Held, Register, Version};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A copy of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copy {
    #[serde(rename = "i")]
    pub birth: Arc<Birth>,
    #[serde(rename = "b")]
    pub ballot: Ballot,
    #[serde(rename = "v")]
    pub version: Version,
    #[serde(rename = "r")]
    pub register: Arc<Register>,
    /// All named holders are known to have the birth. Not kept: forgotten, it is found out again.
    #[serde(skip)]
    pub confirmed: bool,
    /// A majority of the holders is known to have just this. Not kept either.
    #[serde(skip)]
    pub in_force: bool,
    /// The end that it shows is known to be decided: a majority had it, in this version or an earlier one, and whoever
    /// writes after that goes on with it. Kept when the store is next brought up to date, as [`Self::complete`] is.
    #[serde(rename = "d", default)]
    pub settled: bool,
    /// All holders are known to have just this. Kept when the store is next brought up to date, and no sooner: where it
    /// is lost, it is found out again.
    #[serde(rename = "c", default)]
    pub complete: bool,
}

impl Copy {
    /// Later writes compare higher.
    pub fn stamp(&self) -> (Ballot, Version) {
        (self.ballot, self.version)
    }

    pub fn is_live(&self) -> bool {
        self.register.ending().is_none()
    }

    /// Known to be more than a placement that may have been given up.
    pub fn is_confirmed(&self) -> bool {
        self.confirmed || self.version > Version::BIRTH
    }

    /// Safe to acknowledge: confirmed, and not by a settlement of the birth that its home list has yet to take.
    pub fn is_bound(&self) -> bool {
        let is_settlement = self.ballot.term > 0 && self.register.joint.as_ref() == Some(&self.birth.home);
        self.is_confirmed() && (self.confirmed || self.in_force || !is_settlement)
    }

    /// The register to write next: a birth that is known to be complete binds its home list no more.
    pub fn register_to_change(&self) -> Register {
        let mut register = Register::clone(&self.register);
        if self.version == Version::BIRTH && self.confirmed {
            register.joint = None;
        }
        register
    }

    pub fn to_held(&self) -> Held {
        Held {
            birth: Arc::clone(&self.birth),
            ballot: self.ballot,
            version: self.version,
            register: Arc::clone(&self.register),
        }
    }
}
