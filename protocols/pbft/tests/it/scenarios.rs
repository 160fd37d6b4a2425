//! Short named stories.

use crate::{liar::Lie, world::World};

#[test]
fn four_replicas_agree_on_one_order() {
    let mut world = World::new(1, 4, 2);
    for round in 0..30 {
        world.submit(round % 2, None);
        world.run(5);
    }
    assert!(world.run_until(5_000, World::is_settled), "{:?}", world.events);
    assert_eq!(world.nodes[0].app.operations.len(), 30);
    assert!(world.checker.slots() > 5);
    assert!(!world.events.contains_key("LeftFor"), "{:?}", world.events);
}

#[test]
fn a_silent_primary_is_left() {
    let mut world = World::new(2, 4, 1);
    let primary = world.nodes[0].replica.as_ref().unwrap().standing().primary;
    let node = world.nodes.iter().position(|node| node.id == primary).unwrap();
    world.corrupt(node, Lie::Silent);
    for _ in 0..10 {
        world.submit(0, None);
        world.run(5);
    }
    assert!(world.run_until(10_000, World::is_settled), "{:?}", world.events);
    assert!(world.events["Entered"] >= 3, "{:?}", world.events);
}
