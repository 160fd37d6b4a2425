//! What goes with a disk that is lost, and what is left without it.

use super::{Checks, Write, registers};
use mesh_proto::{
    id::{StoreId, TaskId},
    task::Holder,
};

impl Checks {
    /// Whether the disk of `store` can be lost and nobody loses what a majority of intact disks must tell: every
    /// record whose holders still have such a majority keeps it.
    pub fn may_lose(&self, store: StoreId) -> bool {
        self.may_lose_histories(store, self.registers.all())
    }

    /// As [`Self::may_lose`], where only these tasks are still of interest to anybody.
    pub fn may_lose_of<'a>(&self, store: StoreId, tasks: impl Iterator<Item = &'a TaskId>) -> bool {
        self.may_lose_histories(store, tasks.map(|task| self.registers.history(task)))
    }

    /// Whether a majority of the holders of what was last in force has its disk yet: else nobody can make copies anew.
    pub fn has_majority(&self, task: &TaskId) -> bool {
        self.has_majority_of_last(task, Write::is_in_force)
    }

    /// Whether it can be known what is to become of the latest that is on a disk: of a birth that nobody was told of
    /// the other holders may have died before they had it, and no majority of them can say so any more.
    pub fn may_be_settled(&self, task: &TaskId) -> bool {
        self.has_majority_of_last(task, |write| !write.on.is_empty())
    }

    fn has_majority_of_last(&self, task: &TaskId, counts: impl Fn(&Write) -> bool) -> bool {
        let writes = self.registers.history(task).iter().filter(|write| counts(write));
        let is_there = |holder: &&Holder| self.disks.is_intact(holder.store);
        let has_most = |holders: &[Holder]| holders.iter().filter(is_there).count() > holders.len() / 2;
        let last = writes.max_by_key(|write| registers::precedence(write.key));
        last.is_none_or(|write| write.register.lists().all(|holders| has_most(holders)))
    }

    fn may_lose_histories<'a>(&self, store: StoreId, mut histories: impl Iterator<Item = &'a [Write]>) -> bool {
        let safe = |holders: &[Holder]| {
            let others = holders.iter().filter(|one| one.store != store && self.disks.is_intact(one.store)).count();
            // Of who left it can still be had what those who have not heard of that need.
            let is_there = self.disks.get(store).is_some_and(|disk| disk.intact);
            let named = is_there && holders.iter().any(|holder| holder.store == store);
            let majority = holders.len() / 2 + 1;
            others + usize::from(named) < majority || others >= majority
        };
        let is_safe = |write: &Write| write.register.lists().all(|holders| safe(holders));
        histories.all(|history| {
            // A birth that was given up may have the greatest key.
            let last = |counts: fn(&&Write) -> bool| {
                history.iter().filter(counts).max_by_key(|write| registers::precedence(write.key))
            };
            let (newest, in_force) = (last(|write| !write.on.is_empty()), last(|write| write.is_in_force()));
            newest.is_none_or(is_safe) && in_force.is_none_or(is_safe)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::{
        check::sample::{ballot, birth, ended, node, register, task},
        count::Counts,
    };
    use mesh_proto::task::{How, Version};
    use mesh_tasks::Fact;

    fn store(n: u8) -> StoreId {
        StoreId(u64::from(n))
    }

    fn world() -> (Checks, Counts) {
        let mut checks = Checks::default();
        (0..4).for_each(|n| checks.disks.born(store(n), node(n)));
        (checks, Counts::default())
    }

    fn birth_on(checks: &mut Checks, counts: &mut Counts, n: u8) {
        let register = register(&[0, 1, 2], 1);
        let fact = Fact::Held { birth: birth(1), ballot: ballot(0, 0), version: Version::BIRTH, register };
        checks.persisted(store(n), &fact, counts);
    }

    #[test]
    fn a_birth_on_one_disk_is_settled_by_nobody_once_the_others_are_gone() {
        let (mut checks, mut counts) = world();
        birth_on(&mut checks, &mut counts, 0);
        checks.disks.lost(store(1));
        assert!(checks.may_be_settled(&task(1)) && !checks.may_lose_of(store(2), [task(1)].iter()));
        assert!(checks.may_lose_of(store(3), [task(1)].iter()) && checks.may_lose_of(store(2), [task(9)].iter()));
        checks.disks.lost(store(2));
        assert!(!checks.may_be_settled(&task(1)));
        assert!(checks.has_majority(&task(1)), "nothing was ever in force");
        assert!(checks.may_be_settled(&task(9)), "nobody has it");
    }

    #[test]
    fn an_end_that_was_in_force_loses_its_majority_with_the_disks_that_have_it() {
        let (mut checks, mut counts) = world();
        let end = ended(&[0, 1, 2], How::Cancelled, 0);
        let fact = Fact::Written { task: task(1), ballot: ballot(0, 0), version: Version(2), register: end };
        checks.users.wants_end(task(1));
        [0, 1, 2].iter().for_each(|n| checks.persisted(store(*n), &fact, &mut counts));
        checks.disks.lost(store(0));
        assert!(checks.has_majority(&task(1)));
        checks.disks.lost(store(1));
        assert!(!checks.has_majority(&task(1)));
    }
}
