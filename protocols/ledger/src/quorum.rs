//! How many members of the committee one must hear to have heard an honest one.

use mesh_proto::genesis::Engine;

/// f + 1 of a committee of so many. Under Raft members trust each other, and one is enough.
#[must_use]
pub fn weak(engine: Engine, members: usize) -> usize {
    match engine {
        Engine::Pbft => members.saturating_sub(1) / 3 + 1,
        Engine::Raft => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_more_than_may_lie() {
        for (members, needed) in [(1, 1), (2, 1), (3, 1), (4, 2), (6, 2), (7, 3), (13, 5), (31, 11)] {
            assert_eq!(weak(Engine::Pbft, members), needed, "{members}");
            assert_eq!(weak(Engine::Raft, members), 1, "{members}");
        }
    }
}
