//! Replicas of which nothing comes as they were asked for, and that are asked for again.

use super::*;

/// As it is asked for first.
fn replica(mesh: &Mesh, spec: &Spec, node: usize) -> TaskId {
    replica_of(spec, &spec.id(&NETWORK), (mesh.id(node), 0), START).id(&NETWORK)
}

fn again(mesh: &Mesh) -> u64 {
    mesh.nodes.iter().map(|node| node.counters().replicas_again).sum()
}

fn at_rest(mesh: &Mesh) -> bool {
    mesh.nodes.iter().all(|node| node.shelf().live().is_empty() && node.polls.count() == 0)
}

/// Their births were placed on two of three disks, of which one was lost (simulator, seed 800895).
#[test]
fn replicas_in_nobodys_force_are_asked_for_again() {
    let mut mesh = Mesh::new(3);
    let task = spec(3).id(&NETWORK);
    let drawn = mesh.drawn(&task);
    mesh.stuck = drawn[..2].iter().map(|node| replica(&mesh, &spec(3), *node)).collect();
    mesh.submit(&spec(3));
    mesh.pass(15);
    assert_eq!((mesh.end(task), again(&mesh)), (None, 0), "they may only be slow");
    mesh.pass(10);
    let (how, outcome) = mesh.end(task).unwrap_or_else(|| panic!("{:#?}", mesh.story(task)));
    assert_eq!((how, output(&outcome).as_str(), again(&mesh)), (How::Done, "42", 2));
    assert_eq!(mesh.check(&spec(3), &outcome), Ok(()));
    assert!(mesh.nodes.iter().all(|node| node.polls.asked.is_empty() && node.polls.replicas.is_empty()));
}

#[test]
fn whoever_is_asked_again_is_counted_once_and_liars_are_outvoted() {
    let task = spec(5).id(&NETWORK);
    let drawn = Mesh::new(5).drawn(&task);
    for liars in pairs(5).map(|(one, other)| BTreeSet::from([one, other])) {
        let mut mesh = Mesh::new(5);
        mesh.stuck = drawn[..3].iter().map(|node| replica(&mesh, &spec(5), *node)).collect();
        mesh.liars = liars.clone();
        mesh.submit(&spec(5));
        mesh.pass(25);
        let (how, outcome) = mesh.end(task).unwrap_or_else(|| panic!("{liars:?}: {:#?}", mesh.story(task)));
        assert_eq!((how, output(&outcome).as_str()), (How::Done, "42"), "{liars:?}");
        assert_eq!(mesh.check(&spec(5), &outcome), Ok(()));
    }
}

/// It is run twice then, and says one thing.
#[test]
fn what_was_given_up_and_comes_late_does_no_harm() {
    let mut mesh = Mesh::new(3);
    let task = spec(3).id(&NETWORK);
    let drawn = mesh.drawn(&task);
    mesh.hung = (0..3).collect();
    mesh.stuck = drawn[..2].iter().map(|node| replica(&mesh, &spec(3), *node)).collect();
    let given_up = mesh.stuck.clone();
    mesh.submit(&spec(3));
    mesh.pass(20);
    assert_eq!(again(&mesh), 2);
    mesh.stuck.clear();
    mesh.pass(20);
    assert!(mesh.executed.iter().all(|(_, task)| !given_up.contains(task)), "it was cancelled before it began");
    mesh.hung.clear();
    for (node, birth, attempt) in std::mem::take(&mut mesh.unfinished) {
        mesh.finish(node, &birth, attempt);
    }
    mesh.pass(60);
    let (how, outcome) = mesh.end(task).unwrap_or_else(|| panic!("{:#?}", mesh.story(task)));
    assert_eq!((how, output(&outcome).as_str()), (How::Done, "42"));
    assert_eq!(mesh.check(&spec(3), &outcome), Ok(()));
    assert!(at_rest(&mesh));
}

/// Of what could not be placed anywhere nothing is lost.
#[test]
fn what_nobody_is_there_to_hold_is_not_asked_for_again() {
    let mut mesh = Mesh::new(3);
    let (own, task) = (Spec { strategy: Strategy::Local, ..spec(3) }, spec(3).id(&NETWORK));
    mesh.stuck.insert(replica(&mesh, &own, 0));
    mesh.hung = (0..3).collect();
    mesh.submit(&own);
    mesh.pass(1);
    assert!(mesh.nodes[0].polls.open.contains_key(&task));
    mesh.kill(1);
    mesh.kill(2);
    mesh.pass(100);
    assert_eq!(again(&mesh), 0);
}

/// Its node was started again, and most of those that hold it have lost their disks: they cannot grant it once more.
#[test]
fn who_says_nothing_is_asked_once_more_where_nobody_else_is_left() {
    let mut mesh = Mesh::new(3);
    let task = spec(3).id(&NETWORK);
    let drawn = mesh.drawn(&task);
    mesh.hung.insert(drawn[0]);
    mesh.wrong.insert(drawn[1]);
    mesh.submit(&spec(3));
    mesh.pass(20);
    mesh.hung.clear();
    assert_eq!((mesh.end(task), mesh.unfinished.len()), (None, 1));
    mesh.pass(20);
    let (how, outcome) = mesh.end(task).unwrap_or_else(|| panic!("{:#?}", mesh.story(task)));
    assert_eq!((how, output(&outcome).as_str(), counted(&outcome).len()), (How::Done, "42", 3));
    assert_eq!((mesh.check(&spec(3), &outcome), again(&mesh)), (Ok(()), 1));
}
