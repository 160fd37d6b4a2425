//! How many replicas are enough. Counted here and nowhere else.

/// The thresholds of a committee of `n`, of which `f` may lie. Sections 2 and 4, for any n.
///
/// With n = 3f + 1 a quorum is 2f + 1. For other n it is the least count of which any two sets share f + 1 replicas, so
/// that one of them is correct: of 5, two sets of 3 may share one replica only, and that one may be the liar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quorums {
    n: usize,
}

impl Quorums {
    #[must_use]
    pub const fn of(n: usize) -> Self {
        Self { n }
    }

    #[must_use]
    pub const fn members(self) -> usize {
        self.n
    }

    /// f: how many may be faulty; 0 below four members.
    #[must_use]
    pub const fn faulty(self) -> usize {
        self.n.saturating_sub(1) / 3
    }

    /// q: any two sets of so many share a correct replica, and so many are correct.
    #[must_use]
    pub const fn quorum(self) -> usize {
        (self.n + self.faulty() + 1).div_ceil(2)
    }

    /// f + 1: one of so many is correct.
    #[must_use]
    pub const fn weak(self) -> usize {
        self.faulty() + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checklist item 1: for every n from 1 to 100.
    #[test]
    fn two_quorums_share_a_correct_replica_and_the_correct_are_a_quorum() {
        for n in 1..=100 {
            let quorums = Quorums::of(n);
            let (f, q, w) = (quorums.faulty(), quorums.quorum(), quorums.weak());
            assert!(2 * q >= n + w, "n = {n}: two quorums of {q} share a correct replica");
            assert!(q + f <= n, "n = {n}: {q} are correct");
            assert!(2 * (q - 1) < n + w, "n = {n}: {q} is the least");
            assert_eq!(w, f + 1);
            assert!(3 * f < n && n <= 3 * f + 3);
        }
    }

    /// Checklist item 1: the table of the checklist, and the way up from one node.
    #[test]
    fn thresholds_are_those_of_the_table() {
        for (n, f, q, w) in [
            (1, 0, 1, 1),
            (2, 0, 2, 1),
            (3, 0, 2, 1),
            (4, 1, 3, 2),
            (5, 1, 4, 2),
            (6, 1, 4, 2),
            (7, 2, 5, 3),
            (10, 3, 7, 4),
            (13, 4, 9, 5),
            (31, 10, 21, 11),
        ] {
            let quorums = Quorums::of(n);
            assert_eq!((quorums.faulty(), quorums.quorum(), quorums.weak()), (f, q, w), "n = {n}");
        }
    }
}
