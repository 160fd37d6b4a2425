//! What is said of a task by a member that has nothing to do with it.

use super::{node::*, told::Told};
use crate::{Answer, Config, Fact, Roster, Waiter};
use mesh_proto::{
    id::{NodeId, StoreId},
    task::{Holder, Item, Known},
};
use std::{sync::Arc, time::Duration};

const WAITER: Waiter = Waiter { request: 1, index: 0 };

/// A sixth member, further from the task than its home list.
fn stranger() -> Holder {
    let is_sixth = |one: &Holder| {
        let mut roster = Roster::new(holder(0), true);
        home().into_iter().chain([*one]).for_each(|member| roster.admit(member.node, member.store, true));
        roster.home(&task(), 5) == home()
    };
    let others = (6..=u8::MAX).map(|n| Holder { node: NodeId::from_bytes([n; 32]), store: StoreId(u64::from(n)) });
    others.into_iter().find(is_sixth).expect("one of them")
}

fn knows_stranger(mut node: Node) -> Node {
    let Holder { node: stranger, store } = stranger();
    node.call(|tasks, cx| tasks.member(cx, stranger, store, true));
    node
}

fn stranger_says(node: &mut Node, item: Item) -> Told {
    node.call(|tasks, cx| tasks.items(cx, stranger().node, vec![item]))
}

/// The fifth of the home list, whose user waits for the end of what the first three hold.
fn follower() -> Node {
    let mut node = placing();
    let ballot = birth_ballot(0, 1);
    let told = (0..3).map(|rank| node.hear(rank, Item::Placed { task: task(), ballot })).last();
    assert!(matches!(told.expect("three").answers[..], [Answer::Placed { .. }]));
    node
}

fn placing() -> Node {
    let mut node = knows_stranger(Node::new(4));
    node.call(|tasks, cx| tasks.submit(cx, WAITER, encoded(&spec()), true));
    node
}

fn end() -> Item {
    Item::Ended { task: task(), digest: birth().digest(), register: Arc::new(ended(START)) }
}

fn known(nodes: Vec<NodeId>) -> Known {
    Known { digest: birth().digest(), holders: nodes, confirmed: true }
}

#[test]
fn a_stranger_settles_nothing() {
    let mut node = knows_stranger(Node::with(3, Config { slots: 1, ..Config::default() }));
    let (task, driver) = (task(), stranger().node);
    node.hear(0, Item::Assign { task, attempt: attempt(1, 3), birth: birth_of(&spec()) });
    let all = || {
        let of_it = [Item::Settled { task, attempt: 1 }, Item::Handed { task, attempt: 1 }];
        of_it.into_iter().chain([Item::Keep { task, attempt: 1 }, Item::DrivenBy { task, driver }])
    };
    for item in all() {
        assert_eq!(stranger_says(&mut node, item), Told::nothing());
    }
    // It may ask, and drives it no more for that.
    stranger_says(&mut node, Item::Ask { task, attempt: 1, age_ms: 0 });
    assert_eq!(stranger_says(&mut node, Item::Settled { task, attempt: 1 }), Told::nothing());
    assert_eq!((node.tasks.totals().running, node.tasks.counters().stale_items), (1, 5));
    let told = node.call(|tasks, cx| tasks.executed(cx, task, 1, exit(0).into()));
    let report = Item::Report { task, attempt: 1, outcome: exit(0).into() };
    assert_eq!(told.sent, [(0, report)]);
    for item in all() {
        assert_eq!(stranger_says(&mut node, item), Told::nothing());
    }
    assert_eq!(node.tasks.totals().outbox, 1);
    assert_eq!(node.hear(2, Item::Settled { task, attempt: 1 }).facts, [Fact::Settled { task, attempt: 1 }]);
}

#[test]
fn a_stranger_says_nothing_of_how_a_task_ends() {
    let mut node = follower();
    let stranger = stranger().node;
    assert_eq!(stranger_says(&mut node, end()), Told::nothing());
    assert_eq!(
        stranger_says(&mut node, Item::Following { task: task(), known: known(vec![stranger]) }),
        Told::nothing()
    );
    assert_eq!(stranger_says(&mut node, end()), Told::nothing());
    assert_eq!(node.tasks.counters().stale_items, 3);
    // It may have taken over: those that should know are asked, and not only after a while.
    let asked = node.pass(Duration::from_secs(1)).sent;
    assert_eq!(asked.iter().filter(|(_, item)| matches!(item, Item::Follow { .. })).count(), 4);
    assert!(matches!(node.hear(0, end()).answers[..], [Answer::Ended { .. }]));
}

#[test]
fn a_stranger_refuses_no_placement() {
    let mut node = placing();
    let (task, floor) = (task(), START);
    let items = [
        Item::Taken { task, known: known(vec![stranger().node]) },
        Item::NotMine { task, home: Vec::new() },
        Item::Busy { task, retry_ms: 1 },
        Item::TooOld { task, floor, ended: None },
    ];
    for item in items {
        assert_eq!(stranger_says(&mut node, item), Told::nothing());
    }
    assert_eq!(node.tasks.counters().stale_items, 4);
    let ballot = birth_ballot(0, 1);
    let told = (0..3).map(|rank| node.hear(rank, Item::Placed { task, ballot })).last();
    assert!(matches!(told.expect("three").answers[..], [Answer::Placed { .. }]));
}

/// It has taken over, or has a copy in place of another's.
#[test]
fn who_may_well_hold_it_is_no_stranger() {
    let mut node = follower();
    node.hear(0, Item::Following { task: task(), known: known(vec![at(0), at(1), stranger().node]) });
    assert!(matches!(stranger_says(&mut node, end()).answers[..], [Answer::Ended { .. }]), "named by a holder");

    let mut node = follower();
    node.hear(0, Item::Following { task: task(), known: known(vec![at(0), at(1), stranger().node]) });
    node.hear(1, Item::Following { task: task(), known: known(vec![at(0), at(1), at(2)]) });
    assert!(matches!(stranger_says(&mut node, end()).answers[..], [Answer::Ended { .. }]), "named before");

    let mut node = follower();
    node.call(|tasks, cx| tasks.silent(cx, at(1)));
    assert!(matches!(stranger_says(&mut node, end()).answers[..], [Answer::Ended { .. }]), "in the place of another");

    let mut node = knows_stranger(Node::with(3, Config { slots: 1, ..Config::default() }));
    node.hear(0, Item::Assign { task: task(), attempt: attempt(1, 3), birth: birth_of(&spec()) });
    node.hear(2, Item::DrivenBy { task: task(), driver: stranger().node });
    stranger_says(&mut node, Item::Settled { task: task(), attempt: 1 });
    assert_eq!(node.tasks.totals().running, 0, "named as its driver");
}
