//! Whether this node is cut off from most of the mesh, and since when it is not any more.

use crate::{Lasting, Member, peers::Peers};
use mesh_proto::time::Mono;
use std::time::Duration;

/// Of the other members that hold tasks, joined and neither left nor removed, however long silent: how many are not
/// believed to be gone. One that this process has not met yet is none of them until it had the time-out to be reached, so
/// that a node that starts, or was frozen, is not cut off before it has tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    pub known: usize,
    pub reached: usize,
}

impl Reach {
    pub(crate) fn of(now: Mono, peers: &Peers) -> Self {
        let connected = peers.holding_len();
        let mut reach = Self { known: connected, reached: connected };
        for (_, peer) in peers.away().filter(|(_, peer)| Member::holds_tasks(&peer.member)) {
            let is_there = !peer.silent && peer.was_met;
            reach.reached += usize::from(is_there);
            reach.known += usize::from(is_there || peer.counts_from <= now);
        }
        reach
    }

    /// Fewer than half. A node that knows nobody is the whole mesh.
    pub fn is_short(&self) -> bool {
        self.reached * 2 < self.known
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Began,
    /// Enough are back; the first that came back did so then.
    Healed {
        since: Mono,
    },
}

/// The state of being cut off. It begins when too few have been in reach for a while, and ends as soon as enough are.
#[derive(Debug, Default)]
pub(crate) struct Partition {
    reach: Reach,
    short: Lasting,
    /// The fewest that were in reach since it began.
    fewest: usize,
    /// Since when there are more than that.
    healing: Option<Mono>,
}

impl Partition {
    pub(crate) fn look(&mut self, now: Mono, reach: Reach, patience: Duration) -> Option<Turn> {
        let was = self.short.holds();
        self.reach = reach;
        let holds = self.short.look(now, reach.is_short(), patience);
        match (was, holds) {
            (false, false) => None,
            (false, true) => {
                (self.fewest, self.healing) = (reach.reached, None);
                Some(Turn::Began)
            }
            (true, true) => {
                self.fewest = self.fewest.min(reach.reached);
                self.healing = (reach.reached > self.fewest).then(|| self.healing.unwrap_or(now));
                None
            }
            (true, false) => Some(Turn::Healed { since: self.healing.take().unwrap_or(now) }),
        }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.short.holds()
    }

    /// As of the last look.
    pub(crate) fn reach(&self) -> Reach {
        self.reach
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(3);

    /// At so many seconds so many of so many are in reach.
    fn turns(looks: &[(u64, usize, usize)]) -> Vec<(u64, Turn)> {
        let mut partition = Partition::default();
        let mut turns = Vec::new();
        for (s, reached, known) in looks {
            let reach = Reach { known: *known, reached: *reached };
            turns.extend(partition.look(Mono(s * 1_000_000), reach, PATIENCE).map(|turn| (*s, turn)));
        }
        turns
    }

    #[test]
    fn a_node_alone_is_the_whole_mesh_and_half_of_the_others_are_enough() {
        assert_eq!(turns(&[(0, 0, 0), (100, 0, 0)]), []);
        assert_eq!(turns(&[(0, 1, 2), (100, 1, 2), (200, 3, 6)]), []);
        assert_eq!(turns(&[(0, 0, 1), (3, 0, 1)]), [(3, Turn::Began)]);
        assert_eq!(turns(&[(0, 2, 6), (2, 2, 6), (3, 2, 6), (4, 2, 6)]), [(3, Turn::Began)]);
        assert_eq!(turns(&[(0, 0, 2), (2, 1, 2), (3, 0, 2), (5, 1, 2), (6, 0, 2)]), [], "what comes and goes is none");
    }

    #[test]
    fn it_heals_with_the_first_that_comes_back_and_stays() {
        let healed = |s: u64| Turn::Healed { since: Mono(s * 1_000_000) };
        let cut = [(0, 1, 6), (3, 1, 6)];
        let after = |looks: &[(u64, usize, usize)]| turns(&[&cut[..], looks].concat())[1..].to_vec();
        assert_eq!(after(&[(10, 3, 6)]), [(10, healed(10))]);
        assert_eq!(after(&[(10, 2, 6), (12, 2, 6), (13, 3, 6)]), [(13, healed(10))]);
        assert_eq!(after(&[(10, 2, 6), (12, 1, 6), (15, 2, 6), (16, 3, 6)]), [(16, healed(15))], "it was lost again");
        assert_eq!(after(&[(5, 0, 6), (9, 1, 6), (10, 3, 6)]), [(10, healed(9))]);
    }
}
