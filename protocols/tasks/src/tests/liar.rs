//! A member that says what no honest one would: whatever it is, the node goes on, and keeps and sends only what can be
//! read.

use super::node::*;
use crate::Fact;
use mesh_proto::{
    codec, limits,
    task::{
        Attempt, Ballot, Birth, Ending, FailedAttempt, FailureKind, Fault, Frame, Held, Holder, How, Item, Known,
        Outcome, Register, State, Version,
    },
    time::Wall,
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use std::{sync::Arc, time::Duration};

#[derive(Clone, Debug)]
enum Step {
    Hear(usize, Box<Item>),
    Pass(u64),
    Silent(usize),
    Up(usize),
    Ended(u32, Box<Outcome>),
}

fn rank() -> impl Strategy<Value = usize> {
    0..5usize
}

fn number() -> impl Strategy<Value = u32> {
    select(vec![0, 1, 2, 3, u32::MAX / 2, u32::MAX - 1, u32::MAX])
}

fn any_ballot() -> impl Strategy<Value = Ballot> {
    let birth = (rank(), 6..9u64).prop_map(|(driver, nonce)| birth_ballot(driver, nonce));
    let later = (select(vec![1, 2, 3, u32::MAX]), rank()).prop_map(|(term, driver)| ballot(term, driver));
    prop_oneof![birth, later]
}

fn any_attempt() -> impl Strategy<Value = Attempt> {
    (number(), rank()).prop_map(|(number, executor)| attempt(number, executor))
}

fn any_holders() -> impl Strategy<Value = Vec<Holder>> {
    vec(rank(), 0..5).prop_map(|ranks| holders(&ranks))
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    select(vec![exit(0), exit(3), failure(FailureKind::Lost), failure(FailureKind::Cancelled)])
}

fn any_wall() -> impl Strategy<Value = Wall> {
    select(vec![Wall(0), Wall(START.0 - 1000), START, Wall(START.0 + 1000), Wall(u64::MAX)])
}

/// Often held by one alone, who decides without anybody else.
fn any_register(me: usize) -> impl Strategy<Value = Arc<Register>> {
    let how = select(vec![How::Done, How::Failed, How::Cancelled, How::DeadlinePassed]);
    let ended = (how, option::of((number(), rank())), option::of(any_outcome()), any_wall()).prop_map(
        |(how, by, outcome, at_wall)| {
            let by = by.map(|(number, node)| (number, at(node)));
            State::Ended(Ending { how, by, outcome, at: at_wall })
        },
    );
    let state = prop_oneof![1 => Just(State::Waiting), 3 => any_attempt().prop_map(State::Assigned), 1 => ended];
    let failures = select(vec![0, 1, 4, 60, 61, 62, 63, limits::FAILED_ATTEMPTS]);
    let fault = select(vec![Fault::Program, Fault::Node, Fault::Nobody]);
    let holders = prop_oneof![2 => Just(holders(&[me])), 1 => any_holders()];
    let joint = prop_oneof![3 => Just(None), 1 => any_holders().prop_map(Some)];
    let passed_by = prop_oneof![3 => Just(vec![]), 1 => vec(any_holders(), 1..3)];
    let lists = (holders, joint, passed_by);
    (lists, state, failures, any_attempt(), fault).prop_map(
        |((holders, joint, passed_by), state, failures, attempt, fault)| {
            let failed = FailedAttempt { attempt, at: START, why: "because".into(), fault };
            Arc::new(Register { holders, joint, passed_by, state, failed: vec![failed; failures] })
        },
    )
}

fn any_birth() -> impl Strategy<Value = Arc<Birth>> {
    let home = prop_oneof![3 => Just(home()), 1 => any_holders()];
    (home, rank(), any_wall(), any::<bool>()).prop_map(|(home, gateway, placed, is_own)| {
        let spec = if is_own { encoded(&spec()) } else { vec![7; 3].into() };
        Arc::new(Birth { spec, home, gateway: at(gateway), placed, ..Birth::clone(&birth()) })
    })
}

fn any_item(me: usize) -> impl Strategy<Value = Item> {
    let stamp = || (any_ballot(), select(vec![1, 2, 3, u32::MAX]).prop_map(Version));
    let held = option::of((any_birth(), stamp(), any_register(me)));
    let held = held
        .prop_map(|held| held.map(|(birth, (ballot, version), register)| Held { birth, ballot, version, register }));
    let known = || Known { digest: birth().digest(), holders: vec![at(0), at(0)], confirmed: true };
    let write =
        (stamp(), any_register(me), option::of(any_birth())).prop_map(|((ballot, version), register, birth)| {
            Item::Write { task: task(), ballot, version, register, birth }
        });
    let other = prop_oneof![
        (any_birth(), any_ballot(), any_register(me), option::of(any_ballot()))
            .prop_map(|(birth, ballot, register, supersedes)| Item::Place { birth, ballot, register, supersedes }),
        any_ballot().prop_map(|ballot| Item::Born { task: task(), ballot }),
        any_ballot().prop_map(|ballot| Item::Abandon { task: task(), ballot }),
        (any_ballot(), any_wall()).prop_map(|(ballot, born)| Item::Prepare { task: task(), ballot, born }),
        (any_ballot(), held).prop_map(|(ballot, held)| Item::Promise { task: task(), ballot, held }),
        (any_ballot(), any_ballot()).prop_map(|(ballot, promised)| Item::Refused { task: task(), ballot, promised }),
        stamp().prop_map(|(ballot, version)| Item::Wrote { task: task(), ballot, version }),
        stamp().prop_map(|(ballot, version)| Item::Pull { task: task(), ballot, version }),
        any_ballot().prop_map(|ballot| Item::NotDriven { task: task(), ballot }),
        (any_attempt(), any_birth()).prop_map(|(attempt, birth)| Item::Assign { task: task(), attempt, birth }),
        number().prop_map(|attempt| Item::Ask { task: task(), attempt, age_ms: u64::MAX }),
        number().prop_map(|attempt| Item::Running { task: task(), attempt }),
        number().prop_map(|attempt| Item::NotRunning { task: task(), attempt, why: String::new() }),
        (number(), any_outcome()).prop_map(|(attempt, outcome)| Item::Report {
            task: task(),
            attempt,
            outcome: Arc::new(outcome)
        }),
        number().prop_map(|attempt| Item::Settled { task: task(), attempt }),
        rank().prop_map(|driver| Item::DrivenBy { task: task(), driver: at(driver) }),
        (any_wall(), proptest::option::of(any_wall())).prop_map(|(floor, ended)| Item::TooOld {
            task: task(),
            floor,
            ended
        }),
        Just(Item::Follow { task: task() }),
        Just(Item::Following { task: task(), known: known() }),
        Just(Item::Unknown { task: task() }),
        any_register(me).prop_map(|register| Item::Ended { task: task(), digest: birth().digest(), register }),
        Just(Item::Cancel { task: task() }),
    ];
    prop_oneof![1 => write, 4 => other]
}

fn any_step(me: usize) -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (rank(), any_item(me)).prop_map(|(from, item)| Step::Hear(from, Box::new(item))),
        2 => select(vec![0, 300, 2_000, 40_000]).prop_map(Step::Pass),
        1 => rank().prop_map(Step::Silent),
        1 => rank().prop_map(Step::Up),
        1 => (number(), any_outcome()).prop_map(|(attempt, outcome)| Step::Ended(attempt, outcome.into())),
    ]
}

/// A write comes from the driver of its ballot, or it is not looked at.
fn author(from: usize, item: &Item) -> usize {
    match item {
        Item::Write { ballot, .. } | Item::Prepare { ballot, .. } => {
            (0..5).find(|rank| at(*rank) == ballot.driver).unwrap_or(from)
        }
        _ => from,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]
    #[test]
    fn whatever_members_say_the_node_goes_on_and_keeps_what_can_be_read(
        (me, steps) in rank().prop_flat_map(|me| (Just(me), vec(any_step(me), 1..60))),
        is_born in any::<bool>(),
    ) {
        let mut node = if is_born { Node::born(me, &spec()) } else { Node::new(me) };
        for step in steps {
            let told = match step {
                Step::Hear(from, item) => node.hear(author(from, &item), *item),
                Step::Pass(ms) => node.pass(Duration::from_millis(ms)),
                Step::Silent(rank) => node.call(|tasks, cx| tasks.silent(cx, at(rank))),
                Step::Up(rank) => node.call(|tasks, cx| tasks.up(cx, at(rank))),
                Step::Ended(attempt, outcome) => {
                    node.call(|tasks, cx| tasks.executed(cx, task(), attempt, Arc::new(*outcome)))
                }
            };
            for fact in &told.facts {
                let read: Result<Fact, _> = codec::decode(&codec::encode(fact), Fact::LIMIT);
                prop_assert_eq!(read.as_ref(), Ok(fact));
            }
            let items: Vec<Item> = told.sent.into_iter().map(|(_, item)| item).collect();
            let frame = Frame { items };
            let read = Frame::decode(&codec::encode(&frame));
            prop_assert_eq!(read.as_ref(), Ok(&frame));
        }
    }
}
