//! Tasks that ask for something of the node that runs them.

use super::{node::*, told::Told};
use crate::{Answer, Fact, Waiter};
use mesh_proto::{
    capability::Capabilities,
    task::{Birth, FailureKind, Fault, How, Item, Register, Spec, State, Version},
};
use std::sync::Arc;

const WAITER: Waiter = Waiter { request: 1, index: 0 };

fn asking(requirements: &str) -> Spec {
    Spec { requirements: requirements.parse().unwrap(), ..spec() }
}

fn have(texts: &str) -> Capabilities {
    Capabilities::parse(texts.split(',')).unwrap()
}

/// What each member of these ranks has.
fn knowing(mut node: Node, members: &[(usize, &str)]) -> Node {
    for (rank, has) in members {
        node.call(|tasks, _| tasks.has(at(*rank), &have(has)));
    }
    node
}

/// To whom the gateway, the fifth of the home list, grants the first attempt in the birth.
fn born_to(members: &[(usize, &str)], spec: &Spec) -> Option<usize> {
    let mut node = knowing(Node::new(4), members);
    let told = node.call(|tasks, cx| tasks.submit(cx, WAITER, encoded(spec), false));
    let ranks: Vec<usize> = told.sent.iter().map(|(rank, _)| *rank).collect();
    assert_eq!(ranks, [0, 1, 2], "what is asked moves no record");
    let Some((_, Item::Place { register, .. })) = told.sent.first() else { panic!("{told:?}") };
    match register.state {
        State::Waiting => None,
        State::Assigned(attempt) => (0..5).find(|rank| at(*rank) == attempt.executor),
        State::Ended(_) => panic!("{register:?}"),
    }
}

#[test]
fn a_birth_grants_the_first_attempt_to_the_first_by_placement_that_is_able() {
    let gpu = asking("gpu>=1");
    assert_eq!(born_to(&[], &gpu), None);
    assert_eq!(born_to(&[(1, "gpu=0"), (2, "zone=eu")], &gpu), None);
    assert_eq!(born_to(&[(1, "gpu=1"), (2, "gpu=8")], &gpu), Some(1), "more than is asked is no better");
    assert_eq!(born_to(&[(3, "gpu=1")], &gpu), Some(3), "it need not hold the record");
    let preferring = asking("gpu>=1,zone=eu?");
    assert_eq!(born_to(&[(1, "gpu=1"), (2, "gpu=1,zone=eu")], &preferring), Some(2));
    assert_eq!(born_to(&[(0, "zone=eu"), (1, "gpu=1")], &preferring), Some(1), "a makeshift is better than none");
    assert_eq!(born_to(&[], &asking("zone=eu?")), Some(0));
    // Three quarters of what was preferred are enough to be as good as any.
    let cores = asking("cores>=8?");
    assert_eq!(born_to(&[(0, "cores=6"), (1, "cores=8")], &cores), Some(0));
    assert_eq!(born_to(&[(0, "cores=5"), (1, "cores=8")], &cores), Some(1));
}

fn register(state: State) -> Register {
    Register { state, ..first_register(&[0, 1, 2], 1) }
}

/// The driver of a task that was placed in this state.
fn driver(members: &[(usize, &str)], spec: &Spec, state: State) -> (Node, Told) {
    let mut node = knowing(Node::new(0), members);
    node.hear(4, place(&birth_of(spec), birth_ballot(0, 7), &register(state), None));
    let told = node.hear(4, Item::Born { task: task(), ballot: birth_ballot(0, 7) });
    (node, told)
}

fn granted(birth: &Arc<Birth>, node: &Node, number: u32, executor: usize) -> Item {
    let attempt = mesh_proto::task::Attempt { granted: node.now.wall, ..attempt(number, executor) };
    Item::Assign { task: task(), attempt, birth: birth.clone() }
}

/// All holders have the present version; what the driver says then.
fn in_force(node: &mut Node) -> Told {
    let ((ballot, version), _) = node.copy().expect("held");
    node.hear(1, Item::Wrote { task: task(), ballot, version })
}

#[test]
fn who_is_no_holder_is_told_of_its_attempt_by_the_driver() {
    let spec = asking("gpu>=1");
    let (node, told) = driver(&[(3, "gpu=1")], &spec, State::Assigned(attempt(1, 3)));
    assert_eq!(told, Told::sent(3, granted(&birth_of(&spec), &node, 1, 3)));
}

#[test]
fn a_task_that_nobody_is_able_to_run_waits_says_why_and_starts_when_somebody_is() {
    let spec = asking("gpu>=1,zone=eu,mem>=1GiB?");
    let (mut node, told) = driver(&[(1, "gpu=1"), (2, "zone=eu")], &spec, State::Waiting);
    assert_eq!(told, Told::nothing());
    assert_eq!(node.pass_ms(0), Told::nothing());
    node.tasks.shelf.seal_resting(usize::MAX, 0);
    let lack = node.tasks.lack_of(&task()).expect("it waits").to_string();
    assert_eq!(lack, "no node in reach has what it requires; of 5: gpu>=1 (lacked by 4), zone=eu (lacked by 4)");
    assert!(node.tasks.story_of(&task()).iter().any(|(_, line)| line.starts_with("waits: no node in reach")));
    // However long, saying no more than who drives it.
    for _ in 0..100 {
        let told = node.pass_ms(60_000);
        let is_said = told.sent.iter().all(|(_, item)| matches!(item, Item::Write { version: Version::BIRTH, .. }));
        assert!(told.facts.is_empty() && is_said, "{told:?}");
    }
    // One gets more, and not enough.
    node.call(|tasks, _| tasks.has(at(3), &have("gpu=4,zone=us")));
    assert_eq!(node.pass_ms(0).facts, []);
    assert!(node.tasks.lack_of(&task()).is_some());
    node.call(|tasks, _| tasks.has(at(3), &have("gpu=4,zone=eu")));
    assert!(node.tasks.deadline() <= Some(node.now.mono));
    let told = node.pass_ms(0);
    let [Fact::Written { register, .. }] = told.facts.as_slice() else { panic!("{told:?}") };
    let granted_now = mesh_proto::task::Attempt { granted: node.now.wall, ..attempt(1, 3) };
    assert_eq!((&register.state, register.failed.len()), (&State::Assigned(granted_now), 0));
    assert_eq!(node.tasks.lack_of(&task()), None);
    let told = in_force(&mut node);
    assert!(told.sent.contains(&(3, granted(&birth_of(&spec), &node, 1, 3))), "{told:?}");
}

#[test]
fn who_is_able_and_out_of_reach_is_waited_for() {
    let spec = asking("gpu>=1");
    let (mut node, _) = driver(&[(3, "gpu=1")], &spec, State::Assigned(attempt(1, 3)));
    node.call(|tasks, cx| tasks.silent(cx, at(3)));
    node.pass_ms(1000);
    let lack = node.tasks.lack_of(&task()).expect("it waits");
    assert_eq!((lack.members, lack.away), (5, 1));
    assert!(lack.to_string().ends_with("gpu>=1 (lacked by 4); 1 that has it all is out of reach"), "{lack}");
    node.call(|tasks, cx| tasks.up(cx, at(3)));
    let told = node.pass_ms(0);
    let [Fact::Written { register, .. }] = told.facts.as_slice() else { panic!("{told:?}") };
    assert_eq!(register.attempt().map(|attempt| (attempt.number, attempt.executor)), Some((2, at(3))));
}

#[test]
fn what_waits_is_cancelled_and_passes_its_deadline_like_any_other() {
    let deadline = Some(START + std::time::Duration::from_secs(5));
    let spec = Spec { deadline, ..asking("gpu>=1") };
    let (mut node, _) = driver(&[], &spec, State::Waiting);
    node.pass_ms(0);
    let told = node.hear(4, Item::Cancel { task: task() });
    let ending = |told: &Told| match told.facts.as_slice() {
        [Fact::Written { register, .. }] => register.ending().map(|ending| (ending.how, ending.by)),
        _ => None,
    };
    assert_eq!(ending(&told), Some((How::Cancelled, None)));
    assert_eq!(node.tasks.lack_of(&task()), None);
    let (mut node, _) = driver(&[], &spec, State::Waiting);
    node.pass_ms(0);
    let told = node.pass_ms(6_000);
    assert_eq!(ending(&told), Some((How::DeadlinePassed, None)));
}

#[test]
fn a_node_takes_no_attempt_that_it_is_not_able_to_run() {
    let (spec, why) = (asking("gpu>=1"), "it does not have gpu>=1");
    // Granted by a driver that takes it for another.
    let mut node = Node::new(4);
    let item = granted(&birth_of(&spec), &node, 3, 4);
    let refused = Item::NotRunning { task: task(), attempt: 3, why: why.into() };
    assert_eq!(node.hear(0, item), Told::sent(0, refused));
    // And in a birth.
    let (mut node, told) = driver(&[(2, "gpu=1")], &spec, State::Assigned(attempt(1, 0)));
    assert_eq!(told.executed, []);
    let told = node.pass_ms(200);
    let [Fact::Written { register, .. }] = told.facts.as_slice() else { panic!("{told:?}") };
    let failed: Vec<_> = register.failed.iter().map(|failed| (failed.why.as_str(), failed.fault)).collect();
    assert_eq!(failed, [(why, Fault::Nobody)]);
    assert_eq!(register.attempt().map(|attempt| (attempt.number, attempt.executor)), Some((2, at(2))));
}

#[test]
fn an_attempt_that_failed_is_repeated_only_where_it_can_be() {
    let spec = asking("gpu>=1");
    let (mut node, _) = driver(&[(1, "gpu=1"), (3, "gpu=1"), (4, "zone=eu")], &spec, State::Assigned(attempt(1, 1)));
    for (number, (failed_at, next)) in (1..).zip([(1, 3), (3, 1), (1, 3)]) {
        let outcome = Arc::new(failure(FailureKind::InputUnavailable));
        node.hear(failed_at, Item::Report { task: task(), attempt: number, outcome });
        let told = node.pass_ms(20_000);
        let register = told.facts.iter().find_map(|fact| match fact {
            Fact::Written { register, .. } => Some(register.clone()),
            _ => None,
        });
        let register = register.unwrap_or_else(|| panic!("{told:?}"));
        assert_eq!(register.attempt().map(|attempt| attempt.executor), Some(at(next)));
        in_force(&mut node);
    }
}

#[test]
fn a_new_driver_finds_somebody_able_for_what_was_born_to_nobody() {
    let spec = asking("gpu>=1");
    let mut node = knowing(Node::new(1), &[(3, "gpu=1")]);
    node.hear(4, place(&birth_of(&spec), birth_ballot(0, 7), &register(State::Waiting), None));
    node.hear(4, Item::Born { task: task(), ballot: birth_ballot(0, 7) });
    node.call(|tasks, cx| tasks.silent(cx, at(0)));
    let mut told = node.pass_ms(5_000);
    let ballot = node.promised().expect("its own");
    assert_eq!(ballot.driver, at(1), "{told:?}");
    for rank in [2, 3] {
        let held = (rank == 2).then(|| held(&birth_of(&spec), birth_ballot(0, 7), &register(State::Waiting)));
        told = node.hear(rank, Item::Promise { task: task(), ballot, held });
    }
    assert_eq!(told.facts.len(), 1, "{told:?}");
    // Adopted, in force, settled, and then decided about.
    let mut assigned = None;
    for _ in 0..6 {
        let ((ballot, version), register) = node.copy().expect("held");
        assigned = register.attempt().map(|attempt| (attempt.number, attempt.executor));
        if assigned.is_some() {
            break;
        }
        for rank in [2, 3] {
            node.hear(rank, Item::Wrote { task: task(), ballot, version });
        }
        node.pass_ms(0);
    }
    assert_eq!(assigned, Some((1, at(3))));
}

#[test]
fn a_birth_to_nobody_is_acknowledged_as_any_other() {
    let mut node = Node::new(4);
    for rank in 0..4 {
        node.hear(rank, Item::Unknown { task: mesh_proto::id::TaskId::from_bytes([0; 32]) });
    }
    node.call(|tasks, cx| tasks.submit(cx, WAITER, encoded(&asking("gpu>=1")), false));
    let mut answers = Vec::new();
    for rank in 0..3 {
        answers = node.hear(rank, Item::Placed { task: task(), ballot: birth_ballot(0, 1) }).answers;
    }
    let placed = Answer::Placed { to: WAITER, task: task(), copies: 3, degraded: false, existing: false };
    assert_eq!(answers, [placed]);
}

#[test]
fn tasks_that_wait_are_looked_at_a_part_at_a_time() {
    [false, true].into_iter().for_each(look_at_those_that_wait);
}

/// Packed or not: of a million that wait few are open.
fn look_at_those_that_wait(packed: bool) {
    let mut node = Node::new(0);
    let births: Vec<_> = (0..3000u16)
        .map(|n| Spec { key: mesh_proto::task::TaskKey::Own(n.to_le_bytes().into()), ..asking("gpu>=1") })
        .map(|spec| birth_of(&spec))
        .filter(|birth| node.tasks.roster().home(&birth.task, 5)[0] == holder(0))
        .collect();
    let register = |birth: &Birth| {
        let home = node_home(birth);
        Register { holders: home[..3].to_vec(), joint: Some(home), state: State::Waiting, ..register(State::Waiting) }
    };
    for birth in &births {
        let birth = Arc::new(Birth { home: node_home(birth), ..Birth::clone(birth) });
        node.hear(4, place(&birth, birth_ballot(0, 7), &register(&birth), None));
        node.hear(4, Item::Born { task: birth.task, ballot: birth_ballot(0, 7) });
    }
    while node.tasks.deadline() <= Some(node.now.mono) {
        node.pass_ms(0);
    }
    if packed {
        node.tasks.shelf.seal_resting(usize::MAX, 0);
    }
    assert!(births.iter().all(|birth| node.tasks.shelf.is_packed(&birth.task) == packed));
    assert!(births.len() > 300 && births.iter().all(|birth| node.tasks.lack_of(&birth.task).is_some()));
    // Two come at nearly the same time, the second while the tasks are looked at for the first.
    node.call(|tasks, _| tasks.has(at(1), &have("zone=eu")));
    node.call(|tasks, cx| tasks.handle_deadline(cx));
    node.call(|tasks, _| tasks.has(at(2), &have("gpu=1")));
    let mut written = 0;
    while node.tasks.deadline() <= Some(node.now.mono) {
        written += node.pass_ms(0).facts.len();
    }
    assert_eq!(written, births.len());
    assert!(births.iter().all(|birth| node.tasks.lack_of(&birth.task).is_none()));
    assert!(births.iter().all(|birth| node.tasks.shelf().copy(&birth.task).is_some_and(|c| c.version == Version(2))));
}

fn assign(node: &mut Node, spec: &Spec) -> Told {
    let attempt = attempt(3, 4);
    node.hear(0, Item::Assign { task: spec.id(&NETWORK), attempt, birth: birth_of(spec) })
}

#[test]
fn what_waits_is_given_back_when_this_node_has_it_no_more() {
    let mut node = Node::new(4);
    node.call(|tasks, cx| tasks.have(cx, &have("gpu=1,zone=eu")));
    // One runs, one waits for what is taken away, one for what stays.
    let asking = |key: u8, asked: &str| Spec { key: mesh_proto::task::TaskKey::Own(vec![key]), ..asking(asked) };
    let [runs, lacks, stays, any] = [asking(1, "gpu"), asking(2, "gpu>=1"), asking(3, "zone=eu"), asking(4, "")];
    let id = |spec: &Spec| spec.id(&NETWORK);
    for spec in [&runs, &lacks, &stays, &any] {
        assign(&mut node, spec);
    }
    assert_eq!(node.call(|tasks, cx| tasks.have(cx, &have("zone=eu,gpu=1"))), Told::nothing());
    assert_eq!(node.pass_ms(0).sent, [], "nothing has changed");
    assert_eq!(node.call(|tasks, cx| tasks.have(cx, &have("zone=eu"))), Told::nothing());
    assert!(node.tasks.deadline() <= Some(node.now.mono));
    let why = "it does not have gpu>=1 any more";
    let refused = Item::NotRunning { task: id(&lacks), attempt: 3, why: why.into() };
    assert_eq!(node.pass_ms(0), Told::sent(0, refused));
    // The others begin in their turn, and nothing is given back of what runs.
    for spec in [&runs, &stays, &any] {
        assert!(node.tasks.executor.is_running(&id(spec)), "{spec:?}");
        node.call(|tasks, cx| tasks.executed(cx, id(spec), 3, Arc::new(exit(0))));
    }
    assert_eq!(node.tasks.totals().queued, 0);
}

#[test]
fn what_would_begin_before_it_is_looked_over_is_given_back_as_well() {
    let mut node = Node::new(4);
    node.call(|tasks, cx| tasks.have(cx, &have("gpu=1")));
    let [runs, waits] = [1, 2].map(|key| Spec { key: mesh_proto::task::TaskKey::Own(vec![key]), ..asking("gpu") });
    assign(&mut node, &runs);
    assign(&mut node, &waits);
    node.call(|tasks, cx| tasks.have(cx, &have("zone=eu")));
    let told = node.call(|tasks, cx| tasks.executed(cx, runs.id(&NETWORK), 3, Arc::new(exit(0))));
    assert_eq!(told.executed, []);
    let refused =
        (0, Item::NotRunning { task: waits.id(&NETWORK), attempt: 3, why: "it does not have gpu any more".into() });
    assert!(told.sent.contains(&refused), "{told:?}");
}

#[test]
fn no_more_is_begun_for_workers_than_they_have_places() {
    let mut node = Node::with(4, crate::Config { slots: 4, ..crate::Config::default() });
    node.call(|tasks, cx| tasks.have(cx, &have("worker.x=2")));
    let specs: Vec<Spec> = (0..6).map(for_worker).collect();
    let begun = specs.iter().map(|spec| assign(&mut node, spec).executed.len()).collect::<Vec<_>>();
    assert_eq!(begun, [1, 1, 0, 0, 0, 0]);
    // Slots are free, for what needs no worker.
    assert_eq!(assign(&mut node, &Spec { key: mesh_proto::task::TaskKey::Own(vec![9]), ..spec() }).executed.len(), 1);
    let ended = |node: &mut Node, at: usize| {
        node.call(|tasks, cx| tasks.executed(cx, specs[at].id(&NETWORK), 3, Arc::new(exit(0)))).executed.len()
    };
    assert_eq!(ended(&mut node, 1), 1);
    // One more comes, and one goes: what runs goes on.
    assert_eq!(node.call(|tasks, cx| tasks.have(cx, &have("worker.x=3"))).executed.len(), 1);
    assert_eq!(node.call(|tasks, cx| tasks.have(cx, &have("worker.x=1"))).executed, []);
    assert_eq!((ended(&mut node, 0), ended(&mut node, 2)), (0, 0));
    assert_eq!(ended(&mut node, 3), 1);
}

#[test]
fn a_task_for_a_worker_waits_for_one_and_begins_where_one_comes_to_this_node() {
    let (mut node, told) = driver(&[], &for_worker(1), State::Waiting);
    assert_eq!(told, Told::nothing());
    assert_eq!(node.pass_ms(0), Told::nothing());
    let task = for_worker(1).id(&NETWORK);
    let lack = node.tasks.lack_of(&task).expect("it waits").to_string();
    assert!(lack.ends_with("worker.x (lacked by 5)"), "{lack}");
    node.call(|tasks, cx| tasks.have(cx, &have("worker.x=1")));
    let told = node.pass_ms(0);
    let [Fact::Written { register, .. }] = told.facts.as_slice() else { panic!("{told:?}") };
    assert_eq!(register.attempt().map(|attempt| attempt.executor), Some(at(0)));
}

fn node_home(birth: &Birth) -> Vec<mesh_proto::task::Holder> {
    Node::new(0).tasks.roster().home(&birth.task, 5)
}
