//! Short named stories.

use crate::{
    liar::Lie,
    world::{World, config, epoch},
};
use mesh_pbft::Config;
use mesh_proto::pbft::{EpochConfig, Sequence, View};
use std::time::Duration;

fn primary(world: &World) -> usize {
    primary_of(world, world.voters().next().unwrap().replica.as_ref().unwrap().standing().view)
}

pub fn primary_of(world: &World, view: View) -> usize {
    let config = world.voters().next().unwrap().replica.as_ref().unwrap().standing().config;
    let primary = config.member(config.primary(view));
    world.nodes.iter().position(|node| Some(node.id) == primary).unwrap()
}

/// Submits `count` operations, one every `pause` milliseconds, by the gateways in turn.
pub fn offer(world: &mut World, count: u64, pause: u64) {
    for round in 0..count {
        let gateway = round as usize % world.gateways.len();
        world.submit(gateway, None);
        world.run(pause);
    }
}

fn settle(world: &mut World, ms: u64) {
    assert!(world.run_until(ms, World::is_settled), "{}", world.report());
}

#[test]
fn four_replicas_agree_on_one_order() {
    let mut world = World::new(1, 4, 2);
    offer(&mut world, 30, 5);
    settle(&mut world, 5_000);
    assert_eq!(world.nodes[0].app.operations.len(), 30);
    assert!(world.checker.slots() > 5);
    assert!(!world.events.contains_key("LeftFor"), "{:?}", world.events);
}

/// Checklist item 14: same seed, same world.
#[test]
fn a_world_repeats_itself() {
    let run = || {
        let mut world = World::new(5, 4, 2);
        world.corrupt(1, Lie::Equivocate);
        (world.loss, world.duplicates) = (10, 10);
        offer(&mut world, 20, 10);
        settle(&mut world, 60_000);
        let operations = world.voters().next().unwrap().app.operations.clone();
        (world.now, world.events.clone(), operations)
    };
    assert_eq!(run(), run());
}

#[test]
fn a_silent_primary_is_left() {
    let mut world = World::new(2, 4, 1);
    let primary = primary(&world);
    world.corrupt(primary, Lie::Silent);
    offer(&mut world, 10, 5);
    settle(&mut world, 10_000);
    assert!(world.events["Entered"] >= 3, "{:?}", world.events);
}

/// Checklist item 25: whoever signs has any number of signatures of what it says. A primary that signs its proposal to
/// each backup with another one makes certificates of one thing that differ, and stops nobody by that.
#[test]
fn a_primary_that_signs_twice_is_left() {
    for kept_back in [true, false] {
        let mut world = World::new(10, 4, 2);
        let primary = primary(&world);
        world.corrupt(primary, Lie::SignsTwice);
        offer(&mut world, 3, 10);
        if !kept_back {
            world.corrupt(primary, Lie::Silent);
        }
        offer(&mut world, 10, 10);
        settle(&mut world, 20_000);
        assert!(world.events["Entered"] >= 3, "{:?}", world.events);
    }
}

/// Checklist item 31: a primary that stays just inside the time-outs does not set the pace. At least half of the
/// fault-free throughput, whatever it delays by.
#[test]
fn a_slow_primary_does_not_set_the_pace() {
    let done = |lie: Option<Lie>| {
        let config = Config { pace_period: Duration::from_millis(300), ..config() };
        let mut world = World::with(3, epoch(1..=4), 1..=4, 2, config);
        world.delay = (3000, 5000);
        if let Some(lie) = lie {
            let primary = primary(&world);
            world.corrupt(primary, lie);
        }
        // Four at a time: what is done limits what is asked.
        let until = world.now + 4_000_000;
        while world.now < until {
            while world.waiting() < 4 {
                let gateway = (world.now / 7) as usize % 2;
                if !world.submit(gateway, None) {
                    break;
                }
            }
            world.run(3);
        }
        world.checker.acknowledged.len()
    };
    let good = done(None);
    for delay in [1, 10, 100, 299] {
        let slow = done(Some(Lie::Slow(delay)));
        assert!(slow * 2 >= good, "{slow} of {good} with a delay of {delay} ms");
    }
}

/// Checklist item 23: whoever was cut off while users went on is a member as before when it is back: another one may fail.
#[test]
fn who_was_cut_off_takes_part_again() {
    let mut world = World::new(12, 4, 2);
    let primary = primary(&world);
    let (away, other) = ((primary + 1) % 4, (primary + 2) % 4);
    for node in (0..4).filter(|node| *node != away) {
        world.cuts.extend([(node, away), (away, node)]);
    }
    // Gateways still reach it: it waits for what others execute.
    offer(&mut world, 100, 20);
    world.cuts.clear();
    settle(&mut world, 20_000);
    assert!(!world.events.contains_key("LeftFor"), "{:?}", world.events);
    world.corrupt(other, Lie::Silent);
    let executed = world.executed(away);
    offer(&mut world, 20, 5);
    settle(&mut world, 2_000);
    assert!(world.executed(away) > executed, "{}", world.report());
    assert!(!world.events.contains_key("LeftFor"), "nobody had to be left: {:?}", world.events);
}

/// Checklist item 34: the primary cuts off f correct replicas; the others help them on.
#[test]
fn who_does_not_hear_the_primary_is_helped_by_others() {
    let mut world = World::new(4, 4, 1);
    let primary = primary(&world);
    let isolated = (primary + 1) % 4;
    world.cuts.insert((primary, isolated));
    world.cuts.insert((isolated, primary));
    offer(&mut world, 40, 20);
    settle(&mut world, 5_000);
    assert!(world.executed(isolated) > Sequence::new(20));
    // It may leave the view, alone; the others see no reason to.
    assert!(!world.events.contains_key("Entered"), "{:?}", world.events);
}

/// Checklist item 35: far behind, the state comes over, and the replica takes part again.
#[test]
fn who_was_away_for_long_takes_over_the_state() {
    let mut world = World::new(6, 4, 1);
    let away = (primary(&world) + 1) % 4;
    world.crash(away);
    offer(&mut world, 60, 12);
    assert!(world.run_until(5_000, |world| world.waiting() == 0));
    world.begin(away);
    settle(&mut world, 5_000);
    assert!(world.events["CaughtUp"] >= 1);
    let standing = world.nodes[away].replica.as_ref().unwrap().standing();
    assert!(standing.is_active && standing.is_voting);
    // It is needed now: another one goes.
    let other = (away + 1) % 4;
    world.crash(other);
    offer(&mut world, 10, 12);
    assert!(world.run_until(10_000, |world| world.waiting() == 0), "{:?}", world.events);
}

/// Checklist item 21: a member that lost its disk costs one of the f, and nothing else.
#[test]
fn a_lost_disk_costs_one_of_f() {
    let mut world = World::new(7, 4, 1);
    offer(&mut world, 20, 10);
    let lost = (primary(&world) + 1) % 4;
    world.crash(lost);
    world.nodes[lost].lose_disk();
    world.begin(lost);
    offer(&mut world, 40, 10);
    settle(&mut world, 10_000);
    let standing = world.nodes[lost].replica.as_ref().unwrap().standing();
    assert!(!standing.is_voting && standing.executed > Sequence::new(20));
}

/// Checklist item 20: a crash at every fact of a trace: each member in turn dies with exactly so many facts on its disk.
#[test]
fn a_crash_at_every_fact_contradicts_nothing() {
    let (mut crashes, mut after) = (0, 1);
    loop {
        let node = after % 4;
        let mut world = World::new(8, 4, 2);
        world.trap = Some((node, after));
        offer(&mut world, 24, 8);
        // The primary is left on the way, so that view changes are among the facts.
        let primary = primary(&world);
        if primary != node && world.is_up(primary) {
            world.crash(primary);
            offer(&mut world, 4, 100);
            world.begin(primary);
        }
        let is_sprung = world.trap.is_none();
        if is_sprung {
            crashes += 1;
            world.begin(node);
        }
        settle(&mut world, 20_000);
        after += 1;
        if !is_sprung {
            break;
        }
    }
    assert!(crashes > 40, "{crashes}");
}

/// Checklist items 36 and 37, and the way up: from one member to seven while it serves, and back down to four while it is
/// idle.
#[test]
fn a_committee_grows_from_one_to_seven_and_shrinks() {
    let trusted = EpochConfig { fewest: 1, ..epoch([1]) };
    let mut world = World::with(9, trusted, 1..=7, 2, config());
    let operation = |world: &World, sign: u8, node: usize| {
        let stamp = world.now.to_le_bytes();
        [&[sign], world.nodes[node].id.as_bytes().as_slice(), &stamp].concat()
    };
    let members =
        |world: &World| world.voters().next().unwrap().replica.as_ref().unwrap().standing().config.members.len();
    offer(&mut world, 3, 10);
    for node in 1..7 {
        let add = operation(&world, b'+', node);
        world.submit(0, Some(add));
        offer(&mut world, 4, 10);
        assert!(world.run_until(10_000, |world| members(world) == node + 1), "{node}: {:?}", world.events);
        settle(&mut world, 10_000);
    }
    let standing = world.nodes[6].replica.as_ref().unwrap().standing();
    assert_eq!((standing.config.epoch.0, standing.faults_tolerated, standing.is_voting), (6, 2, true));
    for node in (4..7).rev() {
        let remove = operation(&world, b'-', node);
        world.submit(1, Some(remove));
        assert!(world.run_until(10_000, |world| members(world) == node), "{node}: {:?}", world.events);
        settle(&mut world, 10_000);
    }
    assert_eq!(world.nodes[0].replica.as_ref().unwrap().chain().len(), 9);
}

/// Two liars of seven, of every kind.
#[test]
fn two_of_seven_lie() {
    let lies = [Lie::Equivocate, Lie::Views, Lie::Transfer, Lie::Flood, Lie::Twin, Lie::SignsTwice];
    for (seed, lie) in lies.into_iter().enumerate() {
        let mut world = World::new(seed as u64, 7, 2);
        world.corrupt(0, lie);
        world.corrupt(1, lie);
        offer(&mut world, 30, 15);
        settle(&mut world, 60_000);
        assert!(world.voters().next().unwrap().app.operations.len() >= 30);
    }
}
