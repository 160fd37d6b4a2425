//! What thousands of tasks at once come to.

use crate::world::{World, spec_of};
use mesh_coordinator::{Answer, Command, ListFilter};
use mesh_proto::task::Program;

/// Through the first node, as a job comes: a thousand at a time, and all at once.
fn submit(world: &mut World, count: u32, program: &Program) {
    for (request, first) in (0..count).step_by(1000).enumerate() {
        let keys = first..(first + 1000).min(count);
        let specs = keys.map(|key| spec_of(&key.to_be_bytes(), program.clone())).collect();
        world.ask(0, request as u64 + 1, Command::Submit { specs, follow: false });
    }
    world.run(50);
    let placed = world.counted("placed");
    assert_eq!(placed, u64::from(count));
}

#[test]
fn an_even_load_is_spread_evenly() {
    for (count, program) in [(2_000, Program::Sha256), (2_000, Program::Echo), (10_000, Program::Sha256)] {
        let mut world = World::new(5);
        submit(&mut world, count, &program);
        world.run(1_000);
        assert_eq!(world.executions, count as usize);
        let most = world.executed.iter().max().expect("five");
        assert!(most * 10 < count as usize * 3, "{:?} of {count}", world.executed);
    }
}

#[test]
fn one_of_five_that_comes_back_does_not_depose_the_others() {
    // Before anybody missed it, and after the others took over what it drove.
    for away_ms in [100, 2_000] {
        let mut world = World::new(5);
        world.hold_executions = true;
        submit(&mut world, 10_000, &Program::Sleep { ms: 1 });
        assert_eq!(world.copies_live(), 30_000);
        let driven = world.driven_by(2) as u64;
        assert!((1_500..2_500).contains(&driven), "{driven}");
        world.kill(2);
        world.run(away_ms);
        world.restart(2);
        world.run(20_000);
        let takeovers = world.counted("takeovers");
        assert!(takeovers <= driven + 50, "{takeovers} takeovers for {driven} that it drove, {away_ms} ms away");
        assert!(takeovers >= driven - 50, "and those are needed: {takeovers} of {driven}");
        let driving: usize = (0..5).map(|at| world.driven_by(at)).sum();
        assert_eq!(driving, 10_000);
    }
}

#[test]
fn a_list_of_few_among_many_takes_turns_with_everything_else() {
    let mut world = World::new(2);
    submit(&mut world, 3_000, &Program::Echo);
    world.run(100);
    let filter = ListFilter { state: Some("failed".into()), limit: 10, ..ListFilter::default() };
    world.ask(1, 100, Command::List { filter });
    let all = ListFilter { state: Some("done".into()), limit: 1_000, ..ListFilter::default() };
    world.ask(1, 101, Command::List { filter: all });
    world.run(2);
    assert!(world.answers(1, 100).is_empty(), "no turn looks at all of them");
    world.run(20);
    assert!(
        matches!(world.answers(1, 100).as_slice(), [Answer::Tasks(found), Answer::Finished] if found.rows.is_empty())
    );
    let answers = world.answers(1, 101);
    assert!(matches!(answers.as_slice(), [Answer::Tasks(found), Answer::Finished] if found.rows.len() == 1_000));
}

/// Heartbeats are 3 s apart: who is idle looks for work sooner.
#[test]
fn a_queue_is_heard_of_before_the_next_heartbeat() {
    let mut world = World::new(3);
    // The first of them are said when nodes meet, and the next then.
    world.run(3_100);
    world.hold_executions = true;
    submit(&mut world, 60, &Program::Sleep { ms: 5 });
    world.run(400);
    for (of, by) in [(0, 1), (1, 2), (2, 0)] {
        assert!(world.queued_at(of, by) > 0, "{by} does not know of {of}");
    }
}
