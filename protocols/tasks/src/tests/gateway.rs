use super::{node::*, told::Told};
use crate::{Answer, Fact, Refusal, Waiter};
use mesh_proto::id::StoreId;
use mesh_proto::task::{Ballot, Birth, Item, Known, Register, Spec};
use std::sync::Arc;

const WAITER: Waiter = Waiter { request: 1, index: 0 };

/// The fifth of the home list: a gateway that holds nothing of what it places while the first three answer.
fn gateway() -> Node {
    let mut node = Node::new(4);
    // Nobody is taken for hung for what was before.
    for rank in 0..4 {
        node.hear(rank, Item::Unknown { task: mesh_proto::id::TaskId::from_bytes([0; 32]) });
    }
    node
}

fn submit(node: &mut Node, spec: &Spec) -> Told {
    node.call(|tasks, cx| tasks.submit(cx, WAITER, encoded(spec), false))
}

/// What goes to these holders for the placement of this number. The least of all numbers is drawn: 0.
fn placements(number: u64, ranks: &[usize]) -> Vec<(usize, Item)> {
    let (ballot, birth) = (placed_ballot(number, ranks), birth());
    let register = first_register(ranks, ranks[0]);
    let supersedes = (number > 1).then(|| placed_ballot(1, &[0]));
    let mut sent: Vec<_> = ranks.iter().map(|rank| (*rank, place(&birth, ballot, &register, supersedes))).collect();
    sent.sort_by_key(|(rank, _)| *rank);
    sent
}

fn placed_ballot(number: u64, ranks: &[usize]) -> Ballot {
    birth_ballot(ranks[0], number)
}

/// Attempts are granted when they are placed.
fn granted_at(told: Told, node: &Node) -> Told {
    let granted = |mut register: Register| {
        let mesh_proto::task::State::Assigned(attempt) = &mut register.state else { panic!("{register:?}") };
        assert_eq!(attempt.granted, node.now.wall);
        attempt.granted = START;
        Arc::new(register)
    };
    let sent = told.sent.into_iter().map(|(to, item)| match item {
        Item::Place { birth, ballot, register, supersedes } => {
            (to, Item::Place { birth, ballot, register: granted(Register::clone(&register)), supersedes })
        }
        other => (to, other),
    });
    Told { sent: sent.collect(), ..told }
}

#[test]
fn a_task_is_acknowledged_when_all_its_named_holders_have_it() {
    let mut node = gateway();
    assert_eq!(submit(&mut node, &spec()), Told { sent: placements(1, &[0, 1, 2]), ..Told::nothing() });
    let (task, ballot) = (task(), placed_ballot(1, &[0]));
    assert_eq!(node.hear(0, Item::Placed { task, ballot }), Told::nothing());
    assert_eq!(node.hear(2, Item::Placed { task, ballot }), Told::nothing());
    assert_eq!(node.hear(2, Item::Placed { task, ballot }), Told::nothing(), "one holder counts once");
    assert_eq!(node.hear(3, Item::Placed { task, ballot }), Told::nothing(), "and only who was named");
    let born = |rank| (rank, Item::Born { task, ballot });
    let placed = Answer::Placed { to: WAITER, task, copies: 3, degraded: false, existing: false };
    let told = node.hear(1, Item::Placed { task, ballot });
    assert_eq!(told, Told { sent: vec![born(0), born(1), born(2)], answers: vec![placed], ..Told::nothing() });
    assert_eq!(node.hear(1, Item::Placed { task, ballot }), Told::nothing(), "and it is over");
}

#[test]
fn a_holder_that_hangs_is_replaced_and_one_that_works_is_waited_for() {
    for hangs in [true, false] {
        let mut node = gateway();
        submit(&mut node, &spec());
        let (task, ballot) = (task(), placed_ballot(1, &[0]));
        for rank in [0, 1] {
            node.hear(rank, Item::Placed { task, ballot });
        }
        assert_eq!(node.pass_ms(100), Told::nothing());
        if !hangs {
            // It says something else.
            node.hear(2, Item::Settled { task, attempt: 9 });
        }
        let told = node.pass_ms(150);
        if hangs {
            let mut sent = placements(2, &[0, 1, 3]);
            sent.push((2, Item::Abandon { task, ballot }));
            sent.sort_by_key(|(rank, _)| *rank);
            assert_eq!(granted_at(told, &node), Told { sent, ..Told::nothing() });
            assert_eq!(node.hear(2, Item::Placed { task, ballot }), Told::nothing(), "the earlier counts no more");
        } else {
            assert_eq!(told, Told::nothing());
            let told = node.hear(2, Item::Placed { task, ballot });
            assert!(matches!(told.answers.as_slice(), [Answer::Placed { copies: 3, .. }]), "{told:?}");
        }
    }
}

#[test]
fn a_first_holder_that_hangs_is_replaced_by_a_higher_placement() {
    let mut node = gateway();
    submit(&mut node, &spec());
    let (task, first) = (task(), placed_ballot(1, &[0]));
    for rank in [1, 2] {
        node.hear(rank, Item::Placed { task, ballot: first });
    }
    let told = node.pass_ms(250);
    let mut sent = placements(2, &[1, 2, 3]);
    sent.insert(0, (0, Item::Abandon { task, ballot: first }));
    assert_eq!(granted_at(told, &node), Told { sent, ..Told::nothing() });
    assert!(placed_ballot(2, &[1]) > first);
    // The third names the first as superseded, whatever came of the second.
    let third = node.hear(3, Item::Busy { task, retry_ms: 1000 });
    let mut sent = placements(3, &[1, 2, 4]);
    sent.retain(|(rank, _)| *rank != 4);
    sent.push((3, Item::Abandon { task, ballot: placed_ballot(2, &[1]) }));
    let third = granted_at(third, &node);
    assert_eq!(third.sent, sent);
    assert!(matches!(third.facts.as_slice(), [Fact::Held { .. }]), "the fifth is this node: {third:?}");
}

#[test]
fn what_a_holder_missed_it_is_sent_again_when_it_is_back() {
    let mut node = gateway();
    submit(&mut node, &spec());
    let (task, ballot) = (task(), placed_ballot(1, &[0]));
    node.hear(1, Item::Placed { task, ballot });
    for rank in [0, 1] {
        let told = node.call(|tasks, cx| tasks.up(cx, at(rank)));
        let missed = placements(1, &[0, 1, 2]).into_iter().filter(|(to, _)| *to == rank && rank != 1);
        assert_eq!(told, Told { sent: missed.collect(), ..Told::nothing() }, "{rank}");
    }
    // A placement that took another's place says so again.
    node.hear(2, Item::Busy { task, retry_ms: 1 });
    let told = node.call(|tasks, cx| tasks.up(cx, at(3)));
    let again = placements(2, &[0, 1, 3]).into_iter().filter(|(to, _)| *to == 3);
    assert_eq!(told, Told { sent: again.collect(), ..Told::nothing() });
}

#[test]
fn what_was_placed_on_a_disk_that_is_lost_is_placed_anew() {
    let mut node = gateway();
    submit(&mut node, &spec());
    let (task, ballot) = (task(), placed_ballot(1, &[0]));
    node.hear(1, Item::Placed { task, ballot });
    let told = node.call(|tasks, cx| tasks.member(cx, at(1), StoreId(11), true));
    let placed = told.sent.iter().any(|(_, item)| matches!(item, Item::Place { .. }));
    assert!(placed, "{told:?}");
    let rest = [0, 2].map(|rank| node.hear(rank, Item::Placed { task, ballot }).answers);
    assert_eq!(rest, [[], []], "two have it");
}

#[test]
fn too_few_that_would_hold_it_are_told_to_the_user_and_the_rest_abandon_it() {
    let mut node = gateway();
    submit(&mut node, &spec());
    let (task, answers) = (task(), |why| vec![Answer::Refused { to: WAITER, task: Some(task()), why }]);
    node.hear(0, Item::Busy { task, retry_ms: 300 });
    node.hear(1, Item::NotMine { task, home: Vec::new() });
    let told = node.hear(2, Item::Busy { task, retry_ms: 200 });
    assert_eq!(told.answers, answers(Refusal::Busy { retry_ms: 300 }));
    // The third placement was on 2, 3 and this node.
    let ballot = placed_ballot(3, &[2]);
    assert_eq!(told.sent, [(2, Item::Abandon { task, ballot }), (3, Item::Abandon { task, ballot })]);
    assert_eq!(told.facts, [Fact::Dropped { tasks: vec![task] }]);
    assert_eq!(node.copy(), None);

    let mut alone = gateway();
    for rank in 0..3 {
        alone.call(|tasks, cx| tasks.down(cx, at(rank)));
    }
    let why = Refusal::Unavailable { reached: 2, needed: 3, retry_ms: 1000 };
    assert_eq!(submit(&mut alone, &spec()), Told { answers: answers(why), ..Told::nothing() });
}

#[test]
fn a_placement_that_takes_too_long_is_abandoned() {
    let mut node = gateway();
    submit(&mut node, &spec());
    let (task, ballot) = (task(), placed_ballot(1, &[0]));
    node.hear(0, Item::Placed { task, ballot });
    for _ in 0..49 {
        // All are alive, and none of the others gets it done.
        for rank in 0..4 {
            node.hear(rank, Item::Settled { task, attempt: 9 });
        }
        assert_eq!(node.pass_ms(100), Told::nothing());
    }
    let told = node.pass_ms(100);
    let abandon = |rank| (rank, Item::Abandon { task, ballot });
    let why = Refusal::Unavailable { reached: 1, needed: 3, retry_ms: 1000 };
    let refused = Answer::Refused { to: WAITER, task: Some(task), why };
    assert_eq!(
        told,
        Told { sent: vec![abandon(0), abandon(1), abandon(2)], answers: vec![refused], ..Told::nothing() }
    );
}

#[test]
fn a_repeat_is_the_same_task_and_another_under_its_key_a_conflict() {
    let other = Spec { retries: 1, ..spec() };
    let known = |spec: &Spec, confirmed| Known {
        digest: Birth::digest(&birth_of(spec)),
        holders: vec![at(0), at(1), at(2)],
        confirmed,
    };
    let (task, ballot) = (task(), placed_ballot(1, &[0]));
    let existing = Answer::Placed { to: WAITER, task, copies: 3, degraded: false, existing: true };
    let conflict = Answer::Refused { to: WAITER, task: Some(task), why: Refusal::Conflict };
    for (theirs, confirmed, answers) in [
        (spec(), true, vec![existing]),
        (other.clone(), true, vec![conflict]),
        // Neither is complete, as far as is known: nothing is said.
        (spec(), false, vec![]),
        (other.clone(), false, vec![]),
    ] {
        let mut node = gateway();
        submit(&mut node, &spec());
        let told = node.hear(1, Item::Taken { task, known: known(&theirs, confirmed) });
        assert_eq!(told.answers, answers);
        for rank in 0..3 {
            assert!(told.sent.contains(&(rank, Item::Abandon { task, ballot })), "{told:?}");
        }
    }
    let mut node = gateway();
    submit(&mut node, &spec());
    // The same from another shell, with a trace of its own.
    assert_eq!(submit(&mut node, &Spec { trace: [1; 16], ..spec() }), Told::nothing());
    let told = submit(&mut node, &other);
    let conflict = Answer::Refused { to: WAITER, task: Some(task), why: Refusal::Conflict };
    assert_eq!(told, Told { answers: vec![conflict], ..Told::nothing() });
}

/// It is silent, and nobody has noticed yet.
#[test]
fn a_holder_that_let_a_placement_pass_is_not_asked_again_until_it_is_heard() {
    let mut node = gateway();
    let ranks = |told: &Told| -> Vec<usize> {
        told.sent.iter().filter(|(_, item)| matches!(item, Item::Place { .. })).map(|(rank, _)| *rank).collect()
    };
    let specs: Vec<Spec> = (10..60)
        .map(|key| Spec { key: mesh_proto::task::TaskKey::Own(vec![key]), ..spec() })
        .filter(|spec| {
            let home = node.tasks.roster().home(&spec.id(&NETWORK), 5);
            home[..3].contains(&holder(0)) && !home[..3].contains(&holder(4))
        })
        .collect();
    assert!(ranks(&submit(&mut node, &specs[0])).contains(&0));
    node.now.mono = node.now.mono + std::time::Duration::from_millis(250);
    for rank in 1..4 {
        node.hear(rank, Item::Unknown { task: mesh_proto::id::TaskId::from_bytes([0; 32]) });
    }
    let told = node.pass_ms(0);
    assert!(!ranks(&told).contains(&0) && ranks(&told).len() >= 2, "{told:?}");
    let told = submit(&mut node, &specs[1]);
    assert!(!ranks(&told).contains(&0) && ranks(&told).len() >= 2, "{told:?}");
    // A word on how busy it is, is one.
    node.call(|tasks, _| tasks.load_of(at(0), crate::Load::default()));
    assert!(ranks(&submit(&mut node, &specs[2])).contains(&0));
}

/// Three of five are to hold it.
#[test]
fn who_does_not_answer_is_asked_where_there_are_too_few_without() {
    let mut node = gateway();
    for rank in 0..3 {
        node.call(|tasks, _| tasks.roster.let_pass(&at(rank), mesh_proto::time::Mono(u64::MAX)));
    }
    let told = submit(&mut node, &spec());
    let mut asked: Vec<usize> = told.sent.iter().map(|(rank, _)| *rank).collect();
    asked.sort_unstable();
    assert_eq!(asked, [0, 3], "this node is the third");
}
