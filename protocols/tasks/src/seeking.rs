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
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
};

/// Tasks that are looked at in one turn, where the members are few.
const ROUND: usize = 1_000;

/// Members that are looked at in one turn, for all its tasks together.
const RATED: usize = 100_000;

/// Kinds of requirements that a member who came is measured by in one turn.
const MEASURED: usize = 10_000;

/// Tasks driven here that wait for somebody able. They wait for no message, so no timer looks after them: whoever comes, or
/// says that it has more than before, makes those be looked at of which it has what they ask.
#[derive(Debug, Default)]
pub struct Seeking {
    /// By what they ask, in words.
    classes: BTreeMap<Arc<str>, Class>,
    class_of: BTreeMap<TaskId, Arc<str>>,
    /// Of which somebody may be able now.
    due: BTreeMap<Arc<str>, Due>,
    /// Who came, and from which class on it is still to be measured.
    came: BTreeMap<NodeId, Bound<Arc<str>>>,
}

/// Those that ask the same.
#[derive(Debug)]
struct Class {
    requirements: Requirements,
    tasks: BTreeSet<TaskId>,
}

#[derive(Debug, Default)]
struct Due {
    /// The last that was looked at.
    after: Option<TaskId>,
    /// And then from the start once more: somebody came meanwhile.
    again: bool,
}

impl Seeking {
    pub fn is_due(&self) -> bool {
        !self.due.is_empty() || !self.came.is_empty()
    }

    fn insert(&mut self, task: TaskId, requirements: &Requirements) {
        if self.class_of.contains_key(&task) {
            return;
        }
        let text: Arc<str> = requirements.to_string().into();
        let text = self.classes.get_key_value(&text).map_or(text, |(one, _)| Arc::clone(one));
        let class = self.classes.entry(Arc::clone(&text));
        let new = || Class { requirements: requirements.clone(), tasks: BTreeSet::new() };
        class.or_insert_with(new).tasks.insert(task);
        self.class_of.insert(task, text);
    }

    pub fn remove(&mut self, task: &TaskId) {
        let Some(text) = self.class_of.remove(task) else { return };
        if let Some(class) = self.classes.get_mut(&text) {
            class.tasks.remove(task);
            if class.tasks.is_empty() {
                self.classes.remove(&text);
            }
        }
    }

    /// This member may be able now where nobody was.
    pub fn look_at(&mut self, node: NodeId) {
        if !self.classes.is_empty() {
            self.came.insert(node, Bound::Unbounded);
        }
    }

    /// Measures those that came, so much of it. How often.
    fn measure(&mut self, roster: &Roster, most: usize) -> usize {
        let mut measured = 0;
        while measured < most
            && let Some((node, from)) = self.came.pop_first()
        {
            let Some(seat) = roster.seat(&node).filter(|seat| seat.holds && seat.connected) else { continue };
            for (text, class) in self.classes.range((from, Bound::Unbounded)) {
                if measured == most {
                    break;
                }
                measured += 1;
                if capability::rate(&class.requirements, &seat.capabilities).is_ok() {
                    self.due.entry(Arc::clone(text)).and_modify(|due| due.again = true).or_default();
                }
                self.came.insert(node, Bound::Excluded(Arc::clone(text)));
            }
            if measured < most {
                self.came.remove(&node);
            }
        }
        measured
    }

    /// The next of those that are to be looked at.
    fn take(&mut self, most: usize) -> Vec<TaskId> {
        let mut part: Vec<TaskId> = Vec::new();
        while part.len() < most
            && let Some((text, due)) = self.due.pop_first()
        {
            let from = due.after.map_or(Bound::Unbounded, Bound::Excluded);
            let before = part.len();
            if let Some(class) = self.classes.get(&text) {
                part.extend(class.tasks.range((from, Bound::Unbounded)).take(most - before));
            }
            if part.len() == most {
                self.due.insert(text, Due { after: part.last().copied(), ..due });
            } else if due.again {
                self.due.insert(text, Due::default());
                break;
            }
        }
        part.iter().for_each(|task| self.remove(task));
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
        let copy = self.shelf.live_copy(&task).filter(|copy| Spec::may_be_a_replica(&copy.birth.spec));
        let spec = copy.and_then(|copy| Spec::decode(&copy.birth.spec).ok());
        if let Some((of, _)) = spec.and_then(|spec| spec.replica_of()) {
            self.polls.forsake(task, of);
        }
        self.seeking.insert(task, requirements);
        if let Some(Driver::Driving(reign)) = self.drivers.get_mut(&task)
            && !std::mem::replace(&mut reign.lacking, true)
        {
            reign.running = false;
            let why = lack(&self.roster, requirements).to_string();
            self.counters.waited += 1;
            self.tell(cx.now, task, Event::Lacked { why });
            self.hold_office(cx, task);
        }
    }

    /// One turn's part of the tasks that wait.
    pub(crate) fn seek_some(&mut self, cx: &mut Context<'_>) {
        if !self.seeking.is_due() {
            return;
        }
        self.seeking.measure(&self.roster, MEASURED);
        let most = (RATED / self.roster.count().max(1)).clamp(1, ROUND);
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

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_proto::{capability::Capabilities, id::StoreId};

    fn node(n: u8) -> NodeId {
        NodeId::from_bytes([n; 32])
    }

    fn task(n: u32) -> TaskId {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        TaskId::from_bytes(bytes)
    }

    fn asked(text: &str) -> Requirements {
        text.parse().unwrap()
    }

    /// Two members; the second can be reached.
    fn roster() -> Roster {
        let mut roster = Roster::new(Holder { node: node(1), store: StoreId(1) }, true);
        roster.admit(node(2), StoreId(2), true);
        roster.change(&node(2), |seat| seat.connected = true);
        roster
    }

    #[test]
    fn whoever_comes_makes_those_be_looked_at_of_which_it_has_what_they_ask() {
        let (mut seeking, mut roster) = (Seeking::default(), roster());
        (0..100_000).for_each(|n| seeking.insert(task(n), &asked("gpu>=1")));
        (0..10).for_each(|n| seeking.insert(task(200_000 + n), &asked("zone=eu")));
        roster.set_capabilities(&node(2), &Capabilities::parse(["zone=eu"]).unwrap());
        seeking.look_at(node(2));
        assert_eq!(seeking.measure(&roster, MEASURED), 2, "by what is asked, however many ask it");
        assert_eq!(seeking.take(1_000), (0..10).map(|n| task(200_000 + n)).collect::<Vec<_>>());
        assert!(!seeking.is_due() && seeking.take(1_000).is_empty());
        // A word of who cannot be reached changes nothing.
        roster.change(&node(2), |seat| seat.connected = false);
        seeking.look_at(node(2));
        assert_eq!(seeking.measure(&roster, MEASURED), 0);
        assert!(!seeking.is_due());
    }

    #[test]
    fn what_is_asked_is_measured_a_part_at_a_time_and_all_of_it() {
        let (mut seeking, mut roster) = (Seeking::default(), roster());
        (0..10).for_each(|n| seeking.insert(task(n), &asked(&format!("cores>={n}"))));
        roster.set_capabilities(&node(2), &Capabilities::parse(["cores=100"]).unwrap());
        seeking.look_at(node(2));
        assert_eq!([(); 4].map(|()| seeking.measure(&roster, 3)), [3, 3, 3, 1]);
        assert_eq!(seeking.take(100).len(), 10);
        assert!(!seeking.is_due());
    }

    /// What was taken is put back where nobody is able after all, and must not be taken for ever.
    #[test]
    fn each_is_looked_at_once_for_each_that_came() {
        let (mut seeking, mut roster) = (Seeking::default(), roster());
        (0..7).for_each(|n| seeking.insert(task(n), &asked("gpu")));
        roster.set_capabilities(&node(2), &Capabilities::parse(["gpu"]).unwrap());
        seeking.look_at(node(2));
        let mut looks = 0;
        for turn in 0..20 {
            if turn == 1 {
                seeking.look_at(node(2));
            }
            seeking.measure(&roster, 3);
            let part = seeking.take(3);
            looks += part.len();
            part.into_iter().for_each(|task| seeking.insert(task, &asked("gpu")));
        }
        assert_eq!((looks, seeking.is_due()), (14, false));
        (0..7).for_each(|n| seeking.remove(&task(n)));
        assert!(seeking.classes.is_empty() && seeking.class_of.is_empty());
    }
}
