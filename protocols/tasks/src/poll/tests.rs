//! Five members that run tasks several times, among them some that lie, in one world without delays.

mod again;
mod lies;
mod places;

use super::*;
use crate::{Config, Effect, Load, Tasks};
use mesh_proto::{
    capability::{Capabilities, Requirements},
    id::{LogPosition, NetworkId, StoreId},
    key::SecretKey,
    task::{Birth, Holder, How, Item, OnIsolation, Payload, Priority, Program, Status, Strategy, TaskKey, spec_digest},
    time::{Now, Wall},
};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;

const NETWORK: NetworkId = NetworkId::from_bytes([9; 32]);
const START: Wall = Wall(1_800_000_000_000);

struct Mesh {
    nodes: Vec<Tasks>,
    keys: Vec<SecretKey>,
    positions: Vec<LogPosition>,
    down: BTreeSet<usize>,
    /// Who gives a wrong result, the same as all of them.
    liars: BTreeSet<usize>,
    /// Who gives a result that nobody else has.
    wrong: BTreeSet<usize>,
    /// Who does not sign.
    mute: BTreeSet<usize>,
    /// Who does not come to an end.
    hung: BTreeSet<usize>,
    unfinished: Vec<(usize, Arc<Birth>, u32)>,
    /// What each says that it took, in microseconds.
    cpu_us: u64,
    /// Who says at every moment that others wait before what it was asked.
    queues: Option<usize>,
    /// Who drives replicas to no end: what it is told came of them it drops, and ends them as cancelled.
    enders: BTreeSet<usize>,
    /// Of these nobody but who has them hears that they are on a disk, as where the others were lost.
    stuck: BTreeSet<TaskId>,
    /// In whose place another counts what it likes.
    forged: Option<(usize, Outcome)>,
    executed: Vec<(usize, TaskId)>,
    answers: Vec<Answer>,
    now: Now,
    rng: ChaCha8Rng,
}

fn spec(redundancy: u8) -> Spec {
    Spec {
        principal: "ada".into(),
        key: TaskKey::Own(vec![redundancy]),
        born: START,
        program: Program::Sha256,
        input: Payload::empty(),
        files: Vec::new(),
        priority: Priority::Medium,
        time_limit_ms: 1000,
        deadline: None,
        retries: 0,
        job: None,
        unique: false,
        requirements: Requirements::default(),
        strategy: Strategy::default(),
        on_isolation: OnIsolation::default(),
        redundancy,
        after: Vec::new(),
        trace: [0; 16],
    }
}

fn said(text: &str) -> Outcome {
    let stdout = Payload::Inline(text.as_bytes().to_vec().into());
    Outcome { status: Status::Exit(0), stdout, ..Outcome::failed(FailureKind::Lost, "") }
}

impl Mesh {
    fn new(size: usize) -> Self {
        let keys: Vec<SecretKey> = (1..=size as u8).map(|n| SecretKey::from_bytes(&[n; 32])).collect();
        let config = || Config { slots: 2, ..Config::default() };
        let holder = |key: &SecretKey| Holder { node: key.node_id(), store: StoreId(7) };
        let new = |key| Tasks::new(config(), NETWORK, holder(key), true, &Capabilities::default());
        let mut mesh = Self {
            nodes: keys.iter().map(new).collect(),
            positions: vec![LogPosition::START; size],
            keys,
            down: BTreeSet::new(),
            liars: BTreeSet::new(),
            wrong: BTreeSet::new(),
            mute: BTreeSet::new(),
            hung: BTreeSet::new(),
            unfinished: Vec::new(),
            cpu_us: 5,
            queues: None,
            enders: BTreeSet::new(),
            stuck: BTreeSet::new(),
            forged: None,
            executed: Vec::new(),
            answers: Vec::new(),
            now: Now { mono: Mono(1_000_000), wall: START },
            rng: ChaCha8Rng::seed_from_u64(1),
        };
        for (one, other) in pairs(size) {
            let node = mesh.id(other);
            mesh.call(one, |tasks, cx| tasks.member(cx, node, StoreId(7), true));
            mesh.call(one, |tasks, cx| tasks.up(cx, node));
        }
        mesh
    }

    fn id(&self, node: usize) -> NodeId {
        self.keys[node].node_id()
    }

    fn call(&mut self, node: usize, call: impl FnOnce(&mut Tasks, &mut Context<'_>)) {
        let mut effects = Vec::new();
        let position = self.positions[node];
        let cx = &mut Context { now: self.now, rng: &mut self.rng, effects: &mut effects, position };
        call(&mut self.nodes[node], cx);
        self.positions[node] = cx.position;
        for effect in effects {
            match effect {
                Effect::Execute { birth, attempt, .. } => self.execute(node, birth, attempt),
                Effect::Answer(answer) => self.answers.push(answer),
                Effect::Persist(_) | Effect::Cancel { .. } => {}
            }
        }
        self.carry(node);
    }

    fn carry(&mut self, from: usize) {
        for (to, mut items) in self.nodes[from].take_items() {
            let to = self.keys.iter().position(|key| key.node_id() == to).expect("a member");
            self.forge(from, &mut items);
            items.retain(|item| !self.is_lost(item));
            let dropped = if self.enders.contains(&to) { drop_words(&mut items) } else { Vec::new() };
            let from = self.id(from);
            if !self.down.contains(&to) {
                self.call(to, |tasks, cx| tasks.items(cx, from, items));
            }
            for (index, task) in dropped.into_iter().enumerate() {
                let waiter = Waiter { request: 9, index: index as u32 };
                self.call(to, |tasks, cx| tasks.cancel(cx, waiter, task));
            }
        }
    }

    fn is_lost(&self, item: &Item) -> bool {
        let says_so = matches!(item, Item::Placed { .. } | Item::Promise { .. } | Item::Wrote { .. });
        says_so && item.task().is_some_and(|task| self.stuck.contains(&task))
    }

    /// What one that lies about the count reports in place of it.
    fn forge(&self, from: usize, items: &mut [Item]) {
        let Some((_, forged)) = self.forged.as_ref().filter(|(forger, _)| *forger == from) else { return };
        for item in items {
            if let Item::Report { outcome, .. } = item
                && outcome.seal.is_none()
            {
                *outcome = Arc::new(forged.clone());
            }
        }
    }

    fn execute(&mut self, node: usize, birth: Arc<Birth>, attempt: u32) {
        self.executed.push((node, birth.task));
        match self.hung.contains(&node) {
            true => self.unfinished.push((node, birth, attempt)),
            false => self.finish(node, &birth, attempt),
        }
    }

    fn finish(&mut self, node: usize, birth: &Birth, attempt: u32) {
        let task = birth.task;
        let mut outcome = match () {
            () if self.liars.contains(&node) => said("41"),
            () if self.wrong.contains(&node) => said(&format!("about {node}")),
            () => said("42"),
        };
        outcome.cpu_us = self.cpu_us;
        let spec = Spec::decode(&birth.spec).unwrap();
        if let Program::Echo = spec.program {
            outcome.stdout = spec.input.clone();
        }
        if let Some((of, _)) = spec.replica_of().filter(|_| !self.mute.contains(&node)) {
            outcome.seal(&self.keys[node], &NETWORK, &Sealable { task: of, work: spec.work() });
        }
        self.call(node, |tasks, cx| tasks.executed(cx, task, attempt, outcome.into()));
    }

    /// Seconds pass, each node doing what is due.
    fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds * 10 {
            let step = Duration::from_millis(100);
            self.now = Now { mono: self.now.mono + step, wall: self.now.wall + step };
            let queues = self.queues.map(|node| self.id(node));
            for node in 0..self.nodes.len() {
                if let Some(queues) = queues {
                    self.nodes[node].load_of(queues, Load { slots: 2, running: 2, queued: 1 });
                }
                if !self.down.contains(&node) {
                    self.call(node, |tasks, cx| tasks.handle_deadline(cx));
                }
            }
        }
    }

    fn submit(&mut self, spec: &Spec) -> TaskId {
        let encoded = encoded(spec);
        let waiter = Waiter { request: 1, index: 0 };
        self.call(0, |tasks, cx| tasks.submit(cx, waiter, encoded, true));
        spec.id(&NETWORK)
    }

    fn kill(&mut self, node: usize) {
        self.down.insert(node);
        let gone = self.id(node);
        for other in 0..self.nodes.len() {
            if !self.down.contains(&other) {
                self.call(other, |tasks, cx| tasks.silent(cx, gone));
            }
        }
    }

    /// How it ended, by what the user was told.
    fn end(&self, task: TaskId) -> Option<(How, Outcome)> {
        self.answers.iter().find_map(|answer| match answer {
            Answer::Ended { task: ended, register, .. } if *ended == task => {
                let ending = register.ending()?;
                Some((ending.how, ending.outcome.clone()?))
            }
            _ => None,
        })
    }

    /// For who looks why it failed.
    fn story(&self, task: TaskId) -> Vec<(usize, Wall, String)> {
        let of = |(at, node): (usize, &Tasks)| node.story.of(&task).map(move |(when, line)| (at, when, line)).collect();
        self.nodes.iter().enumerate().flat_map(|one| -> Vec<_> { of(one) }).collect()
    }

    fn drawn(&self, task: &TaskId) -> Vec<usize> {
        let order = draw(task, &Requirements::default(), drawable(self.nodes[0].roster()));
        let at = |node: NodeId| self.keys.iter().position(|key| key.node_id() == node).unwrap();
        order.into_iter().map(|one| at(one.node)).collect()
    }

    fn check(&self, spec: &Spec, outcome: &Outcome) -> Result<(), CountError> {
        verify(&NETWORK, &spec.id(&NETWORK), spec, outcome, drawable(self.nodes[1].roster()))
    }

    fn executors(&self) -> BTreeSet<usize> {
        self.executed.iter().map(|(node, _)| *node).collect()
    }
}

/// What came of replicas. Returns which.
fn drop_words(items: &mut Vec<Item>) -> Vec<TaskId> {
    let word = |item: &Item| match item {
        Item::Report { task, outcome, .. } if outcome.seal.is_some() => Some(*task),
        _ => None,
    };
    let dropped = items.iter().filter_map(word).collect();
    items.retain(|item| word(item).is_none());
    dropped
}

fn pairs(size: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..size).flat_map(move |one| (0..size).filter(move |other| *other != one).map(move |other| (one, other)))
}

fn counted(outcome: &Outcome) -> &[Sealed] {
    outcome.count.as_ref().map_or(&[], |count| &count.said)
}

fn output(outcome: &Outcome) -> String {
    match &outcome.stdout {
        Payload::Inline(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => format!("{other:?}"),
    }
}

#[test]
fn as_many_as_are_asked_for_run_it_each_once_and_agree() {
    for redundancy in 2..=5 {
        let mut mesh = Mesh::new(5);
        let task = mesh.submit(&spec(redundancy));
        mesh.pass(1);
        let (how, outcome) = mesh.end(task).unwrap();
        assert_eq!((how, output(&outcome).as_str()), (How::Done, "42"));
        assert_eq!(mesh.check(&spec(redundancy), &outcome), Ok(()));
        let drawn: BTreeSet<usize> = mesh.drawn(&task).into_iter().take(usize::from(redundancy)).collect();
        assert!(mesh.executors().is_subset(&drawn));
        assert!(counted(&outcome).len() * 2 > usize::from(redundancy));
        assert_eq!(mesh.executed.len(), mesh.executors().len(), "none runs it twice");
        assert_eq!(outcome.cpu_us, 5 * counted(&outcome).len() as u64);
        assert!(mesh.nodes.iter().all(|node| node.polls.count() == 0 && node.polls.asked.is_empty()));
    }
}

/// Whoever they are: the majority is honest, and its result is taken.
#[test]
fn two_liars_of_five_are_outvoted_and_are_held_worse_for_it() {
    for (one, other) in pairs(5) {
        let mut mesh = Mesh::new(5);
        mesh.liars = BTreeSet::from([one, other]);
        let task = mesh.submit(&spec(5));
        mesh.pass(1);
        let (how, outcome) = mesh.end(task).unwrap();
        assert_eq!((how, output(&outcome).as_str()), (How::Done, "42"), "n{one} and n{other} lie");
        assert_eq!(mesh.check(&spec(5), &outcome), Ok(()));
        let dissent: BTreeSet<NodeId> =
            counted(&outcome).iter().filter(|one| one.result != outcome.result()).map(|one| one.node).collect();
        assert!(dissent.iter().all(|node| *node == mesh.id(one) || *node == mesh.id(other)), "kept as evidence");
        let judged = mesh.nodes.iter().map(|node| node.counters().dissents).sum::<u64>();
        assert_eq!(judged, dissent.len() as u64);
    }
}

/// One in whose place another would be asked now does not spoil what the others said. Without a majority of those that are
/// drawn it is none.
#[test]
fn members_that_come_later_do_not_undo_a_count_while_most_of_those_that_spoke_are_drawn() {
    let mut mesh = Mesh::new(5);
    let task = mesh.submit(&spec(3));
    mesh.pass(1);
    let (_, mut outcome) = mesh.end(task).unwrap();
    // All three that were asked, as it comes where they end together.
    let of = Sealable { task, work: spec(3).work() };
    let said = mesh.drawn(&task).into_iter().take(3).filter_map(|node| {
        outcome.seal(&mesh.keys[node], &NETWORK, &of);
        outcome.sealed(&NETWORK, &of, mesh.id(node))
    });
    let said: Vec<Sealed> = said.collect();
    outcome.count = Some(Count { asked: 3, said });
    assert_eq!((counted(&outcome).len(), mesh.check(&spec(3), &outcome)), (3, Ok(())));
    let capabilities = Capabilities::default();
    let newcomers = (100..=u8::MAX).map(|seed| SecretKey::from_bytes(&[seed; 32]).node_id());
    let newcomers = newcomers.map(|node| Drawable { node, capabilities: &capabilities, connected: true });
    let is_among_them = |one: &Drawable<'_>| {
        let members = drawable(mesh.nodes[0].roster()).chain([*one]);
        draw(&task, &Requirements::default(), members).iter().take(1).any(|first| first.node == one.node)
    };
    let newcomers: Vec<Drawable<'_>> = newcomers.filter(is_among_them).take(2).collect();
    assert_eq!(newcomers.len(), 2);
    let check = |newcomers: &[Drawable<'_>]| {
        let members = drawable(mesh.nodes[1].roster()).chain(newcomers.iter().copied());
        verify(&NETWORK, &task, &spec(3), &outcome, members)
    };
    assert_eq!(check(&newcomers[..1]), Ok(()));
    assert!(matches!(check(&newcomers), Err(CountError::NotDrawn(_))));
}

#[test]
fn where_there_is_no_majority_more_are_asked() {
    let mut mesh = Mesh::new(5);
    let task = spec(3).id(&NETWORK);
    let drawn = mesh.drawn(&task);
    mesh.wrong = drawn[..2].iter().copied().collect();
    mesh.submit(&spec(3));
    mesh.pass(1);
    let (how, outcome) = mesh.end(task).unwrap();
    assert_eq!((how, output(&outcome).as_str()), (How::Done, "42"));
    assert_eq!((mesh.executors().len(), counted(&outcome).len()), (5, 5));
    assert_eq!(mesh.check(&spec(3), &outcome), Ok(()));
}

#[test]
fn when_nobody_agrees_and_nobody_is_left_it_fails_with_what_all_said() {
    let mut mesh = Mesh::new(4);
    mesh.wrong = (0..4).collect();
    let task = mesh.submit(&spec(3));
    mesh.pass(2);
    let (how, outcome) = mesh.end(task).unwrap();
    assert_eq!((how, counted(&outcome).len()), (How::Failed, 4));
    assert!(matches!(&outcome.status, Status::Failed(failure) if failure.kind == FailureKind::NoMajority));
    assert_eq!(mesh.check(&spec(3), &outcome), Ok(()));
}

#[test]
fn who_dies_or_hangs_or_does_not_sign_is_replaced() {
    let task = spec(3).id(&NETWORK);
    let drawn = Mesh::new(5).drawn(&task);
    // The node that the user asks is not the one that is lost.
    let lost = *drawn[..3].iter().find(|node| **node != 0).unwrap();
    for what in ["dead", "hung", "mute"] {
        let mut mesh = Mesh::new(5);
        // One of the others says something else, so that two of the three are not enough.
        mesh.wrong.extend(drawn[..3].iter().find(|node| **node != lost));
        match what {
            "dead" => mesh.kill(lost),
            "hung" => assert!(mesh.hung.insert(lost)),
            _ => assert!(mesh.mute.insert(lost)),
        }
        mesh.submit(&spec(3));
        mesh.pass(if what == "hung" { 40 } else { 10 });
        let (how, outcome) = mesh.end(task).unwrap_or_else(|| panic!("{what}: {:#?}", mesh.story(task)));
        assert_eq!((how, output(&outcome).as_str()), (How::Done, "42"), "{what}");
        let gone = mesh.id(lost);
        assert!(counted(&outcome).iter().all(|one| one.node != gone), "{what}");
    }
}

#[test]
fn fewer_members_than_are_asked_for_are_waited_for() {
    let mut mesh = Mesh::new(5);
    mesh.kill(3);
    mesh.kill(4);
    mesh.wrong.insert(1);
    let task = mesh.submit(&spec(4));
    mesh.pass(20);
    assert_eq!(mesh.end(task), None, "two of four are no majority");
    mesh.down.remove(&4);
    let back = mesh.id(4);
    for node in 0..3 {
        mesh.call(node, |tasks, cx| tasks.up(cx, back));
        let other = mesh.id(node);
        mesh.call(4, |tasks, cx| tasks.up(cx, other));
    }
    mesh.pass(20);
    assert_eq!(mesh.end(task).map(|(_, outcome)| output(&outcome)), Some("42".into()));
}

#[test]
fn who_was_gone_and_is_back_is_asked_again() {
    let mut mesh = Mesh::new(3);
    let task = spec(3).id(&NETWORK);
    mesh.hung.insert(2);
    mesh.wrong.insert(1);
    mesh.submit(&spec(3));
    mesh.pass(1);
    mesh.kill(2);
    mesh.pass(20);
    assert_eq!(mesh.end(task), None);
    mesh.hung.clear();
    mesh.down.remove(&2);
    for (one, other) in [(0, 2), (2, 0), (1, 2), (2, 1)] {
        let node = mesh.id(other);
        mesh.call(one, |tasks, cx| tasks.up(cx, node));
    }
    for (node, birth, attempt) in std::mem::take(&mut mesh.unfinished) {
        mesh.finish(node, &birth, attempt);
    }
    mesh.pass(20);
    assert_eq!(mesh.end(task).map(|(_, outcome)| output(&outcome)), Some("42".into()));
}

#[test]
fn a_task_that_is_cancelled_takes_its_replicas_with_it() {
    let mut mesh = Mesh::new(5);
    mesh.hung = (0..5).collect();
    let task = mesh.submit(&spec(3));
    mesh.pass(1);
    assert_eq!(mesh.executed.len(), 3);
    mesh.call(2, |tasks, cx| tasks.cancel(cx, Waiter { request: 2, index: 0 }, task));
    mesh.pass(5);
    assert!(
        mesh.answers.iter().any(|answer| matches!(answer, Answer::CancelAsked { task: asked, .. } if *asked == task))
    );
    for node in &mesh.nodes {
        assert_eq!((node.polls.count(), node.totals().running), (0, 0));
        assert!(node.shelf().live().is_empty());
    }
}

#[test]
fn the_poll_goes_on_elsewhere_when_its_node_dies() {
    for polling in 1..5 {
        let mut mesh = Mesh::new(5);
        let task = spec(3).id(&NETWORK);
        mesh.hung = (0..5).collect();
        mesh.submit(&spec(3));
        mesh.pass(1);
        if !mesh.nodes[polling].polls.has(&task) {
            continue;
        }
        mesh.kill(polling);
        mesh.hung.clear();
        for (node, birth, attempt) in std::mem::take(&mut mesh.unfinished) {
            if node != polling {
                mesh.finish(node, &birth, attempt);
            }
        }
        mesh.pass(20);
        let again = mesh.executed.len() - mesh.executors().len();
        assert_eq!(again, 0, "what others ran is not run again");
        let (how, outcome) = mesh.end(task).unwrap_or_else(|| panic!("n{polling}: {:#?}", mesh.story(task)));
        assert_eq!((how, output(&outcome).as_str()), (How::Done, "42"));
    }
}

/// Nobody who knows of it is left to cancel it.
#[test]
fn a_replica_whose_member_is_gone_does_not_outlive_its_task() {
    let mut mesh = Mesh::new(5);
    let task = spec(3).id(&NETWORK);
    let gone = mesh.drawn(&task)[4];
    mesh.kill(gone);
    let (on, by) = (mesh.id(gone), (0..5).find(|node| *node != gone).unwrap());
    let replica = replica_of(&spec(3), &task, (on, 0), START);
    let encoded = encoded(&replica);
    mesh.hung = (0..5).collect();
    mesh.call(by, |tasks, cx| tasks.submit(cx, Waiter { request: 1, index: 0 }, encoded, false));
    let id = replica.id(&NETWORK);
    let live = |mesh: &Mesh| (0..5).any(|node| node != gone && mesh.nodes[node].shelf().live().contains(&id));
    let encoded = super::encoded(&spec(3));
    mesh.call(by, |tasks, cx| tasks.submit(cx, Waiter { request: 2, index: 0 }, encoded, true));
    mesh.pass(10);
    assert!(live(&mesh));
    mesh.hung.clear();
    for (node, birth, attempt) in std::mem::take(&mut mesh.unfinished) {
        mesh.finish(node, &birth, attempt);
    }
    mesh.pass(10);
    assert!(mesh.end(task).is_some() && !live(&mesh));
}

/// A worker may have gone since, and with it what it brought.
#[test]
fn who_has_run_it_counts_whatever_it_has_now() {
    let mut mesh = Mesh::new(5);
    let has = |text: &str| Capabilities::parse([text]).unwrap();
    for (one, other) in pairs(5) {
        let node = mesh.id(other);
        mesh.nodes[one].has(node, &has("gpu=1"));
        mesh.call(other, |tasks, cx| tasks.have(cx, &has("gpu=1")));
    }
    let asked = Spec { requirements: "gpu".parse().unwrap(), ..spec(3) };
    let task = mesh.submit(&asked);
    mesh.pass(1);
    let (_, outcome) = mesh.end(task).unwrap();
    assert_eq!(output(&outcome), "42");
    let ran = counted(&outcome)[0].node;
    mesh.nodes[1].has(ran, &Capabilities::default());
    assert_eq!(mesh.check(&asked, &outcome), Ok(()));
}

#[test]
fn what_a_program_does_wrong_all_do_alike_and_it_fails_once() {
    let mut mesh = Mesh::new(5);
    let failing = Spec { retries: 3, ..spec(3) };
    assert_ne!(spec_digest(&encoded(&failing)), spec_digest(&encoded(&spec(3))));
    mesh.submit(&failing);
    mesh.pass(1);
    let replicas = mesh.executed.len();
    assert!((2..=3).contains(&replicas));
}
