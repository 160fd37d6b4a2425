//! Tasks that nobody in reach is able to run: granted when somebody is.

use crate::{
    capability,
    driver::Driver,
    effect::Context,
    roster::{Roster, Seat},
    story::Event,
    tasks::Tasks,
    timers::Kind,
};
use mesh_proto::{
    capability::Requirements,
    control::Lack,
    id::{NodeId, TaskId},
    task::{Birth, Holder, Spec, Strategy},
};
use std::{collections::BTreeSet, ops::Bound};

/// Tasks that are looked at in one turn, where the members are few.
const ROUND: usize = 1_000;

/// Members that are looked at in one turn, for all its tasks together.
const RATED: usize = 100_000;

/// Tasks driven here that wait for somebody able. They wait for no message, so no timer looks after them: whoever comes, or
/// says that it has more than before, makes all of them be looked at.
#[derive(Debug, Default)]
pub struct Seeking {
    tasks: BTreeSet<TaskId>,
    /// From where on they are to be looked at.
    from: Option<Bound<TaskId>>,
    /// And then from the start once more: somebody came meanwhile.
    again: bool,
}

impl Seeking {
    pub fn is_due(&self) -> bool {
        self.from.is_some()
    }

    pub fn remove(&mut self, task: &TaskId) {
        self.tasks.remove(task);
    }

    /// Somebody may be able now who was not.
    pub fn look(&mut self) {
        match self.from {
            _ if self.tasks.is_empty() => {}
            Some(_) => self.again = true,
            None => self.from = Some(Bound::Unbounded),
        }
    }

    /// The next of those that are to be looked at.
    fn take(&mut self, most: usize) -> Vec<TaskId> {
        let Some(from) = self.from.take() else { return Vec::new() };
        let part: Vec<TaskId> = self.tasks.range((from, Bound::Unbounded)).take(most).copied().collect();
        if part.len() == most {
            self.from = part.last().map(|last| Bound::Excluded(*last));
        } else if std::mem::take(&mut self.again) {
            self.from = Some(Bound::Unbounded);
        }
        for task in &part {
            self.tasks.remove(task);
        }
        part
    }
}

impl Tasks {
    /// It was born to nobody. Whoever is able by now is found as after a failed attempt.
    pub(crate) fn seek(&mut self, cx: &mut Context<'_>, task: TaskId) {
        if let Some(Driver::Driving(reign)) = self.drivers.get_mut(&task)
            && reign.pausing.is_none()
        {
            reign.pausing = Some(Vec::new());
            self.timers.clear(task, Kind::Ask);
            self.timers.set(task, Kind::Backoff, cx.now.mono);
        }
    }

    /// Nobody in reach is able: until somebody comes.
    pub(crate) fn wait_for_able(&mut self, cx: &mut Context<'_>, task: TaskId, requirements: &Requirements) {
        let why = lack(&self.roster, requirements).to_string();
        let spec = self.shelf.live_copy(&task).and_then(|copy| Spec::decode(&copy.birth.spec).ok());
        if let Some((of, _)) = spec.and_then(|spec| spec.replica_of()) {
            self.polls.forsake(task, of);
        }
        self.seeking.tasks.insert(task);
        if let Some(Driver::Driving(reign)) = self.drivers.get_mut(&task)
            && !std::mem::replace(&mut reign.lacking, true)
        {
            reign.running = false;
            self.counters.waited += 1;
            self.tell(cx.now, task, Event::Lacked { why });
            self.hold_office(cx, task);
        }
    }

    /// One turn's part of the tasks that wait.
    pub(crate) fn seek_some(&mut self, cx: &mut Context<'_>) {
        let most = (RATED / self.roster.iter().count().max(1)).clamp(1, ROUND);
        for task in self.seeking.take(most) {
            self.backoff_due(cx, task);
        }
    }

    /// Of a task that this node drives and can grant to nobody: why.
    pub fn lack_of(&self, task: &TaskId) -> Option<Lack> {
        let Some(Driver::Driving(reign)) = self.drivers.get(task) else { return None };
        let copy = self.shelf.live_copy(task)?;
        reign.lacking.then(|| lack(&self.roster, &asked_of(&copy.birth).0))
    }
}

/// What a task asks of whoever runs it, and how that one is chosen.
pub(crate) fn asked_of(birth: &Birth) -> (Requirements, Strategy) {
    Spec::decode(&birth.spec).map(|spec| (spec.requirements, spec.strategy)).unwrap_or_default()
}

/// Of the members that can be reached and are able, the first by `rank`, which is told how far each falls short of what is
/// preferred.
pub(crate) fn first_able<R: Ord>(
    roster: &Roster,
    requirements: &Requirements,
    mut rank: impl FnMut(&NodeId, &Seat, u32) -> R,
) -> Option<NodeId> {
    let reachable = roster.iter().filter(|(_, seat)| seat.holds && seat.connected);
    let able = reachable.filter_map(|(node, seat)| {
        let score = capability::rate(requirements, &seat.capabilities).ok()?;
        Some(((seat.is_mute, rank(node, seat, score.shortfall())), node))
    });
    able.min_by(|(one, _), (other, _)| one.cmp(other)).map(|(_, node)| *node)
}

/// Where a node comes by placement: the holders in their order, and then the nearest.
pub(crate) fn nearness(roster: &Roster, task: &TaskId, holders: &[Holder], node: &NodeId) -> (usize, [u8; 32]) {
    match holders.iter().position(|holder| holder.node == *node) {
        Some(position) => (position, [0; 32]),
        None => (holders.len(), roster.distance(node, task)),
    }
}

fn lack(roster: &Roster, requirements: &Requirements) -> Lack {
    let mut lacked: Vec<_> = requirements.hard().map(|requirement| (requirement.clone(), 0)).collect();
    let (mut members, mut away) = (0, 0);
    for (_, seat) in roster.iter().filter(|(_, seat)| seat.holds) {
        members += 1;
        let mut is_able = true;
        for (_, count) in lacked.iter_mut().filter(|(one, _)| !capability::is_met(one, &seat.capabilities)) {
            *count += 1;
            is_able = false;
        }
        away += u32::from(is_able && !seat.connected);
    }
    lacked.retain(|(_, count)| *count > 0);
    Lack { members, away, lacked }
}
