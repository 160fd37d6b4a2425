//! Whom to ask for pieces of a state.

use mesh_proto::id::NodeId;
use std::collections::BTreeSet;

/// Members in turn, without those that let a question pass or answered with what is not the state: each transfer waits for
/// one that keeps its pieces to itself, and a replica whose peers take checkpoints faster than that would stay behind.
#[derive(Debug, Default)]
pub struct Sources {
    doubted: BTreeSet<NodeId>,
    turn: usize,
}

impl Sources {
    /// Not asked again before all others are doubted, too.
    pub fn doubt(&mut self, member: NodeId) {
        self.doubted.insert(member);
    }

    /// Whose turn it is, if there are any others.
    pub fn next(&mut self, others: &[NodeId]) -> Option<NodeId> {
        self.doubted.retain(|doubted| others.contains(doubted));
        if self.doubted.len() == others.len() {
            // More than f of them lie, messages are lost, or a disk is bad somewhere: there is nobody better.
            self.doubted.clear();
        }
        let in_turn = (0..others.len()).map(|step| (self.turn + step) % others.len());
        let place = in_turn.into_iter().find(|place| !self.doubted.contains(&others[*place]))?;
        self.turn = place + 1;
        Some(others[place])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_proto::key::SecretKey;

    fn nodes(count: u8) -> Vec<NodeId> {
        (1..=count).map(|seed| SecretKey::from_bytes(&[seed; 32]).node_id()).collect()
    }

    #[test]
    fn all_have_their_turn_and_the_doubted_have_it_once_nobody_else_is_left() {
        let others = nodes(3);
        let mut sources = Sources::default();
        let asked: BTreeSet<_> = (0..3).filter_map(|_| sources.next(&others)).collect();
        assert_eq!(asked.len(), 3);
        sources.doubt(others[1]);
        assert!((0..6).all(|_| sources.next(&others).is_some_and(|member| member != others[1])));
        sources.doubt(others[0]);
        assert_eq!(sources.next(&others), Some(others[2]));
        sources.doubt(others[2]);
        let asked: BTreeSet<_> = (0..3).filter_map(|_| sources.next(&others)).collect();
        assert_eq!(asked.len(), 3);
    }

    #[test]
    fn who_is_no_member_any_more_is_forgotten() {
        let others = nodes(3);
        let mut sources = Sources::default();
        sources.doubt(others[0]);
        assert_eq!(sources.next(&others[1..]), Some(others[1]));
        assert!((0..3).any(|_| sources.next(&others) == Some(others[0])));
        assert_eq!(sources.next(&[]), None);
    }
}
