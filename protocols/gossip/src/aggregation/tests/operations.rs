//! What comes out of questions to a mesh.

use super::world::{World, ask};
use crate::aggregation::{Answer, Asked, Config, Operation};
use std::time::Duration;

fn asked_of(values: &[Option<f64>], operation: Operation) -> Answer {
    let mut world = World::new(3, values.iter().copied());
    world.loss = 10;
    world.ask(0, ask(operation));
    world.answer(20_000)
}

#[test]
fn each_operation_says_what_it_is_of_the_values() {
    let values: Vec<Option<f64>> = (1..=40).map(|n| Some(f64::from(n))).collect();
    for (operation, value) in [
        (Operation::Count, 40.0),
        (Operation::Sum, 820.0),
        (Operation::Mean, 20.5),
        (Operation::Min, 1.0),
        (Operation::Max, 40.0),
        (Operation::Quantile(0.5), 20.0),
        (Operation::Quantile(0.95), 38.0),
    ] {
        let answer = asked_of(&values, operation);
        assert!(answer.settled, "{operation:?}: {answer:?}");
        assert_eq!((answer.covers, answer.reached), (40, 40), "{operation:?}");
        let found = answer.values[0];
        assert!((found - value).abs() <= answer.error.max(value * 0.0005), "{operation:?}: {found} for {value}");
        let accuracy = if matches!(operation, Operation::Quantile(_)) { 0.013 } else { 0.001 };
        assert!(answer.error <= accuracy * value, "{operation:?}: {answer:?}");
    }
}

#[test]
fn a_histogram_has_every_member_once() {
    let values: Vec<Option<f64>> = (0..60).map(|n| Some(f64::from(n % 3) * 10.0 + 1.0)).collect();
    let answer = asked_of(&values, Operation::Histogram(200));
    let there: Vec<u64> = answer.histogram.iter().map(|bucket| bucket.count).filter(|count| *count > 0).collect();
    assert_eq!((answer.settled, there), (true, vec![20, 20, 20]), "{answer:?}");
}

#[test]
fn members_without_a_value_pass_on_what_others_have() {
    let values: Vec<Option<f64>> = (0..30).map(|n| (n % 3 == 0).then_some(6.0)).collect();
    let answer = asked_of(&values, Operation::Mean);
    assert_eq!((answer.covers, answer.reached), (10, 30), "{answer:?}");
    assert!((answer.values[0] - 6.0).abs() < 1e-9);
    let nobody = asked_of(&[None, None, None], Operation::Mean);
    assert_eq!((nobody.values, nobody.covers, nobody.reached, nobody.settled), (vec![], 0, 3, true));
}

#[test]
fn a_mesh_of_one_and_one_of_two_answer() {
    let alone = asked_of(&[Some(5.0)], Operation::Sum);
    assert_eq!((alone.values, alone.covers, alone.settled, alone.error), (vec![5.0], 1, true, 0.0));
    let two = asked_of(&[Some(5.0), Some(7.0)], Operation::Sum);
    assert_eq!((two.covers, two.settled), (2, true));
    assert!((two.values[0] - 12.0).abs() <= two.error.max(0.01), "{two:?}");
}

#[test]
fn vectors_are_averaged_component_by_component() {
    let vectors = (0..12).map(|n| Some((0..4096).map(|of| f64::from(of * n) - 5.0).collect::<Vec<f64>>()));
    let mut world = World::of(9, Config::default(), vectors.chain([Some(vec![1.0]), None]));
    world.loss = 20;
    world.ask(0, Asked { length: 4096, timeout: Duration::from_secs(30), ..ask(Operation::Mean) });
    let answer = world.answer(30_000);
    assert_eq!((answer.covers, answer.reached, answer.settled), (12, 14, true), "one has another length, one none");
    for (of, value) in (0i32..).zip(&answer.values) {
        let truth = 5.5 * f64::from(of) - 5.0;
        assert!((value - truth).abs() <= answer.error + 1e-9, "{of}: {value} for {truth}, {}", answer.error);
    }
    assert!(answer.error < 12.0, "a thousandth of the mean size: {}", answer.error);
}

#[test]
fn who_dies_meanwhile_is_out_of_the_sum() {
    for seed in 0..20 {
        let mut world = World::new(seed, (0..25).map(|n| Some(f64::from(n))));
        world.loss = 20;
        world.ask(0, Asked { tolerance: 1e-6, ..ask(Operation::Sum) });
        world.run(1_400);
        world.kill(24);
        world.kill(3);
        let answer = world.answer(20_000);
        assert_eq!((answer.covers, answer.reached, answer.settled), (23, 23, true), "seed {seed}: {answer:?}");
        assert!((answer.values[0] - (300.0 - 27.0)).abs() < 0.01, "seed {seed}: {answer:?}");
    }
}

#[test]
fn who_is_left_waits_no_longer_than_asked() {
    let mut world = World::new(5, [Some(1.0), Some(2.0), Some(3.0)]);
    world.loss = 100;
    world.ask(0, Asked { timeout: Duration::from_secs(2), ..ask(Operation::Sum) });
    let answer = world.answer(3_000);
    assert!(!answer.settled && answer.elapsed >= Duration::from_secs(2), "{answer:?}");
    assert!(answer.elapsed < Duration::from_millis(2_010), "{answer:?}");
    world.loss = 0;
    world.run(5_000);
    assert!(world.nodes.iter().all(|node| node.machine.counters().open == 0), "all have heard that it is over");
}

/// What is said of the error is seen, not proven; this is how well it was seen.
#[test]
fn the_truth_is_within_what_is_said_of_nearly_all_answers() {
    let (mut runs, mut within, mut far) = (0, 0, 0);
    for members in [2, 3, 5, 8, 13, 30, 60] {
        for seed in 0..30 {
            for operation in [Operation::Sum, Operation::Mean] {
                let values: Vec<f64> = (0..members).map(|n| f64::from((n * 7919 + 13) % 101)).collect();
                let mut world = World::new(seed, values.iter().map(|value| Some(*value)));
                (world.loss, world.slowest) = (20, 40);
                world.ask(0, Asked { tolerance: 0.01, ..ask(operation) });
                let answer = world.answer(20_000);
                assert!(answer.settled, "{members} {seed}: {answer:?}");
                let sum: f64 = values.iter().sum();
                let truth = if operation == Operation::Sum { sum } else { sum / f64::from(members) };
                let off = (answer.values[0] - truth).abs();
                runs += 1;
                within += usize::from(off <= answer.error);
                far += usize::from(off > truth * 0.01);
                assert_eq!(answer.covers, u64::try_from(members).unwrap(), "{members} {seed}: {answer:?}");
            }
        }
    }
    println!("{within} of {runs} within what was said, {far} further than asked for");
    assert!(within * 100 >= runs * 98 && far * 100 <= runs, "{within} of {runs}, {far}");
}
