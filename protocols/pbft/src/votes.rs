//! One vote for each replica.

use mesh_proto::{
    id::Digest,
    key::Signature,
    pbft::{Ballots, ReplicaId, View},
};

/// The votes of one phase for one number: the one of the highest view that each replica sent. So a flood of votes
/// displaces only its sender's own.
#[derive(Clone, Debug)]
pub struct Votes {
    ballots: Vec<Option<Ballot>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ballot {
    pub view: View,
    pub digest: Digest,
    pub signature: Signature,
}

/// What became of a vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cast {
    Counted,
    /// Known, or of a view before one that the replica voted in.
    Old,
    /// The replica voted for this before, in the same view.
    Conflict(Ballot),
}

impl Votes {
    pub fn new(members: usize) -> Self {
        Self { ballots: vec![None; members] }
    }

    pub fn cast(&mut self, replica: ReplicaId, ballot: Ballot) -> Cast {
        let Some(place) = self.ballots.get_mut(replica.index()) else { return Cast::Old };
        match place {
            Some(before) if before.view > ballot.view => Cast::Old,
            Some(before) if before.view == ballot.view && before.digest == ballot.digest => Cast::Old,
            Some(before) if before.view == ballot.view => Cast::Conflict(*before),
            Some(_) | None => {
                *place = Some(ballot);
                Cast::Counted
            }
        }
    }

    /// Of replicas other than `not`, for exactly this.
    pub fn count(&self, view: View, digest: &Digest, not: Option<ReplicaId>) -> usize {
        self.matching(view, digest, not).count()
    }

    /// All that was said.
    pub fn iter(&self) -> impl Iterator<Item = &Ballot> {
        self.ballots.iter().flatten()
    }

    /// The first `count` of these.
    pub fn ballots(&self, view: View, digest: &Digest, not: Option<ReplicaId>, count: usize) -> Ballots {
        let list = self.matching(view, digest, not).take(count).map(|(replica, ballot)| (replica, ballot.signature));
        // They ascend, as the places do.
        Ballots::new(list.collect()).unwrap_or_default()
    }

    fn matching(
        &self,
        view: View,
        digest: &Digest,
        not: Option<ReplicaId>,
    ) -> impl Iterator<Item = (ReplicaId, &Ballot)> {
        let ballots = self.ballots.iter().enumerate().filter_map(|(place, ballot)| {
            // At most 31 members.
            ballot.as_ref().map(|ballot| (ReplicaId::new(place as u8), ballot))
        });
        let digest = *digest;
        ballots.filter(move |(replica, ballot)| ballot.view == view && ballot.digest == digest && Some(*replica) != not)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ballot(view: u64, digest: u8) -> Ballot {
        Ballot {
            view: View::new(view),
            digest: Digest::from_bytes([digest; 32]),
            signature: Signature::from_bytes([digest; 64]),
        }
    }

    /// Checklist item 5: replicas are counted, not messages, and only for the same view and digest.
    #[test]
    fn a_replica_counts_once_and_only_for_what_it_said() {
        let mut votes = Votes::new(4);
        let [r0, r1, r2] = [0, 1, 2].map(ReplicaId::new);
        assert_eq!(votes.cast(r1, ballot(0, 7)), Cast::Counted);
        assert_eq!(votes.cast(r1, ballot(0, 7)), Cast::Old);
        assert_eq!(votes.cast(r2, ballot(0, 8)), Cast::Counted);
        assert_eq!(votes.cast(r0, ballot(1, 7)), Cast::Counted);
        let digest = Digest::from_bytes([7; 32]);
        assert_eq!(votes.count(View::new(0), &digest, None), 1);
        assert_eq!(votes.count(View::new(0), &digest, Some(r1)), 0);
        assert_eq!(votes.cast(ReplicaId::new(9), ballot(0, 7)), Cast::Old, "no such member");
    }

    /// Checklist items 38 and 40: one place for each replica; the first of two conflicting votes stays.
    #[test]
    fn the_highest_view_stays_and_a_conflict_is_shown() {
        let mut votes = Votes::new(4);
        let replica = ReplicaId::new(3);
        assert_eq!(votes.cast(replica, ballot(2, 1)), Cast::Counted);
        assert_eq!(votes.cast(replica, ballot(1, 1)), Cast::Old);
        assert_eq!(votes.cast(replica, ballot(2, 2)), Cast::Conflict(ballot(2, 1)));
        assert_eq!(votes.cast(replica, ballot(3, 2)), Cast::Counted);
        assert_eq!(votes.count(View::new(2), &Digest::from_bytes([1; 32]), None), 0);
    }
}
