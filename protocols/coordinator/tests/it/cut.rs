//! A mesh in two parts: what each of them takes, and how it becomes one again.

use crate::{
    council::Council,
    world::{World, spec},
};
use mesh_coordinator::{Answer, Command, PartitionView, Refusal, Side};
use mesh_proto::{
    agreement::{Operation, Ran},
    ledger::{self, Body, Claim, CommandId, Done, Fence, Index, Outcome, Query},
    task::Program,
};

fn command(key: u8, body: Body) -> Operation {
    let id = CommandId { principal: "test".parse().unwrap(), key: vec![key].into(), born: Index::GENESIS };
    Operation::Command(Box::new(ledger::Command { id, body }))
}

fn put(key: u8) -> Operation {
    let (namespace, name) = ("shared".parse().unwrap(), "a".parse().unwrap());
    command(key, Body::MemoryPut { namespace, key: name, value: vec![key].into(), ttl_ms: None })
}

fn get() -> Query {
    Query::Get { namespace: "shared".parse().unwrap(), key: "a".parse().unwrap() }
}

/// What comes of it at once.
fn refused(council: &mut Council, at: usize, request: u64, command: Command) -> Vec<Refusal> {
    council.ask(at, request, command);
    council.run(2);
    let answers = council.answers(at, request);
    let refusals = answers.iter().filter_map(|answer| match answer {
        Answer::Refused { why, .. } => Some(why.clone()),
        _ => None,
    });
    refusals.collect()
}

fn order(council: &mut Council, at: usize, request: u64, operation: Operation) -> Ran {
    council.ask(at, request, Command::Order { operations: vec![operation] });
    council.run_until(20_000, |council| !council.answers(at, request).is_empty());
    match council.answers(at, request).as_slice() {
        [Answer::Ordered { ran, .. }, Answer::Finished] => ran.clone(),
        answers => panic!("{answers:?}"),
    }
}

fn partition(council: &mut Council, at: usize, request: u64) -> PartitionView {
    council.ask(at, request, Command::Status);
    council.run(2);
    match council.answers(at, request).as_slice() {
        [Answer::Status(status), Answer::Finished] => status.partition.clone(),
        answers => panic!("{answers:?}"),
    }
}

#[test]
fn the_side_without_a_quorum_takes_nothing_new_and_the_other_goes_on() {
    let mut council = Council::new(7, 7);
    order(&mut council, 0, 1, put(1));
    // Five of seven decide.
    council.cut(&[0, 1]);
    // Taken before this side knows: it is not lost.
    council.run(500);
    council.ask(0, 2, Command::Order { operations: vec![put(2)] });
    council.run(4_500);
    assert!(council.answers(0, 2).is_empty());

    let side = Side { sees: 2, of: 7, is_committee: true };
    let why = Refusal::ReadOnly { side, retry_ms: 1_000 };
    assert_eq!(why.to_string(), "read-only: this side sees 2 of 7 committee members; retry after it heals");
    let operations = vec![put(3), Operation::Query(get())];
    assert_eq!(refused(&mut council, 0, 3, Command::Order { operations }), [why.clone(), why.clone()]);
    let specs = vec![spec(1, Program::Echo), spec(2, Program::Echo)];
    assert_eq!(refused(&mut council, 1, 4, Command::Submit { specs, follow: true }), [why.clone(), why]);
    // Reads go on, and it says what it is.
    council.ask(1, 5, Command::Look { query: get() });
    council.run(2);
    assert!(matches!(council.answers(1, 5).as_slice(), [Answer::Looked(Some(_)), Answer::Finished]));
    let view = partition(&mut council, 0, 6);
    assert_eq!((view.partitioned, view.read_only, view.partitions), (true, Some(side), 1));

    order(&mut council, 3, 7, put(4));
    assert_eq!(partition(&mut council, 3, 8), PartitionView::default(), "the other side is not cut off");

    council.join();
    let recoveries = |council: &Council, at: usize| council.brain(at).recoveries().count();
    council.run_until(5_000, |council| (0..2).all(|at| recoveries(council, at) == 1));
    assert!((0..7).all(|at| council.brain(at).read_only().is_none()));
    assert!((2..7).all(|at| recoveries(&council, at) == 0));
    council.run_until(20_000, |council| !council.answers(0, 2).is_empty());
    assert!(matches!(council.answers(0, 2).as_slice(), [Answer::Ordered { .. }, Answer::Finished]));
    order(&mut council, 1, 9, put(5));
    let view = partition(&mut council, 0, 10);
    assert_eq!((view.partitioned, view.read_only, view.partitions), (false, None, 1));
    assert!(view.recoveries.sum > std::time::Duration::ZERO, "{view:?}");
}

#[test]
fn a_committee_of_one_does_not_make_the_smaller_side_the_mesh() {
    let mut council = Council::new(5, 1);
    let name = "l".parse().unwrap();
    let lock = Body::Lock { name, holder: crate::council::node(0), lease_ms: 60_000 };
    let Ran::Outcome(Outcome::Done(Done::Granted { fence, .. })) = order(&mut council, 0, 1, command(1, lock)) else {
        panic!("nobody has it")
    };
    council.cut(&[0, 1]);
    council.run(5_000);
    let why = Refusal::ReadOnly { side: Side { sees: 2, of: 5, is_committee: false }, retry_ms: 1_000 };
    assert_eq!(refused(&mut council, 0, 2, Command::Order { operations: vec![put(2)] }), std::slice::from_ref(&why));
    let submit = |key| Command::Submit { specs: vec![spec(key, Program::Echo)], follow: false };
    assert_eq!(refused(&mut council, 1, 3, submit(1)), [why]);
    // What was taken goes on as long as the committee is there: reads, and what is held.
    assert!(matches!(order(&mut council, 1, 4, Operation::Query(get())), Ran::Answer(_)));
    let renew = |fence: Fence| Body::Renew { claim: Claim::Lock("l".parse().unwrap()), fence, lease_ms: 60_000 };
    assert!(matches!(
        order(&mut council, 0, 5, command(5, renew(fence))),
        Ran::Outcome(Outcome::Done(Done::Granted { .. }))
    ));
    // The larger side is not partitioned: what it asks for waits, and tasks are taken.
    assert_eq!(refused(&mut council, 3, 6, Command::Order { operations: vec![put(6)] }), []);
    assert!((2..5).all(|at| council.brain(at).read_only().is_none()));
    council.join();
    council.run_until(20_000, |council| !council.answers(3, 6).is_empty());
    assert!(matches!(council.answers(3, 6).as_slice(), [Answer::Ordered { .. }, Answer::Finished]));
}

fn submit(world: &mut World, at: usize, request: u64) -> Vec<Answer> {
    world.ask(at, request, Command::Submit { specs: vec![spec(request as u8, Program::Echo)], follow: false });
    world.run(400);
    world.answers(at, request)
}

#[test]
fn a_network_of_one_is_never_cut_off_and_one_of_two_only_when_the_other_stays_away() {
    let mut alone = World::new(1);
    alone.run(60_000);
    assert!(matches!(submit(&mut alone, 0, 1).as_slice(), [Answer::Placed { .. }, Answer::Finished]));

    let mut two = World::new(2);
    two.kill(1);
    // Restarting is no partition: what is asked meanwhile is told as ever.
    two.run(2_000);
    let told = submit(&mut two, 0, 1);
    assert!(matches!(told.as_slice(), [Answer::Refused { why: Refusal::Unavailable { .. }, .. }, _]), "{told:?}");
    two.restart(1);
    two.run(5_000);
    assert!(matches!(submit(&mut two, 0, 2).as_slice(), [Answer::Placed { copies: 2, .. }, Answer::Finished]));

    two.kill(1);
    two.run(4_000);
    let told = submit(&mut two, 0, 3);
    let side = Side { sees: 1, of: 2, is_committee: false };
    assert!(
        matches!(told.as_slice(), [Answer::Refused { why: Refusal::ReadOnly { side: of, .. }, .. }, _] if *of == side),
        "{told:?}"
    );
    two.restart(1);
    two.run(10);
    assert!(matches!(submit(&mut two, 0, 4).as_slice(), [Answer::Placed { copies: 2, .. }, Answer::Finished]));
}

#[test]
fn a_node_that_starts_where_nobody_is_has_the_time_out_to_find_somebody() {
    let mut world = World::new(3);
    [1, 2].into_iter().for_each(|at| world.kill(at));
    world.restart_alone(0);
    world.run(9_000);
    let told = submit(&mut world, 0, 1);
    assert!(matches!(told.as_slice(), [Answer::Refused { why: Refusal::Unavailable { .. }, .. }, _]), "{told:?}");
    world.run(5_000);
    let told = submit(&mut world, 0, 2);
    assert!(matches!(told.as_slice(), [Answer::Refused { why: Refusal::ReadOnly { .. }, .. }, _]), "{told:?}");
}
