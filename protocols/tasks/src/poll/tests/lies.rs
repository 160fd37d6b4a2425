//! What members say that lie, of what they ran and of what others did.

use super::*;

/// The one that polls is believed nothing.
#[test]
fn a_poll_that_is_forged_is_not_accepted_and_another_counts() {
    let task = spec(3).id(&NETWORK);
    let honest = {
        let mut mesh = Mesh::new(5);
        mesh.submit(&spec(3));
        mesh.pass(1);
        mesh.end(task).unwrap().1
    };
    let mesh = Mesh::new(5);
    let drawn = mesh.drawn(&task);
    let lie = |node: usize| {
        let mut outcome = said("41");
        let of = Sealable { task, work: spec(3).work() };
        outcome.seal(&mesh.keys[node], &NETWORK, &of);
        outcome.sealed(&NETWORK, &of, mesh.id(node)).unwrap()
    };
    let claims = |said_by: Vec<Sealed>| Outcome { count: Some(Count { asked: 3, said: said_by }), ..said("41") };
    let [first, second, third, last] = [drawn[0], drawn[1], drawn[2], drawn[4]];
    let undecided = |asked, nodes: &[usize]| {
        let count = Count { asked, said: nodes.iter().map(|node| lie(*node)).collect() };
        Outcome { count: Some(count), ..Outcome::failed(FailureKind::NoMajority, "") }
    };
    let mut stolen = lie(first);
    stolen.node = mesh.id(second);
    let cases = [
        (claims(vec![]), CountError::Nobody),
        (claims(vec![lie(first), lie(first)]), CountError::Twice(mesh.id(first))),
        (claims(vec![lie(first), stolen]), CountError::Forged(mesh.id(second))),
        (claims(vec![lie(first), lie(last)]), CountError::NotDrawn(mesh.id(last))),
        (claims(vec![lie(first)]), CountError::Minority { agree: 1, asked: 3 }),
        (claims(counted(&honest).to_vec()), CountError::Minority { agree: 0, asked: 3 }),
        (
            Outcome { count: honest.count.clone(), ..Outcome::failed(FailureKind::NoMajority, "") },
            CountError::Undecided { most: 2, said: 2, wanted: 3 },
        ),
        // All of them agree, but as many more are to have been asked.
        (undecided(6, &[first, second, third]), CountError::Undecided { most: 3, said: 3, wanted: 3 }),
        (undecided(31, &[first, second, third]), CountError::TooMany { asked: 31 }),
    ];
    for (forged, why) in cases {
        assert_eq!(mesh.check(&spec(3), &forged), Err(why));
        for forger in 0..5 {
            let mut mesh = Mesh::new(5);
            mesh.forged = Some((forger, forged.clone()));
            mesh.submit(&spec(3));
            mesh.pass(10);
            let (how, outcome) = mesh.end(task).unwrap();
            assert_eq!((how, output(&outcome).as_str()), (How::Done, "42"), "n{forger}: {why}");
        }
    }
}

/// A member submits, in the name of the replicas, what gives the result that it likes; honest members run and sign it.
#[test]
fn what_runs_something_else_in_the_name_of_a_replica_proves_nothing() {
    let task = spec(3).id(&NETWORK);
    let mut mesh = Mesh::new(5);
    let drawn = mesh.drawn(&task);
    let lie = |node: NodeId| Spec {
        program: Program::Echo,
        input: Payload::Inline(b"41".to_vec().into()),
        ..replica_of(&spec(3), &task, (node, 0), START)
    };
    let mut said = Vec::new();
    for (index, node) in drawn[..3].iter().enumerate() {
        let spec = lie(mesh.id(*node));
        let waiter = Waiter { request: 7, index: index as u32 };
        let (id, encoded) = (spec.id(&NETWORK), encoded(&spec));
        mesh.call(4, |tasks, cx| tasks.submit(cx, waiter, encoded, true));
        mesh.pass(1);
        let (_, outcome) = mesh.end(id).unwrap();
        assert_eq!(output(&outcome), "41");
        said.push(Sealed { node: mesh.id(*node), result: outcome.result(), seal: outcome.seal.unwrap() });
    }
    let stdout = Payload::Inline(b"41".to_vec().into());
    let claim = Outcome { stdout, count: Some(Count { asked: 3, said: said.clone() }), ..super::tests::said("41") };
    assert_eq!(mesh.check(&spec(3), &claim), Err(CountError::Forged(said[0].node)));
    // It is no result for the poll either. What is left is that it finds none.
    mesh.submit(&spec(3));
    mesh.pass(60);
    assert!(mesh.end(task).is_none_or(|(how, _)| how == How::Failed));
    assert!(mesh.nodes.iter().all(|node| node.counters().miscounted == 0));
}

/// Nobody signs for how long it took, and release builds stop at a sum that is too large.
#[test]
fn who_says_that_it_took_for_ever_ends_nobody() {
    let mut mesh = Mesh::new(5);
    mesh.cpu_us = u64::MAX;
    let task = mesh.submit(&spec(3));
    mesh.pass(1);
    let (how, outcome) = mesh.end(task).unwrap();
    assert_eq!((how, output(&outcome).as_str(), outcome.cpu_us), (How::Done, "42", u64::MAX));
}

/// Two of three that speak agree, and nobody can prove that the others do not: no end for good, or every count would refuse it.
#[test]
fn what_most_of_those_say_that_speak_is_no_want_of_a_majority() {
    let task = spec(3).id(&NETWORK);
    let drawn = Mesh::new(5).drawn(&task);
    let mut mesh = Mesh::new(5);
    mesh.wrong.insert(drawn[1]);
    mesh.mute.extend(&drawn[2..4]);
    mesh.submit(&spec(3));
    mesh.pass(60);
    let (how, outcome) = mesh.end(task).unwrap();
    assert_eq!(how, How::Failed);
    assert!(matches!(&outcome.status, Status::Failed(failure) if failure.kind == FailureKind::Lost), "{outcome:?}");
    let undecided: u64 = mesh.nodes.iter().map(|node| node.counters().polls_undecided).sum();
    let miscounted: u64 = mesh.nodes.iter().map(|node| node.counters().miscounted).sum();
    assert!(undecided > 0);
    assert_eq!(miscounted, 0, "no honest poll is refused");
}

/// Its own word that others wait before it must not keep a task for ever.
#[test]
fn who_claims_a_queue_for_ever_is_not_waited_for() {
    for redundancy in [2, 3] {
        let task = spec(redundancy).id(&NETWORK);
        let mut mesh = Mesh::new(5);
        let drawn = mesh.drawn(&task);
        mesh.hung.insert(drawn[0]);
        mesh.queues = Some(drawn[0]);
        // Two of three agree without it otherwise.
        mesh.wrong.extend((redundancy == 3).then_some(drawn[1]));
        mesh.submit(&spec(redundancy));
        mesh.pass(30);
        assert_eq!(mesh.end(task), None, "it may well have a queue");
        mesh.pass(40);
        let (how, outcome) = mesh.end(task).unwrap_or_else(|| panic!("{redundancy}: {:#?}", mesh.story(task)));
        assert_eq!((how, output(&outcome).as_str()), (How::Done, "42"));
        assert_eq!(mesh.check(&spec(redundancy), &outcome), Ok(()));
    }
}

/// One that has a queue is no liar.
#[test]
fn who_is_late_for_a_queue_still_has_its_say() {
    let task = spec(2).id(&NETWORK);
    let mut mesh = Mesh::new(3);
    let drawn = mesh.drawn(&task);
    mesh.hung.insert(drawn[0]);
    mesh.queues = Some(drawn[0]);
    mesh.wrong.insert(drawn[1]);
    mesh.submit(&spec(2));
    mesh.pass(100);
    assert_eq!((mesh.end(task), mesh.executors().len()), (None, 3), "one was asked beside it, and there are no more");
    mesh.hung.clear();
    for (node, birth, attempt) in std::mem::take(&mut mesh.unfinished) {
        mesh.finish(node, &birth, attempt);
    }
    mesh.pass(1);
    let (how, outcome) = mesh.end(task).unwrap();
    assert_eq!((how, output(&outcome).as_str(), counted(&outcome).len()), (How::Done, "42", 3));
    assert_eq!(mesh.check(&spec(2), &outcome), Ok(()));
}

#[test]
fn nobody_has_a_queue_for_ever() {
    let task = spec(2).id(&NETWORK);
    let mut mesh = Mesh::new(2);
    let liar = mesh.drawn(&task)[0];
    mesh.hung.insert(liar);
    mesh.queues = Some(liar);
    mesh.submit(&spec(2));
    mesh.pass(700);
    let undecided: u64 = mesh.nodes.iter().map(|node| node.counters().polls_undecided).sum();
    assert!(undecided > 0);
}

/// They were run and signed: what those that drive the replicas make of them is no matter.
#[test]
fn who_drives_a_replica_to_no_end_takes_nobodys_word_away() {
    for redundancy in 2..=5 {
        let polling = {
            let mut mesh = Mesh::new(5);
            mesh.hung = (0..5).collect();
            let task = mesh.submit(&spec(redundancy));
            (0..5).find(|node| mesh.nodes[*node].polls.open.contains_key(&task)).unwrap()
        };
        let mut mesh = Mesh::new(5);
        mesh.enders = (0..5).filter(|node| *node != polling).collect();
        let task = mesh.submit(&spec(redundancy));
        mesh.pass(10);
        let (how, outcome) = mesh.end(task).unwrap_or_else(|| panic!("{redundancy}: {:#?}", mesh.story(task)));
        assert_eq!((how, output(&outcome).as_str()), (How::Done, "42"), "{redundancy}");
        assert_eq!(mesh.check(&spec(redundancy), &outcome), Ok(()));
    }
}
