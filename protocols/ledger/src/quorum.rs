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

/// How many of so many may fail while the committee goes on: f of 3f + 1 may lie under pBFT, f of 2f + 1 be down under
/// Raft.
#[must_use]
pub fn tolerated(engine: Engine, members: usize) -> usize {
    members.saturating_sub(1) / step(engine)
}

/// The most members of so many of whom none is beyond what tolerates a fault more: 1, 4, 7 … under pBFT, 1, 3, 5 … under
/// Raft.
#[must_use]
pub fn tolerant(engine: Engine, members: usize) -> usize {
    tolerated(engine, members) * step(engine) + 1
}

/// Members that it takes to tolerate one fault more.
fn step(engine: Engine) -> usize {
    match engine {
        Engine::Pbft => 3,
        Engine::Raft => 2,
    }
}

/// Of so many members, how many must take part for the committee to go on.
#[must_use]
pub fn needed(engine: Engine, members: usize) -> usize {
    match engine {
        Engine::Pbft => strong(members),
        Engine::Raft => members / 2 + 1,
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
    fn what_is_tolerated_leaves_a_quorum() {
        for engine in [Engine::Pbft, Engine::Raft] {
            for members in 1..=31 {
                assert!(members - tolerated(engine, members) >= needed(engine, members), "{engine:?} {members}");
                assert!(tolerant(engine, members) <= members, "{engine:?} {members}");
                assert_eq!(
                    tolerated(engine, tolerant(engine, members)),
                    tolerated(engine, members),
                    "{engine:?} {members}"
                );
            }
        }
        for (members, faults, quorum) in [(1, 0, 1), (2, 0, 2), (3, 1, 2), (4, 1, 3), (5, 2, 3), (7, 3, 4)] {
            let of_raft = (tolerated(Engine::Raft, members), needed(Engine::Raft, members));
            assert_eq!(of_raft, (faults, quorum), "{members}");
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
