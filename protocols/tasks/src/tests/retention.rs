use super::{node::*, told::Told};
use crate::{Config, Fact, Shelf};
use mesh_proto::{
    id::TaskId,
    task::{Attempt, Birth, Item, Register, Spec, State, TaskKey, Version},
    time::Wall,
};
use std::{sync::Arc, time::Duration};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A task that ended here so many milliseconds after the start, as all its holders know; its key was drawn then as well.
fn end(node: &mut Node, key: u8, ms: u64) -> TaskId {
    let task = end_unsure(node, key, ms);
    node.hear(0, decided(task));
    task
}

fn decided(task: TaskId) -> Item {
    Item::InForce { task, ballot: ballot(1, 0), version: Version(2), complete: true }
}

/// The same, but whether a majority has it so is not known here.
fn end_unsure(node: &mut Node, key: u8, ms: u64) -> TaskId {
    let born = Wall(START.0 + ms);
    let spec = Spec { key: TaskKey::Own(vec![key]), born, ..spec() };
    let birth = birth_of(&spec);
    let register = Arc::new(ended(born));
    let task = birth.task;
    node.hear(0, Item::Write { task, ballot: ballot(1, 0), version: Version(2), register, birth: Some(birth) });
    task
}

fn dropped(tasks: Vec<TaskId>) -> Told {
    Told { facts: vec![Fact::Dropped { tasks }], ..Told::nothing() }
}

#[test]
fn an_ended_task_is_kept_for_the_retention_and_a_minute() {
    let mut node = Node::new(1);
    let task = end(&mut node, 1, 0);
    assert_eq!(node.pass(DAY + Duration::from_secs(60)), Told::nothing());
    assert_eq!(node.pass(Duration::from_secs(1)), dropped(vec![task]));
    assert_eq!(node.tasks.shelf().floor(), Wall(0), "the floor of age needs no record");
    assert!(node.tasks.shelf().copies_len() == 0 && node.tasks.shelf().ended().is_empty());
}

#[test]
fn an_end_that_may_be_all_that_is_left_of_a_task_is_kept_until_it_is_known_to_be_decided() {
    let mut node = Node::with(1, Config { retained_max: 0, ..Config::default() });
    let task = end_unsure(&mut node, 1, 1);
    assert!((0..48).all(|_| !node.pass(DAY / 12).facts.iter().any(|fact| matches!(fact, Fact::Dropped { .. }))));
    assert!(node.tasks.shelf().copy(&task).is_some());
    // Not by the word of somebody else, nor of what was before.
    node.hear(2, decided(task));
    node.hear(0, Item::InForce { task, ballot: ballot(1, 0), version: Version(1), complete: true });
    assert!(node.tasks.shelf().copy(&task).is_some_and(|copy| !copy.settled));
    node.hear(0, Item::InForce { task, ballot: ballot(1, 0), version: Version(2), complete: false });
    node.pass_ms(1000);
    assert!(node.tasks.shelf().copy(&task).is_none());
}

#[test]
fn ends_that_are_not_known_to_be_decided_push_no_others_out() {
    let mut node = Node::with(1, Config { retained_max: 2, ..Config::default() });
    for key in 1..=5 {
        end_unsure(&mut node, key, u64::from(key));
    }
    let kept: Vec<TaskId> = [6, 7].map(|key| end(&mut node, key, u64::from(key))).into();
    assert_eq!(node.pass_ms(1000).facts, []);
    assert_eq!((node.tasks.shelf().undecided(), node.tasks.shelf().ended().len()), (5, 7));
    let last = end(&mut node, 8, 8);
    node.pass_ms(1000);
    let shelf = node.tasks.shelf();
    assert_eq!([kept[0], kept[1], last].map(|task| shelf.is_held(&task)), [false, true, true]);
    assert_eq!(shelf.undecided(), 5);
}

#[test]
fn that_an_end_is_decided_outlives_a_restart() {
    let mut node = Node::new(1);
    let task = end_unsure(&mut node, 1, 0);
    let mut stored = Vec::new();
    let mut shelf = Shelf::default();
    for is_decided in [false, true] {
        node.tasks.take_changes(|key, value| stored.push((key, value)));
        for (key, value) in stored.drain(..) {
            let value = value.expect("nothing was removed");
            assert!(shelf.load(&key, &value).is_ok());
        }
        assert_eq!(shelf.copy(&task).map(|copy| copy.settled), Some(is_decided));
        node.hear(0, Item::InForce { task, ballot: ballot(1, 0), version: Version(2), complete: false });
    }
}

#[test]
fn an_ended_task_that_the_others_have_forgotten_is_forgotten_by_who_would_drive_it() {
    let mut node = Node::new(1);
    let task = end_unsure(&mut node, 1, 0);
    // Its driver is gone. Asked how it ends, it has to find out whether a majority has it so; of those nobody answers.
    node.call(|tasks, cx| tasks.silent(cx, at(0)));
    node.hear(4, Item::Follow { task });
    assert_eq!(node.tasks.totals().driving, 1);
    node.pass(DAY + Duration::from_secs(62));
    node.hear(2, Item::TooOld { task, floor: START, ended: Some(START) });
    node.hear(3, Item::TooOld { task, floor: START, ended: Some(START) });
    assert!(node.tasks.shelf().copy(&task).is_none());
    assert_eq!(node.hear(4, Item::Follow { task }), Told::sent(4, Item::Unknown { task }));
}

#[test]
fn a_live_task_is_kept() {
    let mut node = Node::born(1, &spec());
    for _ in 0..3 {
        node.pass(DAY);
    }
    assert!(node.tasks.shelf().copy(&task()).is_some());
}

#[test]
fn more_than_may_be_kept_raises_the_floor_above_what_is_dropped() {
    let mut node = Node::with(1, Config { retained_max: 2, ..Config::default() });
    let tasks: Vec<TaskId> = (1..=4).map(|key| end(&mut node, key, u64::from(key))).collect();
    let floor = Wall(START.0 + 3);
    let facts = vec![Fact::Floor { floor }, Fact::Dropped { tasks: tasks[..2].to_vec() }];
    assert_eq!(node.pass_ms(1000), Told { facts, ..Told::nothing() });
    let kept: Vec<TaskId> = node.tasks.shelf().ended().iter().map(|(_, task)| *task).collect();
    assert_eq!(kept, tasks[2..]);
    // A key from below the floor may have run: its task is not taken.
    let old = Spec { key: TaskKey::Own(vec![9]), born: Wall(floor.0 - 1), ..spec() };
    let birth = birth_of(&old);
    let told = node.hear(4, place(&birth, birth_ballot(0, 7), &first_register(&[0, 1, 2], 0), None));
    assert_eq!(told, Told::sent(4, Item::TooOld { task: birth.task, floor, ended: None }));
}

#[test]
fn what_ended_and_is_forgotten_does_not_come_back() {
    let mut node = Node::with(1, Config { retained_max: 1, ..Config::default() });
    let tasks: Vec<TaskId> = (1..=9).map(|key| end(&mut node, key, u64::from(key))).collect();
    node.pass_ms(1000);
    let shelf = node.tasks.shelf();
    assert_eq!(shelf.copies_len(), 1);
    let known: Vec<bool> = tasks.iter().map(|task| shelf.is_gone(task)).collect();
    assert_eq!(known, [true; 8].into_iter().chain([false]).collect::<Vec<_>>());
    // A driver that was away for so long, with what it wrote then; and one that settles a birth that was given up, and
    // takes this node for one that never knew the task.
    let spec = Spec { key: TaskKey::Own(vec![8]), born: Wall(START.0 + 8), ..spec() };
    let birth = birth_of(&spec);
    assert_eq!(birth.task, tasks[7]);
    let floor = Wall(birth.born.0 + 1);
    let told = |told: Told| told.sent.into_iter().map(|(_, item)| item).collect::<Vec<_>>();
    let stale = Item::Write {
        task: birth.task,
        ballot: birth_ballot(0, 7),
        version: Version(2),
        register: Arc::new(first_register(&[0, 1, 2], 0)),
        birth: Some(birth.clone()),
    };
    let floor_now = node.tasks.shelf().floor().max(floor);
    assert_eq!(
        told(node.hear(0, stale)),
        [Item::TooOld { task: birth.task, floor: floor_now, ended: Some(birth.born) }]
    );
    let asked = Item::Prepare { task: birth.task, ballot: ballot(3, 2), born: Wall(u64::MAX) };
    assert!(matches!(told(node.hear(2, asked)).as_slice(), [Item::TooOld { .. }]));
    // The memory of them is bounded as well.
    node.pass_ms(1000);
    assert_eq!(node.tasks.shelf().gone().len(), 4);
}

#[test]
fn a_promise_that_nothing_came_of_is_kept_as_long() {
    let mut node = Node::new(1);
    node.hear(2, Item::Prepare { task: task(), ballot: ballot(1, 2), born: START });
    assert_eq!(node.pass(DAY + Duration::from_secs(60)), Told::nothing());
    assert_eq!(node.promised(), Some(ballot(1, 2)));
    assert_eq!(node.pass(Duration::from_secs(1)), dropped(vec![task()]));
    assert_eq!(node.promised(), None);
}

#[test]
fn what_a_driver_has_not_brought_to_all_holders_keeps_nothing_else() {
    let mut node = Node::with(0, Config { retained_max: 0, ..Config::default() });
    // These end one after the other; of the first no holder ever says that it has it.
    let specs = (0..10_000u32).map(|n| Spec { key: TaskKey::Own(n.to_be_bytes().to_vec()), ..spec() });
    let mut count = 0;
    for spec in specs {
        let home = node.tasks.roster().home(&spec.id(&NETWORK), 5);
        if home[0] != holder(0) {
            continue;
        }
        count += 1;
        let birth = Birth { home: home.clone(), ..Birth::clone(&birth_of(&spec)) };
        let executor = home[1].node;
        let state = State::Assigned(Attempt { number: 1, executor, granted: START });
        let register =
            Register { holders: home[..3].to_vec(), joint: Some(home), passed_by: vec![], state, failed: Vec::new() };
        let task = birth.task;
        let from = (0..5).find(|rank| at(*rank) == executor).expect("one of the five");
        node.hear(4, place(&Arc::new(birth), birth_ballot(0, 7), &register, None));
        node.hear(4, Item::Born { task, ballot: birth_ballot(0, 7) });
        node.hear(from, Item::Report { task, attempt: 1, outcome: Arc::new(exit(0)) });
    }
    node.pass_ms(10);
    let last = end(&mut node, 1, 20);
    node.pass_ms(1000);
    let mut rounds = 0;
    while node.tasks.shelf().copy(&last).is_some() && rounds < 10 {
        node.pass_ms(50);
        rounds += 1;
    }
    assert!(rounds > 0, "no round looks at all of them");
    assert!(node.tasks.shelf().copy(&last).is_none(), "it is behind {count} that are kept");
    assert_eq!(node.tasks.shelf().ended().len(), count);
}

#[test]
fn nothing_is_forgotten_of_which_a_repeat_would_be_run() {
    // A key from a clock that is ahead, and an end by a clock that is two days behind.
    for (born, ended_at) in [(START.0 + 3_000_000, START.0), (START.0, START.0 - 2 * 24 * 3_600_000)] {
        let mut node = Node::new(1);
        let birth = birth_of(&Spec { born: Wall(born), ..spec() });
        let (register, ballot) = (Arc::new(ended(Wall(ended_at))), ballot(1, 0));
        node.hear(0, Item::Write { task: task(), ballot, version: Version(2), register, birth: Some(birth.clone()) });
        node.hear(0, decided(task()));
        for _ in 0..30 {
            node.pass(Duration::from_secs(3600));
            let repeat = node.hear(4, place(&birth, birth_ballot(0, 9), &first_register(&[0, 1, 2], 0), None));
            assert!(matches!(repeat.sent.as_slice(), [(4, Item::Taken { .. } | Item::TooOld { .. })]), "{repeat:?}");
        }
        assert!(node.tasks.shelf().copies_len() == 0);
    }
}

#[test]
fn what_a_driver_has_not_brought_to_all_holders_is_kept() {
    let mut node = Node::born(0, &spec());
    let outcome = Arc::new(exit(0));
    node.hear(1, Item::Report { task: task(), attempt: 1, outcome });
    let (ballot, version) = (birth_ballot(0, 7), Version(2));
    node.hear(1, Item::Wrote { task: task(), ballot, version });
    assert!(node.pass(DAY * 2).facts.is_empty());
    node.hear(2, Item::Wrote { task: task(), ballot, version });
    assert_eq!(node.pass_ms(1000), dropped(vec![task()]));
}

fn needed(task: TaskId, still: bool) -> Item {
    Item::Needed { task, still }
}

/// And with it the blobs that it names.
#[test]
fn what_another_needs_is_kept_for_as_long_as_its_driver_says_so() {
    let hour = Duration::from_secs(3600);
    let mut node = Node::new(1);
    let task = end(&mut node, 1, 0);
    node.hear(2, needed(task, true));
    for _ in 0..100 {
        assert_eq!(node.pass(hour / 2), Told::nothing());
        node.hear(2, needed(task, true));
        node.hear(3, needed(task, true));
    }
    node.hear(2, needed(task, false));
    assert_eq!(node.pass_ms(1_000), Told::nothing());
    node.hear(3, needed(task, false));
    assert_eq!(node.pass_ms(1_000), dropped(vec![task]));
    // Who says no more is gone.
    let mut node = Node::new(1);
    let task = end(&mut node, 1, 0);
    node.pass(DAY);
    node.hear(2, needed(task, true));
    assert_eq!(node.pass(hour - Duration::from_secs(1)), Told::nothing());
    assert_eq!(node.pass_ms(1_000), dropped(vec![task]));
}

#[test]
fn what_another_needs_is_not_pushed_out_by_what_came_later() {
    let mut node = Node::with(1, Config { retained_max: 2, ..Config::default() });
    let first = end(&mut node, 1, 1);
    node.hear(2, needed(first, true));
    // Of what is not here nothing can be kept.
    node.hear(2, needed(TaskId::from_bytes([77; 32]), true));
    let others: Vec<TaskId> = (2..=4).map(|key| end(&mut node, key, u64::from(key))).collect();
    node.pass_ms(1_000);
    let kept: Vec<TaskId> = node.tasks.shelf().ended().iter().map(|(_, task)| *task).collect();
    assert_eq!(kept, [first, others[2]]);
}

/// Of 1,024 for five members each has a fifth, but for 256.
#[test]
fn no_member_takes_all_that_is_kept_for_others() {
    let mut node = Node::with(1, Config { retained_max: 1, live_max: 4_000, ..Config::default() });
    let hold = |key: u16| {
        let birth = birth_of(&Spec { key: TaskKey::Own(key.to_le_bytes().to_vec()), ..spec() });
        let (task, register) = (birth.task, Arc::new(first_register(&[0, 1, 2], 1)));
        (task, Item::Write { task, ballot: ballot(1, 0), version: Version(2), register, birth: Some(birth) })
    };
    let tasks: Vec<TaskId> = (0..300)
        .map(|key| {
            let (task, write) = hold(key);
            node.hear(0, write);
            task
        })
        .collect();
    for task in &tasks {
        node.hear(2, needed(*task, true));
    }
    let kept = |node: &Node| tasks.iter().filter(|task| node.tasks.leases.is_needed(task)).count();
    assert_eq!((kept(&node), node.tasks.leases.len()), (256, 256));
    node.hear(2, needed(tasks[0], true));
    node.hear(3, needed(tasks[299], true));
    assert_eq!(kept(&node), 257, "there is room for another's");
    // What is needed no more makes room.
    node.hear(2, needed(tasks[0], false));
    node.hear(2, needed(tasks[298], true));
    assert!(node.tasks.leases.is_needed(&tasks[298]));
    let refused = node.tasks.counters().iter().find(|(name, _)| *name == "needs_refused").map(|(_, count)| count);
    assert_eq!(refused, Some(44));
}

/// It has yet to hear who needs what.
#[test]
fn who_was_started_again_forgets_nothing_of_age_at_once() {
    let mut node = Node::new(1);
    let task = end(&mut node, 1, 0);
    node.pass(DAY);
    node.call(|tasks, cx| tasks.restarted(cx));
    assert_eq!(node.pass(Duration::from_secs(3599)), Told::nothing());
    node.hear(2, needed(task, true));
    assert_eq!(node.pass(Duration::from_secs(3599)), Told::nothing());
    assert_eq!(node.pass_ms(1_000), dropped(vec![task]));
}

/// Two of its three holders have forgotten it, and a third disk is lost: nobody makes that anew, and it stays.
#[test]
fn what_is_only_kept_for_another_is_neither_repaired_nor_forgotten_with_the_rest() {
    let mut node = Node::new(1);
    let task = end(&mut node, 1, 0);
    node.hear(3, needed(task, true));
    node.pass(DAY);
    node.hear(3, needed(task, true));
    node.pass(Duration::from_secs(120));
    node.call(|tasks, cx| tasks.silent(cx, at(0)));
    for _ in 0..5 {
        assert_eq!(node.pass(Duration::from_secs(60)), Told::nothing());
    }
    node.call(|tasks, cx| tasks.campaign(cx, task));
    node.hear(2, Item::TooOld { task, floor: START, ended: Some(START) });
    node.hear(0, Item::TooOld { task, floor: START, ended: Some(START) });
    assert!(node.tasks.shelf().is_held(&task) && node.tasks.totals().driving == 0);
}
