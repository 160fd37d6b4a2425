//! What a driver says to the holders of ended tasks that its own are to start after: that it needs them, until it does no more.
//!
//! How it ended is asked for again each time: so what is gone for all that is found out before somebody looks for it in vain, and
//! holders that took the place of others hear of it as well.

use crate::{dependents::Awaiting, driver::Driver, effect::Context, reign::Reign, tasks::Tasks, timers::Kind};
use mesh_proto::{
    id::{NodeId, TaskId},
    task::{Item, Register, Spec},
    time::Mono,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// By what is needed. Soft, as all that a driver knows beside its records.
#[derive(Debug, Default)]
pub struct Needs(BTreeMap<TaskId, Need>);

#[derive(Debug, Default)]
struct Need {
    /// Tasks that are driven here and are to start after it, or take something of its result.
    dependents: BTreeSet<TaskId>,
    holders: Vec<NodeId>,
}

impl Needs {
    pub fn contains(&self, dependency: &TaskId) -> bool {
        self.0.contains_key(dependency)
    }
}

impl Tasks {
    /// A driver takes over what was granted already: whoever runs it takes of the results of others, or will when it is granted
    /// again.
    pub(crate) fn need_inputs(&mut self, cx: &mut Context<'_>, task: TaskId, spec: &[u8]) {
        let taken = taken(spec);
        let Some(Driver::Driving(reign)) = self.drivers.get_mut(&task) else { return };
        if taken.is_empty() || reign.awaiting.is_some() {
            return;
        }
        reign.awaiting = Some(Box::new(Awaiting { known: taken.clone(), ..Awaiting::default() }));
        taken.into_iter().for_each(|dependency| self.follow_for(cx, task, dependency));
    }

    /// It was granted, and needs no more of those of whose results it takes nothing.
    pub(crate) fn need_only_inputs(&mut self, task: TaskId, spec: &[u8]) {
        let reign = self.drivers.get_mut(&task).and_then(Driver::reign_mut);
        let Some(Reign { awaiting: Some(awaiting), .. }) = reign else { return };
        let taken = taken(spec);
        let others: Vec<TaskId> = awaiting.known.difference(&taken).copied().collect();
        awaiting.known.retain(|dependency| taken.contains(dependency));
        for dependency in &others {
            let holders = self.drop_need(&task, dependency);
            self.say_not_needed(*dependency, holders);
        }
    }

    /// Whoever ran it could not have what it takes: whether that is gone for all is found out.
    pub(crate) fn ask_after_inputs(&mut self, cx: &mut Context<'_>, task: TaskId) {
        let reign = self.drivers.get(&task).and_then(Driver::reign);
        let Some(Reign { awaiting: Some(awaiting), .. }) = reign else { return };
        for dependency in awaiting.known.clone() {
            self.follow_for(cx, task, dependency);
        }
    }

    /// It has ended well: those that wait for it need its record, and its holders are told.
    pub(crate) fn need(&mut self, cx: &mut Context<'_>, dependency: TaskId, register: &Register, by: BTreeSet<TaskId>) {
        if by.is_empty() {
            return;
        }
        let holders: Vec<NodeId> = register.holders.iter().map(|holder| holder.node).collect();
        holders.iter().for_each(|node| self.send(*node, Item::Needed { task: dependency, still: true }));
        let need = self.needs.0.entry(dependency).or_default();
        need.dependents.extend(by);
        need.holders = holders;
        self.need_again(cx.now.mono, dependency);
    }

    /// Often enough for a holder to hear of it whatever is lost, and the more there are, the less often.
    fn need_again(&mut self, now: Mono, dependency: TaskId) {
        let pace = Duration::from_millis(self.needs.0.len() as u64);
        self.timers.set(dependency, Kind::Need, now + (self.config.needed_for / 4).max(pace));
    }

    pub(crate) fn need_due(&mut self, cx: &mut Context<'_>, dependency: TaskId) {
        let Some(need) = self.needs.0.get(&dependency) else { return };
        let (dependents, holders) = (need.dependents.clone(), need.holders.clone());
        self.need_again(cx.now.mono, dependency);
        let is_asked = self.gateway.following.contains_key(&dependency);
        let until = cx.now.mono + self.config.absent_after;
        let following = self.gateway.following.entry(dependency).or_default();
        dependents.into_iter().for_each(|task| following.dependents.insert(task, until));
        if !is_asked {
            following.holders = holders;
            self.ask_holders(cx, dependency);
        }
    }

    /// It has ended: of all that it was to start after it needs nothing any more.
    pub(crate) fn release_inputs(&mut self, task: &TaskId) {
        for dependency in self.take_inputs(task) {
            let holders = self.drop_need(task, &dependency);
            self.say_not_needed(dependency, holders);
        }
    }

    /// Another may drive it: what this node said of its needs is left to lapse. Should it be taken back at once, and the other be
    /// gone before it has said anything, what the task needs would be forgotten, and the task cancelled for want of it.
    pub(crate) fn leave_inputs(&mut self, task: &TaskId) {
        for dependency in self.take_inputs(task) {
            self.drop_need(task, &dependency);
        }
    }

    fn take_inputs(&mut self, task: &TaskId) -> BTreeSet<TaskId> {
        let Some(Driver::Driving(reign)) = self.drivers.get_mut(task) else { return BTreeSet::new() };
        reign.awaiting.take().map_or_else(BTreeSet::new, |awaiting| {
            let Awaiting { mut open, known, .. } = *awaiting;
            open.extend(known);
            open
        })
    }

    fn say_not_needed(&mut self, dependency: TaskId, holders: BTreeSet<NodeId>) {
        holders.into_iter().for_each(|node| self.send(node, Item::Needed { task: dependency, still: false }));
    }

    /// Who holds it, if nothing that is driven here needs it any more.
    fn drop_need(&mut self, task: &TaskId, dependency: &TaskId) -> BTreeSet<NodeId> {
        let mut holders = BTreeSet::new();
        let mut is_needed = false;
        if let Some(following) = self.gateway.following.get_mut(dependency) {
            following.dependents.remove(task);
            is_needed |= !following.dependents.is_empty();
            holders.extend(&following.holders);
            if following.is_idle() {
                self.gateway.following.remove(dependency);
                self.timers.clear(*dependency, Kind::Follow);
            }
        }
        if let Some(need) = self.needs.0.get_mut(dependency) {
            need.dependents.remove(task);
            is_needed |= !need.dependents.is_empty();
            holders.extend(&need.holders);
            if need.dependents.is_empty() {
                self.needs.0.remove(dependency);
                self.timers.clear(*dependency, Kind::Need);
            }
        }
        if is_needed { BTreeSet::new() } else { holders }
    }
}

/// Of whose results it takes something.
fn taken(spec: &[u8]) -> BTreeSet<TaskId> {
    let after = Spec::decode(spec).map(|spec| spec.after).unwrap_or_default();
    after.into_iter().filter(|dependency| !dependency.takes.is_empty()).map(|dependency| dependency.task).collect()
}
