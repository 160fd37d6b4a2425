//! From one epoch's committee to the next.

use crate::Membership;
use mesh_proto::{
    domain::Epoch,
    id::NodeId,
    pbft::{EpochConfig, EpochConfigError, Sequence},
};

/// Why a change of the committee is not possible.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    #[error("{0} is a member already")]
    Member(NodeId),
    #[error("{0} is no member")]
    NoMember(NodeId),
    #[error("{left} members would be left, of {fewest} at least")]
    TooFew { left: usize, fewest: u32 },
    #[error(transparent)]
    Config(#[from] EpochConfigError),
}

/// The epoch behind `config`, if `change` is executed at `sequence`: from the next checkpoint on, with one member more or
/// less. A pure function, so that an application can tell its user what will come of a change.
pub fn changed(config: &EpochConfig, change: Membership, sequence: Sequence) -> Result<EpochConfig, ChangeError> {
    let mut members = config.members.clone();
    match (
        change,
        members.binary_search(match &change {
            Membership::Add(node) | Membership::Remove(node) => node,
        }),
    ) {
        (Membership::Add(node), Err(place)) => members.insert(place, node),
        (Membership::Remove(_), Ok(place)) => drop(members.remove(place)),
        (Membership::Add(node), Ok(_)) => return Err(ChangeError::Member(node)),
        (Membership::Remove(node), Err(_)) => return Err(ChangeError::NoMember(node)),
    }
    if members.len() < config.fewest as usize {
        return Err(ChangeError::TooFew { left: members.len(), fewest: config.fewest });
    }
    let epoch = Epoch(config.epoch.0.saturating_add(1));
    let next = EpochConfig { epoch, start: config.boundary(sequence), members, ..config.clone() };
    next.check()?;
    Ok(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(n: u8) -> NodeId {
        NodeId::from_bytes([n; 32])
    }

    /// Checklist item 37: one member more or less, never fewer than the epoch allows.
    #[test]
    fn a_change_adds_or_removes_one() {
        let config = EpochConfig::genesis((1..=4).map(node)).unwrap();
        let at = Sequence::new(5);
        let grown = changed(&config, Membership::Add(node(9)), at).unwrap();
        assert_eq!((grown.members.len(), grown.epoch, grown.start), (5, Epoch(1), Sequence::new(128)));
        assert_eq!(changed(&config, Membership::Add(node(1)), at), Err(ChangeError::Member(node(1))));
        assert_eq!(changed(&config, Membership::Remove(node(9)), at), Err(ChangeError::NoMember(node(9))));
        let few = ChangeError::TooFew { left: 3, fewest: 4 };
        assert_eq!(changed(&config, Membership::Remove(node(1)), at), Err(few));
        let small = EpochConfig { fewest: 1, ..config };
        assert_eq!(changed(&small, Membership::Remove(node(1)), at).unwrap().members.len(), 3);
    }

    /// Checklist item 36: at the next checkpoint at or behind it.
    #[test]
    fn a_change_is_in_force_from_the_next_boundary() {
        let config = EpochConfig::genesis((1..=4).map(node)).unwrap();
        for (at, start) in [(1, 128), (127, 128), (128, 128), (129, 256)] {
            let next = changed(&config, Membership::Add(node(9)), Sequence::new(at)).unwrap();
            assert_eq!(next.start, Sequence::new(start));
        }
    }
}
