//! A replica that is asked for once more, under another id: what became of it as it was asked for before nobody can say.
//!
//! It is a task as any other. Where most of the disks that its birth was sent to are lost, it is in nobody's force, and whoever
//! has the rest waits for them. A user would submit another task; so does whoever polls, who is to have the word of that member,
//! under whichever id. The former is wished to be cancelled. Should its member still say what came of it, that is its word.

use super::{Poll, Polls, Replica, State, Todo, encoded, replica::replica_of};
use crate::{
    Roster,
    effect::{Context, Waiter},
    quorum,
    story::Event,
    tasks::Tasks,
};
use mesh_proto::{
    id::{NodeId, TaskId},
    limits,
    time::Mono,
};

impl Replica {
    /// How often it was asked for before.
    pub(super) fn times_before(&self) -> u8 {
        u8::try_from(self.before.len()).unwrap_or(u8::MAX)
    }

    fn is_under_way(&self) -> bool {
        matches!(self.state, State::Asked | State::Refused(_))
    }
}

impl Polls {
    /// Its member has said what came of it as it was asked for there: as it was asked for last nobody waits for it.
    pub(super) fn said_of(&mut self, task: &TaskId, node: &NodeId, replica: &TaskId) {
        let asked = self.open.get_mut(task).and_then(|poll| poll.replica(node));
        if let Some(last) = asked.filter(|asked| asked.task != *replica)
            && self.asked.remove(&last.number).is_some()
        {
            self.todo.push_back(Todo::Cancel(last.number, last.task));
        }
    }

    /// From here on its word alone is waited for.
    pub(super) fn placed(&mut self, task: &TaskId, node: &NodeId) {
        if let Some(replica) = self.open.get_mut(task).and_then(|poll| poll.replica(node)) {
            replica.unplaced = None;
        }
    }

    /// There is no room for it yet: for that it need not be another.
    pub(super) fn has_no_room(&mut self, task: &TaskId, node: &NodeId, now: Mono) {
        let replica = self.open.get_mut(task).and_then(|poll| poll.replica(node));
        if let Some(unplaced) = replica.and_then(|replica| replica.unplaced.as_mut()) {
            *unplaced = now;
        }
    }
}

impl Tasks {
    /// Those that could be placed, and are not, for long; and where nobody else is left to be asked, those that take too long,
    /// once: they may have lost what they were asked, and most of its holders their disks.
    pub(super) fn ask_some_again(&mut self, cx: &mut Context<'_>, task: TaskId) {
        let (now, patience, home) = (cx.now.mono, self.config.replica_again, self.config.home);
        let Some(poll) = self.polls.open.get(&task) else { return };
        let is_last = self.others_for(&task, poll).next().is_none();
        let roster = &self.roster;
        let is_to_repeat = |poll: &Poll, replica: &Replica| {
            let is_unplaced = replica.unplaced.is_some_and(|since| now.since(since) > patience);
            let queues = || roster.seat(&replica.node).is_some_and(|seat| seat.load.queued > 0);
            let is_late = || now.since(replica.since) > poll.limit() && !queues();
            let is_silent =
                || is_last && replica.before.is_empty() && is_late() && can_place(roster, &replica.task, home);
            replica.times_before() < limits::ASKED_AGAIN && (is_unplaced || is_silent())
        };
        let Some(poll) = self.polls.open.get_mut(&task) else { return };
        for replica in &mut poll.replicas {
            if replica.unplaced.is_some() && !can_place(roster, &replica.task, home) {
                // What is nowhere yet need not be another one to be placed.
                replica.unplaced = Some(now);
            }
        }
        let may_answer = |replica: &&Replica| replica.is_under_way() && !roster.is_silent(&replica.node);
        let again = poll.replicas.iter().filter(may_answer).filter(|replica| is_to_repeat(poll, replica));
        let again: Vec<NodeId> = again.map(|replica| replica.node).collect();
        for node in again {
            self.ask_again(cx, task, node);
        }
    }

    fn ask_again(&mut self, cx: &mut Context<'_>, task: TaskId, node: NodeId) {
        let (now, network, number) = (cx.now.mono, self.network, self.polls.next);
        let Some(poll) = self.polls.open.get_mut(&task) else { return };
        let before = poll.replica(&node).map_or(0, |replica| replica.times_before());
        let spec = replica_of(&poll.spec, &task, (node, before + 1), cx.now.wall);
        let Some(replica) = poll.replica(&node) else { return };
        let (former, under) = (replica.task, replica.number);
        replica.before.push(former);
        (replica.task, replica.number, replica.state) = (spec.id(&network), number, State::Asked);
        (replica.since, replica.unplaced) = (now, Some(now));
        let repeated = replica.task;
        self.polls.next = self.polls.next.wrapping_add(1);
        self.polls.asked.remove(&under);
        self.polls.todo.push_back(Todo::Cancel(under, former));
        self.polls.asked.insert(number, (task, node));
        self.polls.replicas.insert(repeated, (task, node));
        self.counters.replicas_again += 1;
        let why = format!("nothing comes of replica {former} on {node}, which is asked again as {repeated}");
        self.tell(cx.now, task, Event::Lacked { why });
        self.submit(cx, Waiter { request: Waiter::POLLS, index: number }, encoded(&spec), true);
    }
}

/// Whether so many of its home list are there that it can be placed.
fn can_place(roster: &Roster, task: &TaskId, length: usize) -> bool {
    let home = roster.home(task, length);
    home.iter().filter(|holder| roster.is_present(holder)).count() >= quorum::holders_needed(home.len())
}
