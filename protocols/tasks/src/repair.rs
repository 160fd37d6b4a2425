//! Copies on disks that are lost, or on members that have been silent for long, are made anew elsewhere.

use crate::{
    config::{CATCH_UP, TICK},
    driver::Driver,
    effect::Context,
    story::Event,
    tasks::Tasks,
};
use mesh_proto::{
    id::TaskId,
    task::{Holder, Register},
};
use std::ops::Bound;

/// Records looked at in one round: bounds the time of a round.
const ROUND: usize = 1_000;

impl Tasks {
    /// One round: the first present holder of each record with a lost one takes it over, which replaces what is lost.
    /// Not while partitioned, when it would be the others that are alive. True if it is not through all records yet.
    pub(crate) fn repair(&mut self, cx: &mut Context<'_>) -> bool {
        let (now, delay) = (cx.now.mono, self.config.repair_delay);
        if self.roster.is_partitioned() {
            return false;
        }
        let wanted = self.wanted_copies();
        let begun_max = rounds_share(self.config.repair_rate);
        let start = self.repair_cursor.map_or(Bound::Unbounded, Bound::Excluded);
        let mut hurt: Vec<TaskId> = Vec::new();
        let (mut last, mut named) = (None, 0);
        if self.repair_cursor.take().is_none() {
            self.drain.begin_look();
        }
        for (scanned, (task, copy)) in self.shelf.glances(start).enumerate() {
            if scanned >= ROUND || hurt.len() >= begun_max {
                self.repair_cursor = last;
                break;
            }
            last = Some(*task);
            let holders = copy.holders;
            // Who left the mesh may still be connected, but takes nothing over.
            let stays = |holder: &Holder| self.roster.is_present(holder) && !self.roster.is_lost(holder, now, delay);
            // A driver that ended a task and died may have left a holder without it, which nobody remembers.
            let is_unsure_after = |delay| {
                let is_over = |at| at > cx.now.wall || cx.now.wall.since(at) >= delay;
                !copy.complete && copy.ended.is_some_and(is_over)
            };
            // Nothing is to be had of looking after one that drains while there are too few others.
            let has_others = wanted >= self.full_list(holders);
            let is_lost =
                |holder: &Holder| self.roster.is_lost(holder, now, delay) && (has_others || !self.may_stay(holder));
            let is_hurt = match self.looks_after(holders, stays) {
                true => is_unsure_after(delay) || holders.len() < wanted || holders.iter().any(is_lost),
                // It may be the first that is without it: then whoever wrote the end does it, if the first has not.
                false => copy.driver == self.me.node && is_unsure_after(delay * 2),
            };
            // What is only kept for others, the rest of its holders may have forgotten, and never promise.
            let is_old = |at| cx.now.wall.since(at) > self.promise_kept_for() && !self.shelf.is_undecided(task);
            let is_old = copy.ended.is_some_and(is_old);
            named += usize::from(!is_old && holders.contains(&self.me));
            if copy.is_confirmed && is_hurt && !is_old {
                hurt.push(*task);
            }
        }
        self.drain.saw(named);
        if self.repair_cursor.is_none() {
            self.drain.end_look();
        }
        for task in hurt {
            match self.drivers.get(&task) {
                None => self.take_over(cx, task),
                Some(Driver::Driving(_)) => self.replace_lost(cx, task),
                Some(Driver::Campaigning(_)) => {}
            }
        }
        self.repair_cursor.is_some()
    }

    /// As many as a list of holders is to have, if it had so many.
    fn full_list(&self, holders: &[Holder]) -> usize {
        self.config.copies.min(holders.len())
    }

    /// It drains, and has its copy.
    fn may_stay(&self, holder: &Holder) -> bool {
        self.roster.drains(&holder.node) && (*holder == self.me || self.roster.is_present(holder))
    }

    /// As many as there should be, and can.
    pub(crate) fn wanted_copies(&self) -> usize {
        self.config.copies.min(self.roster.present())
    }

    /// The driver's part: a write whose holders are the present ones and the closest members that are not yet among them.
    /// A change of holders that is under way is aimed anew when some of the new ones are lost: whatever it is aimed at, it
    /// has to be on a majority of the old ones, so that of two such at most one comes into force without the other. Not so
    /// one that was adopted, which may have been in force: then its holders decide without the old ones. And not a birth that
    /// is settled, of which `joint` is the home list: its holders are the ones that others may decide with alone.
    pub(crate) fn replace_lost(&mut self, cx: &mut Context<'_>, task: TaskId) {
        let (now, delay) = (cx.now.mono, self.config.repair_delay);
        let Some(copy) = self.shelf.copy(&task) else { return };
        let Some(Driver::Driving(reign)) = self.drivers.get(&task) else { return };
        let register = copy.register_to_change();
        // None before the last write is settled.
        let is_change = register.joint.is_some();
        if is_change && !reign.is_own_change || register.joint.as_ref() == Some(&copy.birth.home) {
            return;
        }
        if !is_change && !reign.in_force && register.ending().is_none() && reign.acked.len() > 1 {
            return;
        }
        let (mut lost, mut kept): (Vec<Holder>, Vec<Holder>) =
            register.holders.iter().copied().partition(|holder| self.roster.is_lost(holder, now, delay));
        let wanted = self.wanted_copies();
        if lost.is_empty() && (is_change || kept.len() >= wanted) || self.roster.is_partitioned() {
            return;
        }
        let candidates = self.roster.nearest_to_take(&task, self.config.home + register.holders.len() + 1);
        let fresh: Vec<Holder> = candidates
            .into_iter()
            .filter(|holder| (self.roster.is_present(holder) || *holder == self.me) && !kept.contains(holder))
            .take(wanted.saturating_sub(kept.len()))
            .collect();
        // One that drains has what it has, and is let go for another that takes it: of fewer holders one that is dead, and not yet
        // known to be, is all that a majority lacks (simulator, seed 87).
        let short = self.full_list(&register.holders).saturating_sub(kept.len() + fresh.len());
        let (stay, gone): (Vec<Holder>, Vec<Holder>) = lost.into_iter().partition(|holder| self.may_stay(holder));
        kept.extend(stay.iter().take(short));
        lost = stay.into_iter().skip(short).chain(gone).collect();
        let still = register.holders.iter().filter(|holder| kept.contains(holder));
        let holders: Vec<Holder> = still.chain(&fresh).copied().collect();
        if holders.is_empty() || holders == register.holders || fresh.is_empty() && kept.len() < wanted {
            return;
        }
        self.counters.repairs += 1;
        for (lost, by) in lost.iter().zip(&fresh) {
            self.tell(cx.now, task, Event::Replaced { lost: lost.node, by: by.node });
        }
        let old = register.joint.clone().unwrap_or_else(|| register.holders.clone());
        self.write(cx, task, Register { joint: Some(old), holders, ..register });
        if let Some(Driver::Driving(reign)) = self.drivers.get_mut(&task) {
            reign.is_own_change = true;
        }
    }
}

/// Of what may be begun in a second, the part of one round.
fn rounds_share(a_second: u32) -> usize {
    let rounds = TICK.as_millis() / CATCH_UP.as_millis();
    (a_second as usize / rounds as usize).max(1)
}
