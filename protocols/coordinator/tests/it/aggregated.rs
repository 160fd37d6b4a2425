//! A function of all members' values, asked of one of them.

use crate::tables::{Few, id};
use mesh_coordinator::{Answer, Command, Input, RequestId};
use mesh_gossip::{Asked, Operation};
use std::time::Duration;

fn ask(operation: Operation) -> Command {
    let (name, tolerance, timeout) = ("n".to_owned(), 0.001, Duration::from_secs(10));
    Command::Aggregate { asked: Asked { operation, name, length: 1, tolerance, timeout } }
}

/// Each is connected to each, and has its own number as its value.
fn five() -> Few {
    let mut few = Few::new(5);
    (0..5).flat_map(|a| (0..a).map(move |b| (a, b))).for_each(|(a, b)| few.connect(a, b));
    few.run(50);
    few
}

fn answered(few: &mut Few, at: usize, request: u64, operation: Operation) -> (mesh_gossip::Answer, u64) {
    assert!(few.ask(at, request, ask(operation)).is_empty(), "nobody knows it alone");
    for _ in 0..100 {
        few.run(100);
        if let Some(answers) = few.answers.remove(&(at, request)) {
            let [Answer::Aggregate { answer, members }, Answer::Finished] = &answers[..] else { panic!("{answers:?}") };
            return ((**answer).clone(), *members);
        }
    }
    panic!("no answer");
}

#[test]
fn every_member_can_ask_and_all_are_in_the_answer() {
    let mut few = five();
    for (at, operation, value) in
        [(0, Operation::Sum, 10.0), (3, Operation::Mean, 2.0), (4, Operation::Max, 4.0), (1, Operation::Count, 5.0)]
    {
        let (answer, members) = answered(&mut few, at, 7, operation);
        assert_eq!((answer.covers, answer.reached, members, answer.settled), (5, 5, 5, true), "{operation:?}");
        assert!((answer.values[0] - value).abs() <= 0.01, "{operation:?}: {answer:?}");
    }
    few.run(500);
    for brain in 0..5 {
        let Some(Answer::Status(status)) = few.ask(brain, 9, Command::Status).into_iter().next() else { panic!() };
        let counted = status.aggregations;
        assert_eq!((counted.open, counted.asked + counted.joined, counted.refused), (0, 4, 0), "{brain}: {counted:?}");
        assert!(counted.shares > 0 && counted.malformed == 0, "{counted:?}");
    }
}

#[test]
fn who_is_lost_meanwhile_is_not_in_the_answer() {
    let mut few = five();
    assert!(few.ask(0, 7, ask(Operation::Sum)).is_empty());
    few.run(400);
    for other in 0..4 {
        few.connected.retain(|(a, b)| *a != 4 && *b != 4);
        few.inboxes[other].push(Input::Down { node: id(4) });
        few.inboxes[4].push(Input::Down { node: id(other) });
    }
    few.run(9_000);
    let answers = few.answers.remove(&(0, 7)).expect("an answer");
    let [Answer::Aggregate { answer, members }, Answer::Finished] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!((answer.covers, answer.reached, *members), (4, 4, 5), "a member that is lost is one all the same");
    assert!((answer.values[0] - 6.0).abs() <= 0.01, "{answer:?}");
}

#[test]
fn a_user_that_leaves_ends_it_everywhere() {
    let mut few = five();
    assert!(few.ask(0, 7, ask(Operation::Sum)).is_empty());
    few.run(300);
    few.ask(0, 8, Command::Leave { request: RequestId(7) });
    few.run(1_000);
    for brain in 0..5 {
        let Some(Answer::Status(status)) = few.ask(brain, 9, Command::Status).into_iter().next() else { panic!() };
        assert_eq!((status.aggregations.open, status.aggregations.settled), (0, 0), "{brain}");
    }
    assert!(!few.answers.contains_key(&(0, 7)));
}

#[test]
fn what_is_no_question_is_refused_at_once() {
    let mut few = five();
    let answers = few.ask(0, 7, ask(Operation::Quantile(1.5)));
    assert!(matches!(answers[..], [Answer::Refused { .. }, Answer::Finished]), "{answers:?}");
}
