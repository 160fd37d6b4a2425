use super::{node::*, told::Told};
use crate::{Config, Fact, Kept};
use mesh_proto::{
    id::TaskId,
    task::{Item, Outcome, Priority, Program, Spec, TaskKey, Version},
};
use std::{sync::Arc, time::Duration};

/// The fourth of the home list: runs what others drive.
fn executor(config: Config) -> Node {
    Node::with(3, config)
}

fn numbered(key: u8, priority: Priority) -> Spec {
    Spec { key: TaskKey::Own(vec![key]), priority, ..spec() }
}

fn id(key: u8) -> TaskId {
    numbered(key, Priority::Low).id(&NETWORK)
}

fn assign(node: &mut Node, spec: &Spec, number: u32) -> Told {
    let task = spec.id(&NETWORK);
    node.hear(0, Item::Assign { task, attempt: attempt(number, 3), birth: birth_of(spec) })
}

fn finish(node: &mut Node, task: TaskId, number: u32, outcome: &Outcome) -> Told {
    node.call(|tasks, cx| tasks.executed(cx, task, number, Arc::new(outcome.clone())))
}

fn started(task: TaskId) -> Vec<(TaskId, u32)> {
    vec![(task, 1)]
}

#[test]
fn attempts_start_by_priority_and_then_in_order_and_never_on_more_than_the_slots() {
    let mut node = executor(Config { slots: 2, ..Config::default() });
    use Priority::{Critical, High, Low, Medium};
    let order = [(1, Low), (2, Low), (3, Low), (4, High), (5, Medium), (6, High), (7, Critical), (8, Low)];
    for (key, priority) in order {
        let told = assign(&mut node, &numbered(key, priority), 1);
        let expected = if key <= 2 { started(id(key)) } else { Vec::new() };
        assert_eq!(told, Told { executed: expected, ..Told::nothing() }, "{key}");
    }
    let mut running = vec![1, 2];
    for next in [7, 4, 6, 5, 3, 8] {
        assert_eq!((node.tasks.totals().running, running.len()), (2, 2));
        let told = finish(&mut node, id(running.remove(0)), 1, &exit(0));
        assert_eq!(told.executed, started(id(next)));
        running.push(next);
    }
    for key in running {
        assert_eq!(finish(&mut node, id(key), 1, &exit(0)).executed, []);
    }
    assert_eq!((node.tasks.totals().running, node.tasks.totals().queued), (0, 0));
}

#[test]
fn what_ends_at_once_takes_no_slot() {
    let mut node = executor(Config { slots: 1, ..Config::default() });
    assign(&mut node, &numbered(1, Priority::Low), 1);
    let echo = Spec { program: Program::Echo, ..numbered(2, Priority::Low) };
    assert_eq!(assign(&mut node, &echo, 1).executed, started(id(2)));
    assert_eq!(finish(&mut node, id(2), 1, &exit(0)).executed, []);
    assert_eq!(node.tasks.totals().running, 1);
}

#[test]
fn what_is_urgent_does_not_keep_the_rest_for_ever() {
    let mut node = executor(Config { slots: 1, ..Config::default() });
    assign(&mut node, &numbered(0, Priority::Critical), 1);
    assign(&mut node, &numbered(100, Priority::Low), 1);
    // There is always one that is more urgent.
    let mut begun = Vec::new();
    for key in 1..20 {
        assign(&mut node, &numbered(key, Priority::Critical), 1);
        let runs = begun.last().copied().unwrap_or(id(0));
        begun.extend(finish(&mut node, runs, 1, &exit(0)).executed.into_iter().map(|(task, _)| task));
    }
    let waited = begun.iter().position(|task| *task == id(100));
    assert!(waited.is_some_and(|waited| waited < 8), "{waited:?}");
}

#[test]
fn a_full_queue_gives_attempts_back() {
    let mut node = executor(Config { slots: 1, queue_max: 1, ..Config::default() });
    for key in [1, 2] {
        assert_eq!(assign(&mut node, &numbered(key, Priority::Low), 1).sent, []);
    }
    let why = "its queue is full".to_owned();
    let back = Item::NotRunning { task: id(3), attempt: 1, why: why.clone() };
    assert_eq!(assign(&mut node, &numbered(3, Priority::Critical), 1), Told::sent(0, back));
    // So does a full outbox.
    let mut node = executor(Config { slots: 1, outbox_max: 1, ..Config::default() });
    assign(&mut node, &numbered(1, Priority::Low), 1);
    finish(&mut node, id(1), 1, &exit(0));
    let back = Item::NotRunning { task: id(2), attempt: 1, why };
    assert_eq!(assign(&mut node, &numbered(2, Priority::Low), 1), Told::sent(0, back));
}

#[test]
fn an_attempt_is_known_by_whoever_asks_and_not_run_twice() {
    let mut node = executor(Config { slots: 1, ..Config::default() });
    let ask = |number| Item::Ask { task: id(1), attempt: number, age_ms: 5_000 };
    let unknown = |number| Item::NotRunning { task: id(1), attempt: number, why: String::new() };
    assert_eq!(node.hear(0, ask(1)), Told::sent(0, unknown(1)));
    let one = numbered(1, Priority::Low);
    assign(&mut node, &one, 1);
    let running = Item::Running { task: id(1), attempt: 1 };
    assert_eq!(assign(&mut node, &one, 1), Told::sent(0, running.clone()));
    assert_eq!(node.hear(2, ask(1)), Told::sent(2, running));
    assert_eq!(node.hear(2, ask(2)), Told::sent(2, unknown(2)));
    // The new driver is the one that is told.
    let outcome = Arc::new(exit(0));
    assert_eq!(finish(&mut node, id(1), 1, &exit(0)).sent, [(2, Item::Report { task: id(1), attempt: 1, outcome })]);
}

#[test]
fn a_result_is_kept_on_disk_and_offered_until_its_task_is_settled() {
    let mut node = executor(Config { slots: 1, ..Config::default() });
    let one = numbered(1, Priority::Low);
    assign(&mut node, &one, 1);
    let told = finish(&mut node, id(1), 1, &exit(3));
    let outcome = Arc::new(exit(3));
    let holders: Vec<_> = home().iter().map(|holder| holder.node).collect();
    let kept = Kept { outcome: outcome.clone(), holders: holders.clone() };
    let fact = Fact::Kept { task: id(1), attempt: 1, outcome: outcome.clone(), holders };
    let report = Item::Report { task: id(1), attempt: 1, outcome };
    assert_eq!(told, Told { facts: vec![fact], ..Told::sent(0, report.clone()) });
    assert_eq!(node.tasks.shelf().outbox().get(&(id(1), 1)), Some(&kept));
    // It is the answer to the same assignment, to a question, to a reconnection, and offered to all after a while.
    assert_eq!(assign(&mut node, &one, 1), Told::sent(0, report.clone()));
    assert_eq!(node.hear(2, Item::Ask { task: id(1), attempt: 1, age_ms: 5_000 }), Told::sent(2, report.clone()));
    assert_eq!(node.call(|tasks, cx| tasks.up(cx, at(1))), Told::sent(1, report.clone()));
    assert_eq!(node.pass_ms(1999), Told::nothing());
    let told = node.pass_ms(1);
    let to_all = [0, 1, 2, 4].map(|rank| (rank, report.clone()));
    assert_eq!(told.sent, to_all);
    // Settled, once.
    let settled = Item::Settled { task: id(1), attempt: 1 };
    let fact = Fact::Settled { task: id(1), attempt: 1 };
    assert_eq!(node.hear(1, settled.clone()), Told { facts: vec![fact], ..Told::nothing() });
    assert_eq!(node.hear(1, settled), Told::nothing());
    assert!(node.tasks.shelf().outbox().is_empty());
    assert_eq!(node.pass(Duration::from_secs(60)), Told::nothing());
}

#[test]
fn what_runs_is_stopped_when_its_task_is_settled_and_what_is_queued_is_forgotten() {
    let mut node = executor(Config { slots: 1, ..Config::default() });
    for key in [1, 2, 3] {
        assign(&mut node, &numbered(key, Priority::Low), 1);
    }
    let settled = |key, number| Item::Settled { task: id(key), attempt: number };
    assert_eq!(node.hear(0, settled(2, 1)), Told::nothing());
    assert_eq!(node.hear(0, settled(1, 2)), Told::nothing(), "another attempt");
    let told = node.hear(0, settled(1, 1));
    assert_eq!(told, Told { cancelled: vec![(id(1), 1)], executed: started(id(3)), ..Told::nothing() });
    assert_eq!(finish(&mut node, id(1), 1, &exit(0)), Told::nothing(), "what it still says is ignored");
}

#[test]
fn a_result_that_nobody_can_use_is_dropped() {
    let mut node = executor(Config { slots: 1, ..Config::default() });
    assign(&mut node, &numbered(1, Priority::Low), 1);
    finish(&mut node, id(1), 1, &exit(0));
    for rank in [0, 1, 2] {
        assert_eq!(node.hear(rank, Item::Unknown { task: id(1) }), Told::nothing());
        assert_eq!(node.hear(rank, Item::Unknown { task: id(1) }), Told::nothing(), "one counts once");
    }
    // Who says that it is driven knows something after all.
    node.hear(2, Item::DrivenBy { task: id(1), driver: at(0) });
    assert_eq!(node.hear(4, Item::Unknown { task: id(1) }).facts, []);
    // One of those that were to hold it never answers: with what it holds, nothing could be decided.
    let fact = Fact::Settled { task: id(1), attempt: 1 };
    assert_eq!(node.hear(2, Item::Unknown { task: id(1) }), Told { facts: vec![fact], ..Told::nothing() });
    assert!(node.tasks.shelf().outbox().is_empty());
}

#[test]
fn a_result_of_what_is_held_here_meanwhile_is_kept() {
    let mut node = executor(Config { slots: 1, ..Config::default() });
    let spec = numbered(1, Priority::Low);
    assign(&mut node, &spec, 1);
    finish(&mut node, id(1), 1, &exit(0));
    // Three of those that should hold it have lost their disks; of the others one names this node among the new holders.
    for rank in [0, 1, 3] {
        node.hear(rank, Item::Unknown { task: id(1) });
    }
    let register = Arc::new(first_register(&[2, 3, 4], 4));
    let birth = Some(birth_of(&spec));
    node.hear(2, Item::Write { task: id(1), ballot: ballot(1, 2), version: Version(2), register, birth });
    let told = node.hear(4, Item::Unknown { task: id(1) });
    assert_eq!(told.facts, [], "it is held here");
    assert_eq!(node.tasks.shelf().outbox().len(), 1);
}

#[test]
fn a_result_of_which_nobody_is_left_to_know_is_dropped() {
    let mut node = executor(Config { slots: 1, ..Config::default() });
    assign(&mut node, &numbered(1, Priority::Low), 1);
    finish(&mut node, id(1), 1, &exit(0));
    // Three of five leave the mesh, or are taken out of it; one more has never heard of it.
    for rank in [0, 1, 2] {
        let gone = holder(rank);
        node.call(|tasks, cx| tasks.member(cx, gone.node, gone.store, false));
        node.call(|tasks, cx| tasks.down(cx, gone.node));
    }
    // This node is at home for it now, and knows nothing of it.
    node.pass_ms(2000);
    node.pass_ms(8000);
    node.hear(4, Item::Unknown { task: id(1) });
    assert!(node.tasks.shelf().outbox().is_empty());
}

#[test]
fn an_attempt_that_never_came_is_not_said_to_be_lost() {
    let mut node = executor(Config::default());
    node.call(|tasks, cx| tasks.restarted(cx));
    let ask = |age_ms| Item::Ask { task: id(1), attempt: 1, age_ms };
    let answer = |why: &str| Told::sent(0, Item::NotRunning { task: id(1), attempt: 1, why: why.into() });
    // It may have been here before the restart.
    node.pass_ms(10_000);
    assert_eq!(node.hear(0, ask(10_000)), answer(""));
    assert_eq!(node.hear(0, ask(9_999)), answer("it never came to its executor"));
}

/// Its first process may still be on its way out: what comes of that would pass for what comes of the second.
#[test]
fn what_was_ended_while_it_ran_is_not_begun_again_by_a_grant_that_comes_late() {
    let mut node = Node::new(1);
    let grant = Item::Assign { task: task(), attempt: attempt(1, 1), birth: birth() };
    assert_eq!(node.hear(0, grant.clone()).executed, [(task(), 1)]);
    let told = node.hear(0, Item::Settled { task: task(), attempt: 1 });
    assert_eq!(told.cancelled, [(task(), 1)]);
    let told = node.hear(0, grant);
    let over = Item::NotRunning { task: task(), attempt: 1, why: "it was ended on its node".into() };
    assert_eq!(told, Told::sent(0, over));
    let late = node.call(|tasks, cx| tasks.executed(cx, task(), 1, std::sync::Arc::new(exit(0))));
    assert_eq!(late, Told::nothing());
}
