//! How many members of the committee one must hear.

use mesh_proto::genesis::Engine;

/// f + 1 of a committee of so many: one of them is honest. Under Raft members trust each other, and one is enough.
#[must_use]
pub fn weak(engine: Engine, members: usize) -> usize {
    match engine {
        Engine::Pbft => members.saturating_sub(1) / 3 + 1,
        Engine::Raft => 1,
    }
}

/// A quorum under pBFT: of so many members the least of whom any two sets share an honest one. What orders their
/// batches counts alike; a test of who knows both compares them.
#[must_use]
pub fn strong(members: usize) -> usize {
    (members + weak(Engine::Pbft, members)).div_ceil(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_quorums_share_an_honest_member() {
        for members in 1..=31 {
            let (quorum, weak) = (strong(members), weak(Engine::Pbft, members));
            assert!(2 * quorum >= members + weak && quorum + weak <= members + 1, "{members}");
        }
        for (members, needed) in [(1, 1), (2, 2), (3, 2), (4, 3), (5, 4), (7, 5), (13, 9), (31, 21)] {
            assert_eq!(strong(members), needed, "{members}");
        }
    }

    #[test]
    fn one_more_than_may_lie() {
        for (members, needed) in [(1, 1), (2, 1), (3, 1), (4, 2), (6, 2), (7, 3), (13, 5), (31, 11)] {
            assert_eq!(weak(Engine::Pbft, members), needed, "{members}");
            assert_eq!(weak(Engine::Raft, members), 1, "{members}");
        }
    }
}
