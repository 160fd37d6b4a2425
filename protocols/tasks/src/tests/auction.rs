//! Auctions, from both sides.

use super::{node::*, told::Told};
use crate::{Fact, Load, Waiter};
use mesh_proto::{
    capability::Capabilities,
    task::{Announcement, Bid, FailureKind, Item, Outcome, Register, Spec, State, Strategy, TaskKey},
};

fn auctioned(key: u8) -> Spec {
    Spec { key: TaskKey::Own(vec![key]), strategy: Strategy::Auction, ..spec() }
}

fn submit(node: &mut Node, specs: &[Spec]) -> Told {
    for (index, spec) in (0u32..).zip(specs) {
        let told = node.call(|tasks, cx| tasks.submit(cx, Waiter { request: 1, index }, encoded(spec), false));
        assert_eq!(told, Told::nothing(), "not before it is known who runs it");
    }
    node.pass_ms(0)
}

fn announced(told: &Told) -> Vec<(usize, u64, u32)> {
    let announcement = |(to, item): &(usize, Item)| match item {
        Item::Announce(Announcement { auction, count, .. }) => Some((*to, *auction, *count)),
        _ => None,
    };
    told.sent.iter().filter_map(announcement).collect()
}

fn bid(slots: u32, busy: u32) -> Option<Bid> {
    Some(Bid { slots, busy, free_ppm: 500_000 })
}

/// Who is to run what was placed, by rank, in the order in which it was.
fn placed_with(told: &Told) -> Vec<usize> {
    let mut seen = Vec::new();
    for (_, item) in &told.sent {
        if let Item::Place { birth, register, .. } = item
            && !seen.iter().any(|(task, _)| *task == birth.task)
        {
            let State::Assigned(attempt) = register.state else { panic!("{register:?}") };
            seen.push((birth.task, (0..5).find(|rank| at(*rank) == attempt.executor).expect("one of the five")));
        }
    }
    seen.into_iter().map(|(_, rank)| rank).collect()
}

fn closed(told: &Told) -> Vec<(usize, u32)> {
    let closed = |(to, item): &(usize, Item)| match item {
        Item::Closed { won, .. } => Some((*to, *won)),
        _ => None,
    };
    told.sent.iter().filter_map(closed).collect()
}

#[test]
fn a_task_goes_to_whoever_bids_best_as_soon_as_all_have_answered() {
    let mut node = Node::new(4);
    let told = submit(&mut node, &[auctioned(1)]);
    assert_eq!(announced(&told), [(0, 0, 1), (1, 0, 1), (2, 0, 1), (3, 0, 1)]);
    // Of four slots one is free, three are, none is: this node has one of one.
    node.hear(0, Item::Bid { auction: 0, bid: bid(4, 3) });
    node.hear(1, Item::Bid { auction: 0, bid: bid(4, 1) });
    assert_eq!(node.hear(2, Item::Bid { auction: 0, bid: bid(4, 4) }), Told::nothing());
    // It says another time what it has: the first counts.
    assert_eq!(node.hear(2, Item::Bid { auction: 0, bid: bid(4, 0) }), Told::nothing());
    let told = node.hear(3, Item::Bid { auction: 0, bid: Some(Bid { slots: 4, busy: 0, free_ppm: 1_000_000 }) });
    assert_eq!(placed_with(&told), [3]);
    assert_eq!(closed(&told), [(0, 0), (1, 0), (2, 0), (3, 1)]);
    let story = node.tasks.story_of(&auctioned(1).id(&NETWORK));
    let line =
        story.iter().find(|(_, line)| line.starts_with("auctioned: 5 of 5 bid within 0 ms, won by")).expect("told");
    // As above, and as 0.4, 0.3, 0.2 and 0.1 have it: 0.4 + 0.3 * 3/4 + 0.2 * 0.5 + 0.1 * 0.5.
    assert!(line.1.contains("0.775 = capability 1.000 idle 0.750 past 0.500 memory 0.500"), "{}", line.1);
}

/// Which of those that are worth as much wins goes by placement, and it is told first.
#[test]
fn of_equal_bids_the_one_that_won_is_told_first() {
    for key in 0..8 {
        let mut node = Node::new(4);
        submit(&mut node, &[auctioned(key)]);
        for rank in 0..4 {
            node.hear(rank, Item::Bid { auction: 0, bid: Some(Bid { slots: 1, busy: 0, free_ppm: 1_000_000 }) });
        }
        let story = node.tasks.story_of(&auctioned(key).id(&NETWORK));
        let line = story.iter().find_map(|(_, line)| line.strip_prefix("auctioned: ")).expect("told");
        let (winner, bids) = line.split_once("won by ").and_then(|(_, rest)| rest.split_once("; ")).expect("bids");
        assert!(bids.starts_with(winner), "{line}");
    }
}

#[test]
fn who_is_silent_is_not_waited_for_beyond_the_bidding_time() {
    let mut node = Node::new(4);
    submit(&mut node, &[auctioned(1)]);
    node.hear(1, Item::Bid { auction: 0, bid: bid(8, 1) });
    node.hear(2, Item::Bid { auction: 0, bid: None });
    assert_eq!(node.pass_ms(249), Told::nothing());
    let told = node.pass_ms(1);
    assert_eq!(placed_with(&told), [4], "this node has a slot of one, and all of its memory");
    assert_eq!(closed(&told), [(1, 0)]);
    assert_eq!(node.tasks.counters().bidders_silent, 2);
    // Too late: it keeps nothing for it.
    assert_eq!(
        node.hear(3, Item::Bid { auction: 0, bid: bid(8, 0) }),
        Told::sent(3, Item::Closed { auction: 0, won: 0 })
    );
}

#[test]
fn who_cannot_be_reached_any_more_is_not_waited_for() {
    let mut node = Node::new(4);
    submit(&mut node, &[auctioned(1)]);
    for rank in 0..3 {
        node.hear(rank, Item::Bid { auction: 0, bid: None });
    }
    let told = node.call(|tasks, cx| tasks.down(cx, at(3)));
    assert_eq!(placed_with(&told), [4]);
}

/// Tasks of one turn are one auction, and go where each has most room by then.
#[test]
fn many_are_auctioned_together_and_spread() {
    let mut node = Node::new(4);
    let specs: Vec<Spec> = (1..=6).map(auctioned).collect();
    let told = submit(&mut node, &specs);
    assert_eq!(announced(&told), [(0, 0, 6), (1, 0, 6), (2, 0, 6), (3, 0, 6)]);
    node.hear(0, Item::Bid { auction: 0, bid: bid(4, 0) });
    node.hear(1, Item::Bid { auction: 0, bid: bid(4, 2) });
    node.hear(2, Item::Bid { auction: 0, bid: None });
    let told = node.hear(3, Item::Bid { auction: 0, bid: None });
    let mut with = placed_with(&told);
    with.sort_unstable();
    assert_eq!(with, [0, 0, 0, 0, 1, 4], "as many as are free, the emptiest first");
    assert_eq!(closed(&told), [(0, 4), (1, 1)]);
}

#[test]
fn others_requirements_are_other_auctions_and_only_those_that_are_able_hear_of_them() {
    let mut node = Node::new(4);
    node.call(|tasks, _| tasks.has(at(1), &Capabilities::parse(["gpu=1"]).unwrap()));
    let gpu = Spec { requirements: "gpu>=1".parse().unwrap(), ..auctioned(2) };
    let tpu = Spec { requirements: "tpu".parse().unwrap(), ..auctioned(3) };
    let told = submit(&mut node, &[auctioned(1), gpu, tpu]);
    assert_eq!(announced(&told), [(0, 0, 1), (1, 0, 1), (1, 1, 1), (2, 0, 1), (3, 0, 1)]);
    // Of the third nobody can be told: it is born to nobody.
    let waiting =
        |(_, item): &(usize, Item)| matches!(item, Item::Place { register, .. } if register.state == State::Waiting);
    assert!(told.sent.iter().any(waiting), "{told:?}");
}

#[test]
fn what_nobody_bids_for_goes_by_placement() {
    let mut node = Node::new(4);
    submit(&mut node, &[auctioned(1)]);
    node.call(|tasks, _| tasks.disk(true));
    for rank in 0..4 {
        node.hear(rank, Item::Bid { auction: 0, bid: None });
    }
    // This node bid for it itself.
    assert_eq!(node.tasks.counters().bids, 1);
    let mut node = Node::new(4);
    node.call(|tasks, _| tasks.disk(false));
    submit(&mut node, &[auctioned(1)]);
    let mut told = Told::nothing();
    for rank in 0..4 {
        told = node.hear(rank, Item::Bid { auction: 0, bid: None });
    }
    assert_eq!(placed_with(&told).len(), 1);
}

/// By outcomes and not by its word: half of what is known gives way within a few attempts.
#[test]
fn who_does_badly_loses_to_who_says_less_of_itself() {
    let mut node = Node::new(4);
    node.call(|tasks, _| (0..8).for_each(|_| tasks.roster.performed(&at(0), false)));
    node.call(|tasks, _| (0..8).for_each(|_| tasks.roster.performed(&at(1), true)));
    let performance = |rank: usize| node.tasks.roster().seat(&at(rank)).unwrap().performance;
    assert!(performance(0) < 200_000 && performance(1) > 800_000 && performance(2) == 500_000);
    submit(&mut node, &[auctioned(1)]);
    node.hear(0, Item::Bid { auction: 0, bid: Some(Bid { slots: 1_000, busy: 0, free_ppm: u32::MAX }) });
    node.hear(1, Item::Bid { auction: 0, bid: bid(4, 0) });
    node.hear(2, Item::Bid { auction: 0, bid: None });
    let told = node.hear(3, Item::Bid { auction: 0, bid: None });
    assert_eq!(placed_with(&told), [1]);
}

/// An attempt that it refused is told of as one that ended by itself, again and again.
#[test]
fn who_was_found_out_does_not_talk_itself_up_again() {
    let mut node = Node::born(0, &Spec { retries: 3, ..spec() });
    let report = |outcome: Outcome| Item::Report { task: task(), attempt: 1, outcome: outcome.into() };
    let performance = |node: &Node| node.tasks.roster().seat(&at(1)).unwrap().performance;
    node.hear(1, report(failure(FailureKind::NotAllowed)));
    assert_eq!(performance(&node), 437_500);
    (0..20).for_each(|_| drop(node.hear(1, report(exit(3)))));
    assert_eq!(performance(&node), 437_500, "while the next attempt is waited with");
    node.pass_ms(100);
    (0..20).for_each(|_| drop(node.hear(1, report(exit(3)))));
    assert_eq!(performance(&node), 437_500, "and while there is another");
    // It has run after all, and that is the end of it.
    node.hear(1, report(exit(0)));
    assert_eq!(performance(&node), 437_500 - 437_500 / 8 + 125_000);
}

/// It was full, or stops, or could not have an input: whoever it is, it has done nothing badly.
#[test]
fn what_is_nobodys_fault_lowers_nobody() {
    let performance = |node: &Node| node.tasks.roster().seat(&at(1)).unwrap().performance;
    let mut node = Node::born(0, &spec());
    node.hear(1, Item::NotRunning { task: task(), attempt: 1, why: "its queue is full".into() });
    assert_eq!((node.tasks.counters().attempts_failed, performance(&node)), (1, 500_000));
    let mut node = Node::born(0, &spec());
    let outcome = failure(FailureKind::GivenBack).into();
    node.hear(1, Item::Report { task: task(), attempt: 1, outcome });
    assert_eq!((node.tasks.counters().attempts_failed, performance(&node)), (1, 500_000));
    let mut node = Node::born(0, &spec());
    node.hear(1, Item::NotRunning { task: task(), attempt: 1, why: String::new() });
    assert_eq!((node.tasks.counters().attempts_failed, performance(&node)), (1, 437_500), "but what it lost");
}

#[test]
fn a_bid_keeps_slots_until_it_is_told_what_it_won_or_time_is_over() {
    let mut node = Node::with(1, crate::Config { slots: 4, ..crate::Config::default() });
    let announce = |auction, count| Item::Announce(Announcement { auction, count, requirements: None, closes_ms: 250 });
    let busy = |told: &Told| match told.sent.as_slice() {
        [(_, Item::Bid { bid: Some(bid), .. })] => bid.busy,
        other => panic!("{other:?}"),
    };
    assert_eq!(busy(&node.hear(2, announce(5, 3))), 0);
    assert_eq!(busy(&node.hear(3, announce(5, 9))), 3, "three are kept for the other");
    assert_eq!(busy(&node.hear(0, announce(1, 1))), 4, "and the last one for this");
    node.hear(2, Item::Closed { auction: 5, won: 1 });
    node.hear(3, Item::Closed { auction: 5, won: 0 });
    node.hear(0, Item::Closed { auction: 1, won: 0 });
    assert_eq!(node.tasks.auctions.reserved(), 1);
    // What came is no more kept for: it holds a slot.
    let spec = auctioned(1);
    let birth = std::sync::Arc::new(mesh_proto::task::Birth {
        gateway: at(2),
        ..mesh_proto::task::Birth::clone(&birth_of(&spec))
    });
    node.hear(0, Item::Assign { task: spec.id(&NETWORK), attempt: attempt(1, 1), birth });
    assert_eq!((node.tasks.auctions.reserved(), node.tasks.totals().running), (0, 1));
    // Nobody says what came of this one.
    node.hear(2, announce(6, 2));
    assert_eq!(node.tasks.auctions.reserved(), 2);
    node.pass_ms(499);
    assert_eq!(node.tasks.auctions.reserved(), 2);
    node.pass_ms(1);
    assert_eq!(node.tasks.auctions.reserved(), 0);
}

#[test]
fn who_lacks_something_does_not_bid() {
    let mut node = Node::new(1);
    let requirements = Some("gpu>=1".parse().unwrap());
    let announcement = Announcement { auction: 1, count: 1, requirements, closes_ms: 250 };
    let no = Told::sent(2, Item::Bid { auction: 1, bid: None });
    assert_eq!(node.hear(2, Item::Announce(announcement)), no);
    node.call(|tasks, _| tasks.disk(false));
    let announcement = Announcement { auction: 1, count: 1, requirements: None, closes_ms: 250 };
    assert_eq!(node.hear(2, Item::Announce(announcement)), no, "no room for anything");
}

/// Who wins and gives it back, or loses it, is not the first to get it again.
#[test]
fn what_came_to_nothing_is_auctioned_again_to_the_next_best() {
    let spec = Spec { strategy: Strategy::Auction, ..spec() };
    let mut node = Node::born(0, &spec);
    let told =
        node.hear(1, Item::Report { task: task(), attempt: 1, outcome: failure(FailureKind::NotAllowed).into() });
    assert_eq!(announced(&told), []);
    let told = node.pass_ms(100);
    let told = if announced(&told).is_empty() { node.pass_ms(0) } else { told };
    assert_eq!(announced(&told), [(1, 0, 1), (2, 0, 1), (3, 0, 1), (4, 0, 1)]);
    node.hear(1, Item::Bid { auction: 0, bid: bid(9, 0) });
    node.hear(2, Item::Bid { auction: 0, bid: bid(9, 4) });
    node.hear(3, Item::Bid { auction: 0, bid: None });
    let told = node.hear(4, Item::Bid { auction: 0, bid: None });
    let [Fact::Written { register, .. }] = told.facts.as_slice() else { panic!("{told:?}") };
    let next = register.attempt().map(|attempt| (attempt.number, attempt.executor));
    assert!(next == Some((2, at(0))) || next == Some((2, at(2))), "{next:?}");
}

/// A task whose driver was replaced while it was auctioned is the new driver's.
#[test]
fn an_auction_that_is_overtaken_comes_to_nothing() {
    let spec = Spec { strategy: Strategy::Auction, ..spec() };
    let mut node = Node::born(0, &spec);
    node.hear(1, Item::NotRunning { task: task(), attempt: 1, why: "its queue is full".into() });
    node.pass_ms(100);
    node.pass_ms(0);
    node.hear(2, Item::Prepare { task: task(), ballot: ballot(1, 2), born: START });
    for rank in 1..5 {
        let told = node.hear(rank, Item::Bid { auction: 0, bid: bid(9, 0) });
        assert_eq!(told.facts, []);
    }
    assert_eq!(node.tasks.auctions.reserved(), 0);
}

#[test]
fn strategies_choose_the_first_executor() {
    let first = |strategy, loads: &[(usize, Load)]| {
        let mut node = Node::new(4);
        for rank in 0..5 {
            node.call(|tasks, _| tasks.load_of(at(rank), Load { slots: 1, running: 0, queued: 0 }));
        }
        for (rank, load) in loads {
            node.call(|tasks, _| tasks.load_of(at(*rank), *load));
        }
        let spec = Spec { strategy, ..spec() };
        let told = node.call(|tasks, cx| tasks.submit(cx, Waiter { request: 1, index: 0 }, encoded(&spec), false));
        let Some((_, Item::Place { register, .. })) = told.sent.first() else { panic!("{told:?}") };
        let Register { state: State::Assigned(attempt), .. } = &**register else { panic!("{register:?}") };
        (0..5).find(|rank| at(*rank) == attempt.executor).unwrap()
    };
    let full = Load { slots: 1, running: 1, queued: 0 };
    assert_eq!(first(Strategy::Auto, &[]), 0);
    assert_eq!(first(Strategy::Auto, &[(0, full)]), 1);
    assert_eq!(first(Strategy::Dht, &[(0, full)]), 0);
    assert_eq!(first(Strategy::Local, &[(4, full)]), 4);
}

/// Who is there and does not answer: it is on the home list of what is auctioned, and first on it.
#[test]
fn one_that_does_not_answer_is_waited_for_once_and_not_again_until_it_is_heard() {
    let mut node = Node::new(4);
    node.pass_ms(10);
    let others_bid = |node: &mut Node, auction| {
        node.hear(1, Item::Bid { auction, bid: bid(8, 1) });
        node.hear(2, Item::Bid { auction, bid: None });
        node.hear(3, Item::Bid { auction, bid: None })
    };
    let placed_at = |told: &Told| -> Vec<usize> {
        told.sent.iter().filter(|(_, item)| matches!(item, Item::Place { .. })).map(|(rank, _)| *rank).collect()
    };
    submit(&mut node, &[auctioned(1)]);
    others_bid(&mut node, 0);
    assert_eq!(node.pass_ms(249), Told::nothing());
    // No copy is asked of it: that would take as long again.
    let told = node.pass_ms(1);
    assert!(!placed_at(&told).contains(&0) && placed_at(&told).len() >= 2, "{told:?}");
    // And the next auction is over when the others have answered.
    let told = submit(&mut node, &[auctioned(2)]);
    assert_eq!(announced(&told), [(1, 1, 1), (2, 1, 1), (3, 1, 1)]);
    let told = others_bid(&mut node, 1);
    assert!(!placed_with(&told).is_empty() && !placed_at(&told).contains(&0), "{told:?}");
    // It says something: it may have been slow.
    node.hear(0, Item::Bid { auction: 0, bid: bid(8, 0) });
    assert_eq!(announced(&submit(&mut node, &[auctioned(3)])).len(), 4);
}

#[test]
fn who_said_something_while_bids_were_taken_is_there() {
    let mut node = Node::new(4);
    node.pass_ms(10);
    submit(&mut node, &[auctioned(1)]);
    node.pass_ms(100);
    node.hear(0, Item::Unknown { task: task() });
    node.pass_ms(150);
    assert_eq!(announced(&submit(&mut node, &[auctioned(2)])), [(0, 1, 1)], "the others said nothing");
}

/// Not those of all others: a thousand tasks would have as many lines of them.
#[test]
fn of_many_at_once_it_is_told_for_each_who_won_and_why() {
    let mut node = Node::new(4);
    let specs: Vec<Spec> = (0..40).map(auctioned).collect();
    submit(&mut node, &specs);
    for rank in 0..4 {
        node.hear(rank, Item::Bid { auction: 0, bid: bid(16, 0) });
    }
    for spec in &specs {
        let story = node.tasks.story_of(&spec.id(&NETWORK));
        let line = story.iter().find_map(|(_, line)| line.strip_prefix("auctioned: 5 of 5 bid ")).expect("told");
        let (winner, bids) = line.split_once("won by ").and_then(|(_, rest)| rest.split_once("; ")).expect("a bid");
        assert!(bids.starts_with(winner) && bids.contains(" idle ") && !bids.contains("; "), "{line}");
    }
}
