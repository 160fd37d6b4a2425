//! What the ledger said last of who belongs to the network and who may invite into it: kept on the disk, so that a node
//! that starts without the committee in reach refuses whom it refused before.

use std::collections::BTreeMap;
use std::path::Path;

use mesh_proto::codec;
use mesh_proto::credential::{Grant, Invitation, TrustAnchors};
use mesh_proto::genesis::Genesis;
use mesh_proto::id::NodeId;
use mesh_proto::ledger::Row;
use mesh_proto::role::Role;
use mesh_proto::time::Wall;
use serde::{Deserialize, Serialize};

use super::{DataDir, IdentityError, durable};

const NAME: &str = "roll";
/// As many members and inviters as a ledger may have (65,536), of some 120 bytes each.
const LIMIT: usize = 8 * 1024 * 1024;

/// The ledger's members and inviters, as of a number of motions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roll {
    serial: u64,
    inviters: BTreeMap<NodeId, Inviter>,
    members: BTreeMap<NodeId, Admitted>,
    revoked: BTreeMap<NodeId, Wall>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Inviter {
    uses: Option<u32>,
    until: Option<Wall>,
}

/// Whom the ledger has let in, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Admitted {
    role: Role,
    invited: Wall,
    until: Option<Wall>,
}

/// The file: rows as the ledger answers them.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(rename = "s")]
    serial: u64,
    #[serde(rename = "r")]
    rows: Vec<Row>,
}

impl Roll {
    /// Of what the ledger answered while so many motions were in force. Other rows say nothing here.
    #[must_use]
    pub fn new(serial: u64, rows: &[Row]) -> Self {
        let mut roll = Self { serial, ..Self::default() };
        for row in rows {
            match row {
                Row::Member { node, revoked: Some(at), .. } => {
                    roll.revoked.insert(*node, *at);
                }
                Row::Member { node, role, invited, until, revoked: None, .. } => {
                    roll.members.insert(*node, Admitted { role: *role, invited: *invited, until: *until });
                }
                Row::Inviter { key, uses, until, .. } => {
                    roll.inviters.insert(*key, Inviter { uses: *uses, until: *until });
                }
                _ => {}
            }
        }
        roll
    }

    /// What was kept, if anything was. Damage is an error: a node that had forgotten whom it refuses would let them in.
    pub fn load(dir: &Path) -> Result<Option<Self>, IdentityError> {
        let path = dir.join(NAME);
        let Some(bytes) = durable::read(&path, LIMIT)? else { return Ok(None) };
        let written: Written = codec::decode(&bytes, LIMIT).map_err(|error| IdentityError::damaged(&path, error))?;
        Ok(Some(Self::new(written.serial, &written.rows)))
    }

    /// Writes it in place of what was kept. Durable when it returns.
    pub fn save(dir: &DataDir, serial: u64, rows: &[Row]) -> Result<(), IdentityError> {
        let written = Written { serial, rows: rows.to_vec() };
        durable::replace(dir.path(), NAME, &codec::encode(&written), durable::PLAIN)
    }

    /// How many motions were in force.
    #[must_use]
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// When the ledger revoked it, if it did and has not let it in again.
    #[must_use]
    pub fn revoked(&self, node: NodeId) -> Option<Wall> {
        self.revoked.get(&node).copied()
    }

    /// All that are revoked, in order.
    pub fn all_revoked(&self) -> impl Iterator<Item = (NodeId, Wall)> + '_ {
        self.revoked.iter().map(|(node, at)| (*node, *at))
    }

    /// Whether the ledger names it among those who may invite.
    #[must_use]
    pub fn invites(&self, key: NodeId) -> bool {
        self.inviters.contains_key(&key)
    }

    fn accepts(&self, invitation: &Invitation, grant: &Grant, newcomer: bool) -> bool {
        let named = self.inviters.get(&invitation.inviter).is_some_and(|inviter| {
            let in_time = inviter.until.is_none_or(|until| invitation.issued <= until);
            // What is left of them is counted in the ledger; here it is known as of the last motion.
            in_time && !(newcomer && inviter.uses == Some(0))
        });
        // Whom the ledger let in stays, as it does in the ledger, whatever became of the key that invited it: in that role,
        // under that invitation's date. Who makes another of these for itself with some key has no more by it than before.
        named
            || self.members.get(&grant.node).is_some_and(|admitted| {
                grant.role.is_within(admitted.role)
                    && admitted.invited == invitation.issued
                    && admitted.until == invitation.member_until
            })
    }
}

/// What credentials are checked against by who knows what the ledger says, or that it says nothing yet.
#[derive(Clone, Copy, Debug)]
pub struct Anchors<'a> {
    /// The network's birth.
    pub genesis: &'a Genesis,
    /// None before the first motion is known.
    pub roll: Option<&'a Roll>,
}

impl TrustAnchors for Anchors<'_> {
    fn genesis(&self) -> &Genesis {
        self.genesis
    }

    fn may_invite(&self, invitation: &Invitation, grant: &Grant, newcomer: bool) -> bool {
        match self.roll {
            Some(roll) => roll.accepts(invitation, grant, newcomer),
            None => self.genesis.may_invite(invitation, grant, newcomer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_proto::address::Addresses;
    use mesh_proto::credential::{Credential, CredentialError, Standing};
    use mesh_proto::genesis::{Engine, Founders};
    use mesh_proto::key::SecretKey;
    use mesh_proto::token::{InvitationTerms, Token};
    use std::time::Duration;

    const NOW: Wall = Wall(1_800_000_000_000);

    fn key(number: u8) -> SecretKey {
        SecretKey::from_bytes(&[number; 32])
    }

    fn genesis() -> Genesis {
        let maker = key(1).node_id();
        Genesis {
            name: "roll".parse().unwrap(),
            nonce: [5; 32],
            maker,
            engine: Engine::Pbft,
            open: false,
            created: Wall(0),
            committee: Founders::alone(maker),
        }
    }

    fn invited(by: u8, node: u8, role: Role) -> Credential {
        let expires = NOW + Duration::from_secs(60);
        let terms = InvitationTerms { role, issued: NOW, expires, member_until: None };
        let token = Token::invite(&key(by), genesis(), Addresses::default(), key(100), terms).unwrap();
        token.credential(&key(node), None, NOW).unwrap()
    }

    fn inviter(number: u8, uses: Option<u32>, until: Option<Wall>) -> Row {
        Row::Inviter { key: key(number).node_id(), uses, until, governs: false }
    }

    fn member(number: u8, revoked: Option<Wall>) -> Row {
        let (node, role) = (key(number).node_id(), Role::Worker);
        Row::Member { node, role, invited: NOW, until: None, revoked, seated: false }
    }

    fn judged(roll: Option<&Roll>, credential: &Credential, standing: Standing) -> Result<(), CredentialError> {
        let genesis = genesis();
        credential.verify_peer(&Anchors { genesis: &genesis, roll }, credential.node(), standing, NOW).map(drop)
    }

    fn newcomer(roll: Option<&Roll>, credential: &Credential) -> bool {
        judged(roll, credential, Standing::Newcomer).is_ok()
    }

    #[test]
    fn inviters_are_those_that_the_ledger_names_and_before_it_the_maker() {
        let (by_maker, by_other) = (invited(1, 2, Role::Worker), invited(5, 3, Role::Worker));
        assert!(newcomer(None, &by_maker) && !newcomer(None, &by_other));
        let added = Roll::new(1, &[inviter(1, None, None), inviter(5, None, None)]);
        assert!(newcomer(Some(&added), &by_maker) && newcomer(Some(&added), &by_other));
        let removed = Roll::new(2, &[inviter(5, None, None)]);
        assert!(!newcomer(Some(&removed), &by_maker) && newcomer(Some(&removed), &by_other));
        let over = Roll::new(3, &[inviter(5, None, Some(Wall(NOW.0 - 1)))]);
        assert!(!newcomer(Some(&over), &by_other), "invited later than it might");
        let used = Roll::new(3, &[inviter(5, Some(0), None)]);
        assert!(!newcomer(Some(&used), &by_other) && judged(Some(&used), &by_other, Standing::Known).is_ok());
    }

    #[test]
    fn whom_the_ledger_let_in_stays_without_its_inviter_and_gains_nothing_by_another_key() {
        let roll = Roll::new(2, &[inviter(5, None, None), member(2, None)]);
        assert!(newcomer(Some(&roll), &invited(1, 2, Role::Worker)));
        assert!(!newcomer(Some(&roll), &invited(1, 3, Role::Worker)), "nobody whom it has not");
        assert!(!newcomer(Some(&roll), &invited(9, 2, Role::Full)), "a larger role, by a key of its own");
        let revoked = Roll::new(3, &[inviter(5, None, None), member(2, Some(NOW))]);
        assert!(!newcomer(Some(&revoked), &invited(1, 2, Role::Worker)));
        assert_eq!(revoked.revoked(key(2).node_id()), Some(NOW));
    }

    #[test]
    fn what_was_written_is_read_and_damage_is_no_empty_roll() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Roll::load(dir.path()).unwrap(), None);
        let lock = DataDir::lock(dir.path()).unwrap();
        let rows = [inviter(1, Some(3), Some(NOW)), member(2, Some(NOW)), member(3, None)];
        Roll::save(&lock, 7, &rows).unwrap();
        assert_eq!(Roll::load(dir.path()).unwrap(), Some(Roll::new(7, &rows)));
        std::fs::write(dir.path().join(NAME), b"\xa1").unwrap();
        assert!(matches!(Roll::load(dir.path()), Err(IdentityError::Damaged { .. })));
    }
}
