//! Who must have a register on disk before it is in force. Quorums are counted here and nowhere else.

use mesh_proto::task::{Holder, Register};

/// The least number of `n` nodes of which any two such sets share one.
pub fn majority(n: usize) -> usize {
    n / 2 + 1
}

/// How many holders a placement needs: any two births of one id meet in one. DESIGN section 7.
pub fn holders_needed(home: usize) -> usize {
    majority(home)
}

/// Whether a majority of the register's holders `has` it, of the holders that it replaces, and of those of each birth that
/// was passed by.
pub fn is_met(register: &Register, has: impl Fn(&Holder) -> bool) -> bool {
    register.lists().all(|holders| is_majority(holders, &has))
}

/// How many of `n` that could hold a record of `copies` must know nothing of it before nothing can be decided about it
/// with what the others hold.
pub fn nothing_left(n: usize, copies: usize) -> usize {
    (n + 1).saturating_sub(majority(copies.min(n)))
}

/// Whether a majority of these has it.
pub fn is_majority(holders: &[Holder], has: &impl Fn(&Holder) -> bool) -> bool {
    holders.iter().filter(|holder| has(holder)).count() >= majority(holders.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_proto::{
        id::{NodeId, StoreId},
        task::{Attempt, State},
        time::Wall,
    };

    fn holder(n: u8) -> Holder {
        Holder { node: NodeId::from_bytes([n; 32]), store: StoreId(u64::from(n)) }
    }

    fn register(holders: &[u8], joint: Option<&[u8]>) -> Register {
        let list = |numbers: &[u8]| numbers.iter().map(|n| holder(*n)).collect();
        let attempt = Attempt { number: 1, executor: holder(1).node, granted: Wall(0) };
        Register {
            holders: list(holders),
            joint: joint.map(list),
            passed_by: vec![],
            state: State::Assigned(attempt),
            failed: vec![],
        }
    }

    #[test]
    fn holders_of_births_passed_by_are_asked_each_by_each() {
        let all = [1, 2, 3, 4, 5];
        let passed_by = vec![vec![holder(1), holder(4), holder(5)], vec![holder(3), holder(4), holder(5)]];
        let register = Register { passed_by, ..register(&[1, 2, 3], Some(&all)) };
        let met = |has: &[u8]| is_met(&register, |holder| has.contains(&holder.node.as_bytes()[0]));
        assert!(!met(&[1, 2, 3]) && !met(&[1, 2, 4]) && met(&[1, 3, 4]));
    }

    #[test]
    fn what_the_others_hold_is_no_majority_when_so_many_know_nothing() {
        // (members of a home list, copies, as many)
        for (n, copies, least) in [(5, 3, 4), (3, 3, 2), (4, 3, 3), (2, 3, 1), (1, 3, 1)] {
            assert_eq!(nothing_left(n, copies), least, "{n}");
            assert!(n - least < majority(copies.min(n)));
        }
    }

    #[test]
    fn a_joint_register_needs_a_majority_of_each_list() {
        let old = [1, 2, 3];
        // (holders, joint, who has it, met)
        type Case<'a> = (&'a [u8], Option<&'a [u8]>, &'a [u8], bool);
        let cases: [Case<'_>; 12] = [
            (&[1, 2, 3], None, &[1], false),
            (&[1, 2, 3], None, &[1, 3], true),
            (&[1, 2, 3], None, &[4, 5, 6], false),
            (&[1], None, &[1], true),
            (&[1, 2], None, &[1], false),
            (&[], None, &[1, 2, 3], false),
            (&[4, 5, 6], Some(&old), &[4, 5, 6], false),
            (&[4, 5, 6], Some(&old), &[1, 2, 3], false),
            (&[4, 5, 6], Some(&old), &[1, 2, 5], false),
            (&[4, 5, 6], Some(&old), &[1, 2, 5, 6], true),
            (&[2, 3, 4], Some(&old), &[2, 3], true),
            (&[1, 2, 3], Some(&[1, 2, 3, 4, 5]), &[1, 2], false),
        ];
        for (holders, joint, has, met) in cases {
            let register = register(holders, joint);
            let has = |holder: &Holder| has.contains(&holder.node.as_bytes()[0]);
            assert_eq!(is_met(&register, has), met, "{register:?}");
        }
    }

    #[test]
    fn another_disk_of_a_holder_does_not_count() {
        let register = register(&[1, 2, 3], None);
        let other = |n: u8| Holder { store: StoreId(99), ..holder(n) };
        assert!(!is_met(&register, |asked| [other(1), other(2), holder(3)].contains(asked)));
    }

    #[test]
    fn two_majorities_share_a_node() {
        for n in 1..100 {
            assert!(2 * majority(n) > n && majority(n) <= n);
        }
    }
}
