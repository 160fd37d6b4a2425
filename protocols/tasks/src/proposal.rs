//! A birth that a promise stands in the way of, where whoever was promised is gone, or drives nothing.
//!
//! Nobody may hold what the promise was asked for, so nobody takes over, and the key would be barred for as long as promises
//! are kept. Whoever refuses the birth asks for promises itself, and proposes it where a majority has no other: a proposer of
//! Paxos with a value of its own (Lamport, "Paxos Made Simple", 2.2).

use crate::{effect::Context, holder::is_birth, tasks::Tasks, timers::Kind};
use mesh_proto::{
    id::{NodeId, TaskId},
    task::{Ballot, Held, Item, Version},
};
use std::{collections::BTreeMap, time::Duration};

/// Births kept at a time until somebody says whether he drives their task: their users send them again.
const WAITING: usize = 1_000;
/// So long an answer is waited for.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Births that wait to hear whether he that was promised drives their task.
#[derive(Debug, Default)]
pub struct Proposals(BTreeMap<TaskId, Held>);

impl Proposals {
    pub fn forget(&mut self, task: &TaskId) {
        self.0.remove(task);
    }
}

impl Tasks {
    /// A birth was refused, for a promise to another and for nothing that is held here.
    pub(crate) fn propose(&mut self, cx: &mut Context<'_>, held: Held, promised: Ballot) {
        let (task, birth) = (held.birth.task, &held.birth);
        let is_known = self.drivers.contains_key(&task) || self.shelf.is_gone(&task);
        if is_known || self.is_forgotten(cx, birth.born) || !self.has_room {
            return;
        }
        let home = self.roster.home(&task, self.config.home);
        let is_mine = held.register.holders.contains(&self.me) && home == birth.home;
        if !is_mine || !is_birth(birth, held.ballot, &held.register) {
            return;
        }
        let driver = promised.driver;
        if driver == self.me.node || self.roster.is_silent(&driver) {
            self.campaign_for(cx, held);
        } else if self.proposals.0.len() < WAITING {
            self.proposals.0.insert(task, held);
            self.timers.set(task, Kind::Watch, cx.now.mono + ANSWER_WITHIN);
            self.send(driver, Item::Pull { task, ballot: promised, version: Version(0) });
        }
    }

    /// Somebody has the task: it needs no birth of this node's.
    pub(crate) fn drop_proposal(&mut self, task: &TaskId) {
        if self.proposals.0.remove(task).is_some() {
            self.timers.clear(*task, Kind::Watch);
        }
    }

    /// Whoever was promised says that it drives nothing.
    pub(crate) fn propose_instead_of(&mut self, cx: &mut Context<'_>, from: NodeId, task: TaskId) {
        if self.shelf.promised(&task).is_none_or(|promised| promised.driver != from) {
            return;
        }
        if let Some(held) = self.proposals.0.remove(&task).filter(|_| !self.shelf.is_held(&task)) {
            self.timers.clear(task, Kind::Watch);
            self.campaign_for(cx, held);
        }
    }
}
