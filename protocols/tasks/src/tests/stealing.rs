//! What waits for a slot goes where slots are free.

use super::{node::*, told::Told};
use crate::{Config, Fact, Load};
use mesh_proto::{
    capability::Capabilities,
    id::TaskId,
    task::{Attempt, Fault, Item, Priority, Register, Spec, State, Strategy, TaskKey},
};

fn numbered(key: u8) -> Spec {
    Spec { key: TaskKey::Own(vec![key]), priority: Priority::Low, ..spec() }
}

fn id(key: u8) -> TaskId {
    numbered(key).id(&NETWORK)
}

/// A node of one slot with so many granted to it by the first of the home list, the first of which runs.
fn victim(rank: usize, specs: &[Spec]) -> Node {
    let mut node = Node::new(rank);
    for spec in specs {
        let (task, attempt) = (spec.id(&NETWORK), attempt(1, rank));
        node.hear(0, Item::Assign { task, attempt, birth: birth_of(spec) });
    }
    node.pass_ms(0);
    node
}

fn retracted(told: &Told) -> Vec<(usize, TaskId, usize)> {
    let retract = |(to, item): &(usize, Item)| match item {
        Item::Retract { task, attempt: 1, thief } => Some((*to, *task, (0..5).find(|rank| at(*rank) == *thief)?)),
        _ => None,
    };
    told.sent.iter().filter_map(retract).collect()
}

fn load(slots: u32, running: u32, queued: u32) -> Load {
    Load { slots, running, queued }
}

#[test]
fn half_of_what_waits_is_the_thiefs_the_last_first() {
    let specs: Vec<Spec> = (1..=6).map(numbered).collect();
    let mut node = victim(1, &specs);
    let told = node.hear(3, Item::Steal { most: 9 });
    assert_eq!(retracted(&told), [(0, id(6), 3), (0, id(5), 3), (0, id(4), 3)]);
    assert!(told.sent.contains(&(3, Item::Yielded { count: 3 })));
    // They are not begun meanwhile, and not given a second time.
    assert_eq!(node.tasks.totals().queued, 2);
    let told = node.hear(2, Item::Steal { most: 1 });
    assert_eq!(retracted(&told), [(0, id(3), 2)]);
    assert_eq!(node.hear(2, Item::Steal { most: 0 }), Told::sent(2, Item::Yielded { count: 0 }));
}

#[test]
fn what_others_could_begin_at_once_is_counted_as_hoarded() {
    let specs: Vec<Spec> = (1..=6).map(numbered).collect();
    let mut node = victim(1, &specs);
    let hoarded = |node: &Node| (node.tasks.totals().queued, node.tasks.totals().hoarded);
    for (rank, said) in [(0, load(2, 2, 0)), (2, load(4, 4, 9)), (3, load(0, 0, 0)), (4, load(8, 8, 0))] {
        node.call(|tasks, _| tasks.load_of(at(rank), said));
    }
    assert_eq!(hoarded(&node), (5, 0), "nobody has a slot free");
    node.call(|tasks, _| tasks.load_of(at(2), load(4, 1, 0)));
    assert_eq!(hoarded(&node), (5, 3));
    node.call(|tasks, _| tasks.load_of(at(4), load(8, 1, 0)));
    assert_eq!(hoarded(&node), (5, 5), "no more than what waits");
    node.call(|tasks, cx| tasks.down(cx, at(4)));
    assert_eq!(hoarded(&node), (5, 3), "who cannot be reached is no better place");
}

/// Whoever only takes does not empty the queue: until it has said how busy it is, or could have been done with it, so much is
/// all that it has.
#[test]
fn a_thief_that_asks_again_and_again_has_so_much_and_no_more() {
    let config = Config { slots: 1, ..Config::default() };
    let mut node = Node::with(1, config);
    for key in 0..4_000u16 {
        let spec = Spec { key: TaskKey::Own(key.to_le_bytes().to_vec()), ..spec() };
        let (task, attempt) = (spec.id(&NETWORK), attempt(1, 1));
        node.hear(0, Item::Assign { task, attempt, birth: birth_of(&spec) });
    }
    let taken = |node: &mut Node| retracted(&node.hear(3, Item::Steal { most: u32::MAX })).len();
    assert_eq!([(); 6].map(|()| taken(&mut node)), [256, 256, 256, 256, 0, 0]);
    node.call(|tasks, _| tasks.load_of(at(3), load(8, 8, 248)));
    assert_eq!([(); 5].map(|()| taken(&mut node)), [256, 256, 256, 256, 0]);
    node.now.mono = node.now.mono + std::time::Duration::from_millis(250);
    assert_eq!(taken(&mut node), 256);
}

#[test]
fn what_is_handed_on_is_dropped_on_the_drivers_word_and_what_is_kept_is_begun_in_its_turn() {
    let specs: Vec<Spec> = (1..=3).map(numbered).collect();
    let mut node = victim(1, &specs);
    assert_eq!(retracted(&node.hear(3, Item::Steal { most: 9 })).len(), 1);
    node.hear(0, Item::Handed { task: id(3), attempt: 1 });
    assert_eq!(node.tasks.executor.attempt_of(&id(3)), None);
    assert_eq!(node.hear(3, Item::Steal { most: 9 }), Told::sent(3, Item::Yielded { count: 0 }), "it has that one");
    node.call(|tasks, _| tasks.load_of(at(3), load(1, 0, 0)));
    assert_eq!(retracted(&node.hear(3, Item::Steal { most: 9 })).len(), 1);
    assert_eq!(node.tasks.totals().queued, 0);
    // Its slot is free before the driver has said anything: it is not begun.
    assert_eq!(node.call(|tasks, cx| tasks.executed(cx, id(1), 1, exit(0).into())).executed, []);
    let told = node.hear(0, Item::Keep { task: id(2), attempt: 1 });
    assert_eq!(told.executed, [(id(2), 1)]);
    assert_eq!(node.hear(0, Item::Keep { task: id(2), attempt: 1 }).executed, []);
}

#[test]
fn a_driver_that_says_nothing_leaves_it_where_it_is() {
    let mut node = victim(1, &[numbered(1), numbered(2)]);
    assert_eq!(retracted(&node.hear(3, Item::Steal { most: 9 })).len(), 1);
    node.call(|tasks, cx| tasks.executed(cx, id(1), 1, exit(0).into()));
    assert_eq!(node.pass_ms(1_900).executed, []);
    assert_eq!(node.pass_ms(200).executed, [(id(2), 1)]);
    assert_eq!(node.tasks.counters().put_back, 1);
}

/// Its driver's word came too late: it had been put back, and has ended.
#[test]
fn what_came_of_an_attempt_that_was_handed_on_too_late_is_kept() {
    let mut node = victim(1, &[numbered(1), numbered(2)]);
    assert_eq!(retracted(&node.hear(3, Item::Steal { most: 9 })).len(), 1);
    node.call(|tasks, cx| tasks.executed(cx, id(1), 1, exit(0).into()));
    assert_eq!(node.pass_ms(2_100).executed, [(id(2), 1)]);
    node.call(|tasks, cx| tasks.executed(cx, id(2), 1, exit(0).into()));
    let keeps = |node: &Node| node.tasks.shelf().outbox().contains_key(&(id(2), 1));
    node.hear(0, Item::Handed { task: id(2), attempt: 1 });
    assert!(keeps(&node));
    node.hear(0, Item::Settled { task: id(2), attempt: 1 });
    assert!(!keeps(&node));
}

#[test]
fn what_may_not_move_stays() {
    let unique = Spec { unique: true, ..numbered(2) };
    let here = Spec { strategy: Strategy::Dht, ..numbered(3) };
    let gpu = Spec { requirements: "cores<1000".parse().unwrap(), ..numbered(4) };
    let mut node = victim(1, &[numbered(1), unique, here, numbered(5)]);
    // The node under test has nothing itself, and would have given that back.
    assert_eq!(
        node.hear(0, Item::Assign { task: gpu.id(&NETWORK), attempt: attempt(1, 1), birth: birth_of(&gpu) }).sent.len(),
        1
    );
    assert_eq!(retracted(&node.hear(3, Item::Steal { most: 9 })), [(0, id(5), 3)]);
    assert_eq!(node.hear(3, Item::Steal { most: 9 }), Told::sent(3, Item::Yielded { count: 0 }));
}

/// It waits for a worker, not for a slot: where others are busy too it would come back.
#[test]
fn what_waits_for_a_worker_goes_where_one_has_nothing_to_do() {
    let have = |text: &str| Capabilities::parse([text]).unwrap();
    let mut node = Node::new(1);
    node.call(|tasks, cx| tasks.have(cx, &have("worker.x=1")));
    for (rank, places) in [(2, "worker.x=1"), (3, "worker.x=3"), (4, "zone=eu")] {
        node.call(|tasks, _| tasks.has(at(rank), &have(places)));
        node.call(|tasks, _| tasks.load_of(at(rank), load(8, 1, 0)));
    }
    for key in 1..=9 {
        let spec = for_worker(key);
        node.hear(0, Item::Assign { task: spec.id(&NETWORK), attempt: attempt(1, 1), birth: birth_of(&spec) });
    }
    let id = |key| for_worker(key).id(&NETWORK);
    // Pushed at once, to the only one that may have a place: two of its three.
    let told = node.pass_ms(1_000);
    assert_eq!(retracted(&told), [(0, id(9), 3), (0, id(8), 3)]);
    for thief in [2, 3, 4] {
        assert_eq!(node.hear(thief, Item::Steal { most: 9 }), Told::sent(thief, Item::Yielded { count: 0 }));
    }
    node.call(|tasks, _| tasks.load_of(at(2), load(8, 0, 0)));
    assert_eq!(retracted(&node.hear(2, Item::Steal { most: 9 })), [(0, id(7), 2)]);
}

/// What has a slot sooner here than it would elsewhere.
#[test]
fn what_is_done_at_once_is_not_worth_moving() {
    let specs: Vec<Spec> = (1..=40).map(numbered).collect();
    let mut node = victim(1, &specs);
    for key in 1..=20 {
        node.now.mono = node.now.mono + std::time::Duration::from_millis(1);
        node.call(|tasks, cx| tasks.executed(cx, id(key), 1, exit(0).into()));
    }
    // Of 19 that wait at about a millisecond each, all are done within the 20 that it takes to move one.
    assert_eq!(node.hear(3, Item::Steal { most: 9 }), Told::sent(3, Item::Yielded { count: 0 }));
}

#[test]
fn an_idle_node_asks_whoever_has_most_for_what_it_can_begin_and_nobody_who_has_nothing() {
    let mut node = Node::new(1);
    assert_eq!(node.pass_ms(1_000), Told::nothing());
    node.call(|tasks, _| tasks.load_of(at(2), load(1, 1, 3)));
    node.call(|tasks, _| tasks.load_of(at(3), load(1, 1, 7)));
    assert!(node.tasks.deadline() <= Some(node.now.mono));
    assert_eq!(node.pass_ms(0), Told::sent(3, Item::Steal { most: 2 }));
    assert_eq!(node.pass_ms(100), Told::nothing(), "there is no room for more");
    // It had nothing: the next one. Who does not answer is passed over.
    node.hear(3, Item::Yielded { count: 0 });
    assert_eq!(node.pass_ms(0), Told::sent(2, Item::Steal { most: 2 }));
    assert_eq!(node.pass_ms(600), Told::nothing());
    // It says again that it has, and gives.
    node.call(|tasks, _| tasks.load_of(at(3), load(1, 1, 7)));
    assert_eq!(node.pass_ms(0), Told::sent(3, Item::Steal { most: 2 }));
    node.hear(3, Item::Yielded { count: 2 });
    assert_eq!(node.pass_ms(0), Told::nothing(), "they are on their way");
    node.hear(0, Item::Assign { task: id(1), attempt: attempt(2, 1), birth: birth_of(&numbered(1)) });
    // The other does not come.
    node.pass_ms(2_100);
    assert_eq!(node.tasks.counters().steals, 4, "there is room for another, and somebody who has five left");
}

#[test]
fn a_node_with_a_queue_pushes_to_those_that_have_free_slots() {
    let mut node = Node::new(1);
    node.call(|tasks, _| tasks.load_of(at(3), load(2, 0, 0)));
    for key in 1..=6 {
        node.hear(0, Item::Assign { task: id(key), attempt: attempt(1, 1), birth: birth_of(&numbered(key)) });
    }
    let told = node.pass_ms(0);
    assert_eq!(retracted(&told), [(0, id(6), 3), (0, id(5), 3)], "as many as it has slots");
    assert_eq!(retracted(&node.pass_ms(100)), [], "it is full, as far as is known");
    node.call(|tasks, _| tasks.load_of(at(3), load(2, 1, 0)));
    assert_eq!(retracted(&node.pass_ms(100)), [(0, id(4), 3)]);
}

/// A driver of the task of most tests, whose first attempt the second of the home list has.
fn driver() -> Node {
    Node::born(0, &spec())
}

#[test]
fn the_driver_writes_the_next_attempt_for_the_thief_and_tells_both_when_it_is_in_force() {
    let mut node = driver();
    let told = node.hear(1, Item::Retract { task: task(), attempt: 1, thief: at(3) });
    let [Fact::Written { register, .. }] = told.facts.as_slice() else { panic!("{told:?}") };
    let next = Attempt { granted: node.now.wall, ..attempt(2, 3) };
    assert_eq!(register.state, State::Assigned(next));
    assert_eq!(
        register.failed.iter().map(|failed| (failed.attempt.number, failed.fault)).collect::<Vec<_>>(),
        [(1, Fault::Nobody)]
    );
    let says = |told: &Told, to: usize, item: Item| told.sent.contains(&(to, item));
    let dropped = Item::Handed { task: task(), attempt: 1 };
    let granted = Item::Assign { task: task(), attempt: next, birth: birth() };
    assert!(!says(&told, 1, dropped.clone()) && !says(&told, 3, granted.clone()), "not before it is in force");
    let again = node.hear(1, Item::Retract { task: task(), attempt: 1, thief: at(2) });
    assert_eq!(again, Told::nothing(), "it is not to begin what it is about to drop");
    let ((ballot, version), _) = node.copy().unwrap();
    let told = node.hear(2, Item::Wrote { task: task(), ballot, version });
    assert!(says(&told, 1, dropped) && says(&told, 3, granted), "{told:?}");
    // A result of the one that was handed over counts all the same.
    let told = node.hear(1, Item::Report { task: task(), attempt: 1, outcome: exit(0).into() });
    assert!(
        matches!(told.facts.as_slice(), [Fact::Written { register, .. }] if register.ending().is_some()),
        "{told:?}"
    );
}

#[test]
fn a_driver_keeps_what_is_not_to_be_had() {
    let keep = |number| Told::sent(1, Item::Keep { task: task(), attempt: number });
    let retract = |number, thief| Item::Retract { task: task(), attempt: number, thief };
    let mut node = driver();
    assert_eq!(node.hear(1, retract(2, at(3))), keep(2), "another attempt");
    assert_eq!(node.hear(1, retract(1, at(1))), keep(1), "to itself");
    let told = node.hear(2, retract(1, at(3)));
    assert_eq!(told, Told::sent(2, Item::Keep { task: task(), attempt: 1 }), "of another's");
    node.call(|tasks, cx| tasks.down(cx, at(3)));
    assert_eq!(node.hear(1, retract(1, at(3))), keep(1), "out of reach");
    // What is not driven here.
    let mut node = Node::holding(2, &spec());
    assert_eq!(node.hear(1, retract(1, at(3))), keep(1));
}

/// However often it changes hands, the record stays within its bounds.
#[test]
fn what_is_handed_over_without_end_fits_the_record() {
    let mut node = driver();
    let mut executor = 1;
    for number in 1..200 {
        let thief = if executor == 3 { 1 } else { 3 };
        node.hear(executor, Item::Retract { task: task(), attempt: number, thief: at(thief) });
        let ((ballot, version), register) = node.copy().unwrap();
        assert_eq!(register.attempt().map(|attempt| attempt.number), Some(number + 1));
        assert!(
            register.failed.len() <= mesh_proto::limits::FAILED_ATTEMPTS,
            "{}",
            Register::clone(&register).failed.len()
        );
        node.hear(2, Item::Wrote { task: task(), ballot, version });
        executor = thief;
    }
}

#[test]
fn slots_count() {
    let config = Config { slots: 3, ..Config::default() };
    let mut node = Node::with(1, config);
    for key in 1..=3 {
        node.hear(0, Item::Assign { task: id(key), attempt: attempt(1, 1), birth: birth_of(&numbered(key)) });
    }
    node.call(|tasks, _| tasks.load_of(at(3), load(1, 1, 9)));
    assert_eq!(node.pass_ms(0), Told::sent(3, Item::Steal { most: 3 }), "before it stands still");
}

fn steals(told: &Told) -> Vec<(usize, u32)> {
    let most = |(to, item): &(usize, Item)| match item {
        Item::Steal { most } => Some((*to, *most)),
        _ => None,
    };
    told.sent.iter().filter_map(most).collect()
}

/// Half of what each has, and in all what there is room for.
#[test]
fn several_are_asked_at_once() {
    let mut node = Node::with(1, Config { slots: 4, ..Config::default() });
    for (rank, queued) in [(0, 4), (2, 3), (3, 5), (4, 4)] {
        node.call(|tasks, _| tasks.load_of(at(rank), load(1, 1, queued)));
    }
    let mut asked = steals(&node.pass_ms(0));
    asked.sort_unstable_by_key(|(_, most)| *most);
    let all: u32 = asked.iter().map(|(_, most)| *most).sum();
    assert_eq!((asked.len(), all), (4, 8), "{asked:?}");
    assert!(asked.contains(&(3, 3)));
}

/// Attempts here that took a millisecond each, and as many more that wait.
fn fast(slots: u32, wait: u16) -> Node {
    let mut node = Node::with(1, Config { slots, ..Config::default() });
    let of = |key: u16| Spec { key: TaskKey::Own(key.to_le_bytes().to_vec()), ..spec() };
    for key in 0..20 + wait {
        let (task, attempt) = (of(key).id(&NETWORK), attempt(1, 1));
        node.hear(0, Item::Assign { task, attempt, birth: birth_of(&of(key)) });
    }
    for key in 0..20 {
        node.now.mono = node.now.mono + std::time::Duration::from_millis(1);
        node.call(|tasks, cx| tasks.executed(cx, of(key).id(&NETWORK), 1, exit(0).into()));
    }
    node
}

#[test]
fn a_node_whose_tasks_end_at_once_has_a_quarter_of_a_second_at_hand() {
    let mut node = fast(1, 0);
    node.pass_ms(0);
    node.call(|tasks, _| tasks.load_of(at(3), load(1, 1, 6_000)));
    // It would begin 250 by then.
    let told = node.pass_ms(0);
    let [(3, most)] = steals(&told)[..] else { panic!("{told:?}") };
    assert!((200..=250).contains(&most), "{most}");
    node.hear(3, Item::Yielded { count: most });
    assert_eq!(steals(&node.pass_ms(0)), [], "no more than that");
    // Before it stands still there is more.
    for key in 0..most {
        let spec = Spec { key: TaskKey::Own((1_000 + key).to_le_bytes().to_vec()), ..spec() };
        node.hear(0, Item::Assign { task: spec.id(&NETWORK), attempt: attempt(2, 1), birth: birth_of(&spec) });
    }
    let mut begun = 0;
    while steals(&node.pass_ms(1)).is_empty() {
        let running = node.tasks.executor.attempts.keys().find(|task| node.tasks.executor.is_running(task)).copied();
        node.call(|tasks, cx| tasks.executed(cx, running.expect("one"), 2, exit(0).into()));
        begun += 1;
    }
    assert!(begun <= most * 3 / 4, "{begun} of {most}");
}

#[test]
fn who_gives_all_that_was_asked_for_is_asked_again() {
    let mut node = Node::with(1, Config { slots: 4, ..Config::default() });
    node.call(|tasks, _| tasks.load_of(at(3), load(1, 1, 2)));
    assert_eq!(steals(&node.pass_ms(0)), [(3, 1)]);
    node.hear(3, Item::Yielded { count: 1 });
    assert_eq!(steals(&node.pass_ms(0)), [(3, 1)]);
    node.hear(3, Item::Yielded { count: 1 });
    node.pass_ms(0);
    assert!(node.tasks.roster().longest_queue(|_, _| 1).is_some());
}

/// It need not wait until the others ask.
#[test]
fn what_takes_no_time_is_pushed_in_batches() {
    let mut node = fast(1, 2_000);
    node.call(|tasks, _| tasks.load_of(at(3), load(1, 0, 0)));
    let pushed = retracted(&node.pass_ms(50)).len();
    assert!((200..=250).contains(&pushed), "{pushed}");
    assert_eq!(retracted(&node.pass_ms(50)).len(), 0, "it has enough, as far as is known");
}

/// Of what may not move there may be any number behind it.
#[test]
fn what_may_not_move_hides_nothing_that_may() {
    let mut node = Node::new(1);
    let mut specs: Vec<Spec> = vec![numbered(1), numbered(2)];
    let own = |key: u16| TaskKey::Own(key.to_le_bytes().to_vec());
    specs.extend((0..3_000).map(|key| Spec { key: own(key), unique: true, ..numbered(0) }));
    for spec in &specs {
        node.hear(0, Item::Assign { task: spec.id(&NETWORK), attempt: attempt(1, 1), birth: birth_of(spec) });
    }
    assert_eq!(retracted(&node.hear(3, Item::Steal { most: 9 })), [(0, id(2), 3)]);
}

/// A node of four slots whose executions take 25 ms: four of them, and so many that wait.
fn paced(wait: u16) -> Node {
    let mut node = Node::with(1, Config { slots: 4, ..Config::default() });
    let of = |key: u16| Spec { key: TaskKey::Own(key.to_le_bytes().to_vec()), ..spec() };
    let mut next = 0u16;
    let grant = |node: &mut Node, next: &mut u16| {
        let (task, attempt) = (of(*next).id(&NETWORK), attempt(1, 1));
        *next += 1;
        node.hear(0, Item::Assign { task, attempt, birth: birth_of(&of(*next - 1)) });
    };
    for round in 0..8 {
        for _ in 0..4 {
            grant(&mut node, &mut next);
        }
        node.now.mono = node.now.mono + std::time::Duration::from_millis(25);
        for key in round * 4..round * 4 + 4 {
            node.call(|tasks, cx| tasks.executed(cx, of(key).id(&NETWORK), 1, exit(0).into()));
        }
    }
    (0..4 + wait).for_each(|_| grant(&mut node, &mut next));
    let totals = node.tasks.totals();
    assert_eq!((totals.running, totals.queued), (4, usize::from(wait)));
    node
}

/// Each has room for more than it has at hand, and what moved would begin no sooner.
#[test]
fn between_two_that_are_as_busy_nothing_moves() {
    for (own, other) in [(31, 31), (4, 31), (20, 19)] {
        let mut node = paced(own);
        node.call(|tasks, _| tasks.load_of(at(3), load(4, 4, other)));
        assert_eq!(retracted(&node.pass_ms(50)), [], "{own} {other}");
        assert_eq!(node.hear(3, Item::Steal { most: 9 }), Told::sent(3, Item::Yielded { count: 0 }), "{own} {other}");
        node.call(|tasks, _| tasks.load_of(at(3), load(4, 4, other)));
        let asked = steals(&node.pass_ms(50));
        assert!(asked.is_empty() || own == 4, "{own} {other} {asked:?}");
    }
}

/// What waits for each slot is compared.
#[test]
fn who_asks_and_who_is_asked_move_half_of_the_difference() {
    let mut node = paced(4);
    // 8 here and 30 there, then 16 for two slots.
    node.call(|tasks, _| tasks.load_of(at(3), load(4, 4, 26)));
    assert_eq!(steals(&node.pass_ms(50)), [(3, 11)]);
    let mut node = paced(4);
    node.call(|tasks, _| tasks.load_of(at(3), load(2, 2, 14)));
    assert_eq!(steals(&node.pass_ms(50)), [(3, 7)]);
    // Who has most waiting for each slot first; who has fewer than this node is not asked.
    let mut node = paced(4);
    node.call(|tasks, _| tasks.load_of(at(2), load(64, 64, 60)));
    node.call(|tasks, _| tasks.load_of(at(3), load(2, 2, 14)));
    assert_eq!(steals(&node.pass_ms(50)), [(3, 7)]);
    // 24 here; 10 there.
    let mut node = paced(20);
    node.call(|tasks, _| tasks.load_of(at(3), load(4, 4, 6)));
    assert_eq!(retracted(&node.hear(3, Item::Steal { most: 99 })).len(), 7);
}

/// Nobody is given more than its part, and has to give it on.
#[test]
fn what_one_has_is_spread_evenly_over_four_that_have_none() {
    let mut node = paced(50);
    for rank in [0, 2, 3, 4] {
        node.call(|tasks, _| tasks.load_of(at(rank), load(4, 0, 0)));
    }
    let moved = retracted(&node.pass_ms(50));
    let to = |rank| moved.iter().filter(|(.., thief)| *thief == rank).count();
    assert_eq!([0, 2, 3, 4].map(to), [10; 4]);
    assert_eq!(node.tasks.totals().queued, 10);
}
