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

/// [`is_met`] for a birth that all its holders are known to have: its home list is bound by that.
pub fn is_met_by_holders(register: &Register, has: impl Fn(&Holder) -> bool) -> bool {
    is_majority(&register.holders, &has)
}

fn is_majority(holders: &[Holder], has: &impl Fn(&Holder) -> bool) -> bool {
    holders.iter().filter(|holder| has(holder)).count() >= majority(holders.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_majorities_share_a_node() {
        for n in 1..100 {
            assert!(2 * majority(n) > n && majority(n) <= n);
        }
    }
}
