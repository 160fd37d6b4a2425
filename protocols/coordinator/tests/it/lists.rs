//! What a list says of tasks that only some know all about, and of nodes that say nothing.

use crate::world::{World, node, spec, spec_of};
use mesh_coordinator::{Answer, Command, ListFilter, TaskList};
use mesh_proto::{id::NodeId, task::Program};

fn list(world: &mut World, at: usize, request: u64, filter: ListFilter) -> TaskList {
    world.ask(at, request, Command::List { filter: ListFilter { limit: 100, ..filter } });
    world.run(100);
    match world.answers(at, request).as_slice() {
        [Answer::Tasks(list), Answer::Finished] => list.clone(),
        other => panic!("{other:?}"),
    }
}

fn of_state(state: &str) -> ListFilter {
    ListFilter { state: Some(state.into()), ..ListFilter::default() }
}

#[test]
fn what_runs_is_listed_as_running_alone_through_any_node() {
    let mut world = World::new(5);
    world.hold_executions = true;
    let specs = (0..20).map(|key| spec(key, Program::Sleep { ms: 1 })).collect();
    world.ask(0, 1, Command::Submit { specs, follow: false });
    world.run(100);
    for at in 0..5 {
        let [waiting, running] = ["waiting", "running"]
            .map(|state| list(&mut world, at, if state == "waiting" { 2 } else { 3 }, of_state(state)).rows);
        // Each node runs two; what is in its queue counts as running when its driver has heard of it.
        assert!(running.len() >= 10 && waiting.len() + running.len() == 20, "through {at}: {waiting:?}");
        assert!(waiting.iter().all(|row| running.iter().all(|other| other.task != row.task)));
        let by_node = |n: usize| ListFilter { executor: Some(node(n)), ..ListFilter::default() };
        let on: usize = (0..5).map(|n| list(&mut world, at, 10 + n as u64, by_node(n)).rows.len()).sum();
        assert_eq!(on, 20, "each at one node, through {at}");
    }
}

#[test]
fn who_could_not_be_asked_is_named() {
    let mut world = World::new(5);
    world.ask(0, 1, Command::Submit { specs: vec![spec(1, Program::Echo)], follow: false });
    world.run(100);
    assert_eq!(list(&mut world, 0, 2, ListFilter::default()).silent, []);
    world.kill(3);
    for (request, filter) in [(3, ListFilter::default()), (4, of_state("done"))] {
        let list = list(&mut world, 0, request, filter);
        assert_eq!((list.rows.len(), list.silent), (1, vec![node(3)]));
    }
}

#[test]
fn a_node_with_too_many_lists_under_way_names_itself() {
    let mut world = World::new(1);
    // More than one turn looks at.
    let specs = (0..600u32).map(|key| spec_of(&key.to_be_bytes(), Program::Echo)).collect();
    world.ask(0, 1, Command::Submit { specs, follow: false });
    world.run(200);
    for request in 1_000..1_300 {
        let filter = ListFilter { limit: 1_000, ..of_state("failed") };
        world.ask(0, request, Command::List { filter });
    }
    world.run(1_000);
    let silent: Vec<Vec<NodeId>> = (1_000..1_300)
        .map(|request| match world.answers(0, request).as_slice() {
            [Answer::Tasks(list), Answer::Finished] => list.silent.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    let named = silent.iter().filter(|silent| **silent == [node(0)]).count();
    assert_eq!((silent.iter().filter(|silent| silent.is_empty()).count(), named), (256, 44));
}
