//! Whether an end is decided, and on all holders: said by its driver, asked for where that was not heard, and known
//! before it is forgotten.

use crate::{Fact, effect::Context, tasks::Tasks, timers::Kind};
use mesh_proto::{
    id::{NodeId, TaskId},
    task::{Ballot, Item, Register, Version},
};
use std::{collections::BTreeSet, time::Duration};

impl Tasks {
    /// A driver's write is on a majority of its holders.
    pub(crate) fn on_in_force(
        &mut self,
        cx: &mut Context<'_>,
        from: NodeId,
        task: TaskId,
        stamp: (Ballot, Version),
        complete: bool,
    ) {
        if stamp.0.driver != from {
            self.counters.stale_items += 1;
            return;
        }
        match self.shelf.end_stamp(&task) {
            Some(held) if held == stamp => {
                self.shelf.mark_settled(&task);
                if complete {
                    self.shelf.mark_complete(&task);
                    self.timers.clear(task, Kind::Unsure);
                }
            }
            Some(_) => {}
            // A promise under which nothing more can be written here is spent. Not one of another ballot: it may stand for
            // more than this driver knows.
            None => {
                let is_spent = self.shelf.promised(&task) == Some(stamp.0);
                if is_spent && !self.shelf.is_held(&task) && !self.shelf.is_gone(&task) {
                    self.persist(cx, Fact::Dropped { tasks: vec![task] });
                }
            }
        }
    }

    /// Of those that were asked for promises when a record was taken over, the ones that are no holders. Where they are of
    /// its home list a majority of that has copies, and a lower ballot finds none without them; nor can another birth be
    /// completed, since none of that majority has taken one or will (one that was on its way to a released member was
    /// completed by it: simulator, seed 70248). The holders decide alone.
    pub(crate) fn release(&mut self, task: TaskId, register: &Register, asked: &BTreeSet<NodeId>) {
        let holds = |node: &NodeId| register.holders.iter().any(|holder| holder.node == *node);
        let others: Vec<NodeId> = asked.iter().copied().filter(|node| *node != self.me.node && !holds(node)).collect();
        self.say_in_force(task, others.into_iter(), false);
    }

    pub(crate) fn say_in_force(&mut self, task: TaskId, to: impl Iterator<Item = NodeId>, complete: bool) {
        let Some((ballot, version)) = self.shelf.copy(&task).map(|copy| copy.stamp()) else { return };
        for node in to {
            self.send(node, Item::InForce { task, ballot, version, complete });
        }
    }

    /// An end was written here, by another node or before a restart: should its driver not say in time that all holders
    /// have it, it is asked. Later the further down the list of holders this node is, so that where the driver is gone they
    /// look after it one by one.
    pub(crate) fn wait_for_all(&mut self, cx: &mut Context<'_>, task: TaskId, more: Duration) {
        let Some(glance) = self.shelf.glance(&task).filter(|glance| glance.ended.is_some() && !glance.complete) else {
            return;
        };
        let before = glance.holders.iter().take_while(|holder| **holder != self.me);
        let rank = before.filter(|holder| self.roster.is_present(holder)).count();
        let after = self.config.repair_delay * (2 + u32::try_from(rank).unwrap_or(0)) + more;
        self.timers.set(task, Kind::Unsure, cx.now.mono + after);
    }

    pub(crate) fn unsure_due(&mut self, cx: &mut Context<'_>, task: TaskId) {
        self.wait_for_all(cx, task, Duration::ZERO);
        let Some(driver) = self.shelf.promised(&task).map(|promised| promised.driver) else { return };
        let Some((ballot, version)) = self.shelf.end_stamp(&task) else { return };
        match self.roster.seat(&driver).is_some_and(|seat| seat.keeps && !self.roster.is_silent(&driver)) {
            // Its own are looked after in the rounds of repair.
            _ if driver == self.me.node || self.drivers.contains_key(&task) => {}
            true => self.send(driver, Item::Pull { task, ballot, version }),
            false if self.roster.is_partitioned() => {}
            false => self.campaign(cx, task),
        }
    }
}
