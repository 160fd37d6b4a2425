//! A few brains in a world without faults: messages arrive in order and at once, disks are as fast as thought.

mod aggregated;
mod committee;
mod council;
mod cut;
mod draw;
mod gateways;
mod lists;
mod many;
mod message;
mod record;
mod suspected;
mod tables;
mod world;

use mesh_coordinator::{Answer, Command, RequestId};
use mesh_proto::task::{How, Program};
use world::{World, spec};

#[test]
fn a_task_is_placed_on_three_nodes_run_and_its_result_returned() {
    for n in [1, 2, 3, 5, 7] {
        let mut world = World::new(n);
        world.ask(0, 1, Command::Submit { specs: vec![spec(1, Program::Echo)], follow: true });
        world.run(100);
        let answers = world.answers(0, 1);
        let [Answer::Placed { copies, degraded, existing, .. }, Answer::Ended { register, .. }, Answer::Finished] =
            answers.as_slice()
        else {
            panic!("{n} nodes: {answers:?}");
        };
        assert_eq!((*copies, *degraded, *existing), (n.min(3) as u32, false, false), "{n} nodes");
        assert_eq!(register.ending().map(|ending| ending.how), Some(How::Done));
        assert_eq!(world.copies_ended(), n.min(3));
        // Two durable rounds: birth and result.
        assert_eq!(world.facts_about_tasks(), 2 * n.min(3));
    }
}

#[test]
fn the_same_key_through_another_node_is_the_same_task_and_another_task_is_a_conflict() {
    let mut world = World::new(5);
    world.ask(0, 1, Command::Submit { specs: vec![spec(1, Program::Echo)], follow: true });
    world.run(100);
    world.ask(3, 2, Command::Submit { specs: vec![spec(1, Program::Echo)], follow: true });
    world.ask(2, 3, Command::Submit { specs: vec![spec(1, Program::Sha256)], follow: true });
    world.run(100);
    assert!(matches!(
        world.answers(3, 2).as_slice(),
        [Answer::Placed { existing: true, .. }, Answer::Ended { .. }, Answer::Finished]
    ));
    assert!(matches!(
        world.answers(2, 3).as_slice(),
        [Answer::Refused { why: mesh_coordinator::Refusal::Conflict, .. }, Answer::Finished]
    ));
    assert_eq!(world.executions, 1);
}

#[test]
fn a_task_whose_driver_dies_while_it_runs_is_run_again_elsewhere() {
    let mut world = World::new(5);
    world.ask(0, 1, Command::Submit { specs: vec![spec(7, Program::Sleep { ms: 1 })], follow: true });
    world.hold_executions = true;
    world.run(100);
    let driver = world.last_executor.expect("it runs somewhere");
    let gateway = usize::from(driver == 0);
    if driver == 0 {
        world.ask(1, 1, Command::Submit { specs: vec![spec(7, Program::Sleep { ms: 1 })], follow: true });
        world.run(100);
    }
    world.kill(driver);
    world.hold_executions = false;
    world.run(5_000);
    let answers = world.answers(gateway, 1);
    assert!(matches!(answers.last(), Some(Answer::Finished)), "{answers:?}");
    assert!(answers.iter().any(|answer| matches!(answer, Answer::Ended { register, .. }
        if register.ending().map(|ending| ending.how) == Some(How::Done))));
}

#[test]
fn a_queued_task_can_be_cancelled_through_any_node() {
    let mut world = World::new(5);
    world.hold_executions = true;
    world.ask(0, 1, Command::Submit { specs: vec![spec(7, Program::Sleep { ms: 1 })], follow: true });
    world.run(100);
    let task = world.task_of(7);
    world.ask(4, 9, Command::Cancel { tasks: vec![task] });
    world.run(3_000);
    assert!(matches!(world.answers(4, 9).as_slice(), [Answer::CancelAsked { .. }, Answer::Finished]));
    assert!(world.answers(0, 1).iter().any(|answer| matches!(answer, Answer::Ended { register, .. }
        if register.ending().map(|ending| ending.how) == Some(How::Cancelled))));
}

#[test]
fn a_task_is_shown_with_its_story_across_nodes_in_order() {
    let mut world = World::new(5);
    world.ask(0, 1, Command::Submit { specs: vec![spec(1, Program::Echo)], follow: true });
    world.run(100);
    world.ask(4, 2, Command::Show { task: world.task_of(1) });
    world.run(100);
    let answers = world.answers(4, 2);
    let [Answer::Task(view), Answer::Finished] = answers.as_slice() else { panic!("{answers:?}") };
    assert!(view.in_force && view.waiting_for.is_empty() && view.silent.is_empty());
    let nodes: std::collections::BTreeSet<_> = view.story.iter().map(|line| line.node).collect();
    assert!(nodes.len() >= 3, "{:?}", view.story);
    assert!(view.story.is_sorted());
    let unknown = RequestId(3);
    world.ask(4, unknown.0, Command::Show { task: mesh_proto::id::TaskId::from_bytes([1; 32]) });
    world.run(100);
    assert!(matches!(world.answers(4, 3).as_slice(), [Answer::Missing { .. }, Answer::Finished]));
}
