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

/// Whether a majority of the register's holders `has` it, and of the holders that it replaces.
pub fn is_met(register: &Register, has: impl Fn(&Holder) -> bool) -> bool {
    is_majority(&register.holders, &has) && register.joint.as_ref().is_none_or(|joint| is_majority(joint, &has))
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
        Register { holders: list(holders), joint: joint.map(list), state: State::Assigned(attempt), failed: vec![] }
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
