//! A node polls for so many tasks at a time, and what is above waits.

use super::*;
use mesh_proto::task::{self, Attempt, Ballot, Register};

/// Each has its replicas in the mesh: without a bound these would find no room beside their tasks.
#[test]
fn polls_wait_for_one_another() {
    let mut mesh = Mesh::new(3);
    mesh.hung = (0..3).collect();
    let own = |n: u32| Spec { key: TaskKey::Own(n.to_le_bytes().to_vec()), strategy: Strategy::Local, ..spec(2) };
    let many = OPEN as u32 + 20;
    for n in 0..many {
        let (waiter, encoded) = (Waiter { request: 1, index: n }, encoded(&own(n)));
        mesh.call(0, |tasks, cx| tasks.submit(cx, waiter, encoded, true));
    }
    let polls = &mesh.nodes[0].polls;
    assert_eq!((polls.open.len(), polls.waiting.len()), (OPEN, 20));
    mesh.hung.clear();
    for (node, birth, attempt) in std::mem::take(&mut mesh.unfinished) {
        mesh.finish(node, &birth, attempt);
    }
    mesh.pass(2);
    assert!((0..many).all(|n| mesh.end(own(n).id(&NETWORK)).is_some()));
    assert_eq!(mesh.nodes[0].polls.count(), 0);
}

/// What waits for its place is over as well, and does not begin when there is one.
#[test]
fn a_poll_that_waits_is_cancelled_before_it_begins() {
    let mut mesh = Mesh::new(3);
    mesh.hung = (0..3).collect();
    let own = |n: u32| Spec { key: TaskKey::Own(n.to_le_bytes().to_vec()), strategy: Strategy::Local, ..spec(2) };
    let many = OPEN as u32 + 20;
    for n in 0..many {
        let (waiter, encoded) = (Waiter { request: 1, index: n }, encoded(&own(n)));
        mesh.call(0, |tasks, cx| tasks.submit(cx, waiter, encoded, true));
    }
    assert_eq!(mesh.nodes[0].polls.count(), OPEN + 20);
    let asked = mesh.nodes[0].counters().replicas;
    // The last first: they wait while all the others are open.
    for n in (0..many).rev() {
        let waiter = Waiter { request: 2, index: n };
        mesh.call(0, |tasks, cx| tasks.cancel(cx, waiter, own(n).id(&NETWORK)));
    }
    mesh.pass(120);
    assert!((0..many).all(|n| mesh.end(own(n).id(&NETWORK)).is_none_or(|(how, _)| how == How::Cancelled)));
    assert_eq!(mesh.nodes[0].counters().replicas, asked, "no replica of what was cancelled");
    for node in &mesh.nodes {
        assert_eq!((node.polls.count(), node.totals().running, node.totals().queued), (0, 0, 0));
        assert!(node.shelf().live().is_empty());
    }
    assert!(mesh.nodes[0].polls.asked.is_empty() && mesh.nodes[0].polls.turns.is_empty());
}

/// The same, where its node has lost the mesh.
#[test]
fn a_poll_that_waits_on_an_isolated_node_is_given_back() {
    let mut mesh = Mesh::new(3);
    mesh.hung = (0..3).collect();
    let own = |n: u32| {
        let stop = OnIsolation::Stop;
        Spec { key: TaskKey::Own(n.to_le_bytes().to_vec()), strategy: Strategy::Local, on_isolation: stop, ..spec(2) }
    };
    for n in 0..OPEN as u32 + 20 {
        let (waiter, encoded) = (Waiter { request: 1, index: n }, encoded(&own(n)));
        mesh.call(0, |tasks, cx| tasks.submit(cx, waiter, encoded, true));
    }
    for gone in [1, 2] {
        let gone = mesh.id(gone);
        mesh.call(0, |tasks, cx| tasks.silent(cx, gone));
    }
    for _ in 0..100 {
        mesh.call(0, |tasks, cx| tasks.handle_deadline(cx));
    }
    assert_eq!((mesh.nodes[0].polls.count(), mesh.nodes[0].polls.asked.len()), (0, 0));
}

/// What has its place and has not begun counts: a frame brings more than there is room for.
#[test]
fn one_frame_opens_no_more_polls_than_there_is_room_for() {
    let mut mesh = Mesh::new(3);
    mesh.hung = (0..3).collect();
    let (executor, gateway, granted) = (mesh.id(0), mesh.id(1), START);
    let (mut placed, mut born) = (Vec::new(), Vec::new());
    for n in 0..2 * OPEN as u32 {
        let spec = Spec { key: TaskKey::Own(n.to_le_bytes().to_vec()), ..spec(2) };
        let task = spec.id(&NETWORK);
        let home = mesh.nodes[0].roster().home(&task, 5);
        let ballot = Ballot { term: 0, driver: home[0].node, nonce: 7 };
        let register = Register {
            holders: home.clone(),
            joint: Some(home.clone()),
            passed_by: Vec::new(),
            state: task::State::Assigned(Attempt { number: 1, executor, granted }),
            failed: Vec::new(),
        };
        let birth = Arc::new(Birth { task, spec: encoded(&spec), born: START, gateway, placed: START, home });
        placed.push(Item::Place { birth, ballot, register: Arc::new(register), supersedes: None });
        born.push(Item::Born { task, ballot });
    }
    mesh.call(0, |tasks, cx| tasks.items(cx, gateway, placed));
    mesh.call(0, |tasks, cx| tasks.items(cx, gateway, born));
    let polls = &mesh.nodes[0].polls;
    assert_eq!((polls.open.len(), polls.waiting.len(), polls.count()), (OPEN, OPEN, 2 * OPEN));
}

#[test]
fn a_member_that_drains_is_not_waited_for() {
    let mut mesh = Mesh::new(3);
    let task = spec(2).id(&NETWORK);
    let one = mesh.drawn(&task)[0];
    mesh.hung = [one].into_iter().collect();
    mesh.submit(&spec(2));
    mesh.pass(2);
    assert_eq!(mesh.end(task), None);
    let Holder { node, store } = mesh.nodes[one].me;
    for at in 0..3 {
        mesh.call(at, |tasks, cx| tasks.member(cx, node, store, crate::Holding::Drains));
    }
    mesh.pass(5);
    let (how, outcome) = mesh.end(task).unwrap_or_else(|| panic!("{:#?}", mesh.story(task)));
    assert_eq!((how, output(&outcome).as_str()), (How::Done, "42"));
}
