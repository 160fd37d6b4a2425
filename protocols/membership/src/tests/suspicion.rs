//! Who is suspected, what others find of it, and what it says to that.

use super::*;
use crate::{Finding, Standpoint};
use mesh_proto::probe::Probe;

fn id(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

/// A node with so many others, all connected.
fn with(others: u8) -> Members {
    let mut members = Members::new(Config::default(), member(0, 1, Standing::Joined));
    for n in 1..=others {
        members.learn(at(0), member(n, 1, Standing::Joined), &mut Vec::new()).unwrap();
        members.up(at(0), id(n), StoreId(1));
    }
    due(&mut members, 0);
    members
}

/// Everybody but this one is heard, from time to time.
fn pass(members: &mut Members, from: u64, to: u64, but: &[u8]) -> Vec<Effect> {
    let mut effects = Vec::new();
    for ms in (from..=to).step_by(100) {
        let connected: Vec<NodeId> = members.connected().collect();
        connected
            .into_iter()
            .filter(|node| !but.contains(&node.as_bytes()[0]))
            .for_each(|node| members.heard(at(ms), node));
        effects.extend(due(members, ms));
    }
    effects
}

fn asked(effects: &[Effect]) -> Vec<(NodeId, u64)> {
    let asked = effects.iter().filter_map(|effect| match effect {
        Effect::Say { to, probe: Probe::Suspect { id, .. } } => Some((*to, *id)),
        _ => None,
    });
    asked.collect()
}

fn say(members: &mut Members, ms: u64, from: u8, probe: Probe) -> Vec<Effect> {
    let mut effects = Vec::new();
    members.probed(at(ms), id(from), probe, &mut effects);
    effects
}

fn found(members: &mut Members, ms: u64, (from, id): (NodeId, u64), is_there: bool) -> Vec<Effect> {
    say(members, ms, from.as_bytes()[0], Probe::Found { id, is_there })
}

#[test]
fn a_majority_of_those_asked_confirms() {
    let mut members = with(6);
    members.down(at(1_000), id(1));
    let effects = pass(&mut members, 1_000, 1_300, &[]);
    assert!(effects.contains(&Effect::Silent(id(1))), "as fast as ever");
    let asked = asked(&effects);
    assert_eq!(asked.len(), 5);
    assert_eq!(members.standpoint(&id(1)), Some(Standpoint::Suspected));
    assert_eq!(found(&mut members, 1_400, asked[0], false), []);
    assert_eq!(found(&mut members, 1_400, asked[0], false), [], "one has one voice");
    assert_eq!(found(&mut members, 1_400, asked[1], false), []);
    assert_eq!(found(&mut members, 1_500, asked[2], true), []);
    assert_eq!(found(&mut members, 1_600, asked[3], false), [Effect::Confirmed(id(1))]);
    assert_eq!(members.standpoint(&id(1)), Some(Standpoint::Confirmed));
    let counters = members.counters();
    assert_eq!((counters.suspicions, counters.confirmations, counters.refutations), (1, 1, 0));
    let history: Vec<(NodeId, Finding)> = members.history(&id(1)).map(|line| (line.by, line.what)).collect();
    let of = |place: usize| asked[place].0;
    use Finding::{Answers, Confirmed, Silent, Suspected};
    let mut wanted = vec![(id(0), Suspected), (of(0), Silent), (of(1), Silent), (of(2), Answers), (of(3), Silent)];
    wanted.push((id(0), Confirmed));
    assert_eq!(history, wanted);
    members.up(at(2_000), id(1), StoreId(1));
    assert_eq!(members.standpoint(&id(1)), None);
    assert_eq!(members.history(&id(1)).last().map(|line| line.what), Some(Finding::Back));
}

/// Of a node that is cut off with one other, that one agrees, and four that are asked say nothing.
#[test]
fn silence_is_not_agreement() {
    let mut members = with(7);
    (2..=7).for_each(|n| drop(members.down(at(1_000), id(n))));
    let mut answers = 0;
    for from in (1_000_u64..60_000).step_by(500) {
        for question in asked(&pass(&mut members, from, from + 400, &[])) {
            answers += 1;
            assert_eq!(found(&mut members, from + 450, question, false), []);
        }
    }
    assert!(answers > 10, "{answers}");
    assert!((2..=7).all(|n| members.standpoint(&id(n)) == Some(Standpoint::Suspected)));
    assert_eq!(members.counters().confirmations, 0);
}

#[test]
fn with_no_third_node_twice_the_time_out_confirms() {
    let mut members = with(1);
    members.down(at(1_000), id(1));
    assert!(!pass(&mut members, 1_000, 21_200, &[]).contains(&Effect::Confirmed(id(1))));
    assert!(pass(&mut members, 21_300, 21_400, &[]).contains(&Effect::Confirmed(id(1))));
}

#[test]
fn a_later_word_of_the_suspect_refutes() {
    let mut members = with(3);
    let effects = pass(&mut members, 0, 10_100, &[1]);
    assert!(effects.contains(&Effect::Silent(id(1))) && effects.contains(&Effect::Disconnect(id(1))));
    let asked = asked(&effects);
    assert_eq!(asked.len(), 2, "of two others, both");
    assert_eq!(found(&mut members, 10_200, asked[0], true), []);
    members.learn(at(10_300), member(1, 2, Standing::Joined), &mut Vec::new()).unwrap();
    assert_eq!((members.standpoint(&id(1)), members.counters().refutations), (None, 1));
    let by_itself = members.history(&id(1)).last().map(|line| (line.by, line.what));
    assert_eq!(by_itself, Some((id(1), Finding::Refuted { incarnation: 2 })));
    // What was found before that confirms nothing any more; and it is not suspected anew at once.
    assert_eq!(found(&mut members, 10_400, asked[1], false), []);
    pass(&mut members, 10_400, 20_200, &[]);
    assert_eq!((members.standpoint(&id(1)), members.counters().suspicions), (None, 1));
    pass(&mut members, 20_300, 20_400, &[]);
    assert_eq!((members.standpoint(&id(1)), members.counters().suspicions), (Some(Standpoint::Suspected), 2));
}

#[test]
fn who_is_asked_probes_for_itself_and_once_for_all_that_ask() {
    let mut members = with(4);
    let suspect = |n| Probe::Suspect { id: n, node: id(1), incarnation: 1, silent_ms: 400 };
    let ping_of = |effects: &[Effect]| {
        let pings = effects.iter().filter_map(|effect| match effect {
            Effect::Say { to, probe: Probe::Ping { id, doubted: 1 } } => Some((*to, *id)),
            _ => None,
        });
        pings.collect::<Vec<_>>()
    };
    let reports = |effects: &[Effect]| {
        let reports = effects.iter().filter_map(|effect| match effect {
            Effect::Say { to, probe: Probe::Found { id, is_there } } => Some((*to, *id, *is_there)),
            _ => None,
        });
        reports.collect::<Vec<_>>()
    };
    assert_eq!(say(&mut members, 1_000, 2, suspect(70)), []);
    say(&mut members, 1_050, 3, suspect(80));
    let pings = ping_of(&pass(&mut members, 1_100, 2_000, &[]));
    let [(to, ping)] = pings.as_slice() else { panic!("{pings:?}") };
    assert_eq!(*to, id(1));
    assert_eq!(say(&mut members, 2_050, 4, Probe::Echo { id: *ping }), [], "another answers nothing for it");
    let told = reports(&say(&mut members, 2_100, 1, Probe::Echo { id: *ping }));
    assert_eq!(told, [(id(2), 70, true), (id(3), 80, true)]);
    let first = members.history(&id(1)).next().map(|line| (line.by, line.at, line.what));
    assert_eq!(first, Some((id(2), Wall(600), Finding::Suspected)), "who suspected it first, and since when");
    // No answer within a heartbeat is one.
    say(&mut members, 3_000, 2, suspect(71));
    assert_eq!(reports(&pass(&mut members, 3_000, 5_900, &[])), []);
    assert_eq!(reports(&pass(&mut members, 6_000, 6_100, &[])), [(id(2), 71, false)]);
}

#[test]
fn the_suspect_says_a_later_word_and_not_at_each_question() {
    let mut members = with(2);
    let ping = |doubted| Probe::Ping { id: 9, doubted };
    let echo = Effect::Say { to: id(2), probe: Probe::Echo { id: 9 } };
    assert_eq!(say(&mut members, 1_000, 2, ping(1)), [echo.clone(), Effect::Refute { above: 1 }]);
    assert_eq!(say(&mut members, 1_100, 2, ping(1)), std::slice::from_ref(&echo));
    // What it has not said, or has gone above, is nothing that others can believe of it.
    assert_eq!(say(&mut members, 11_000, 2, ping(u64::MAX)), std::slice::from_ref(&echo));
    assert_eq!(say(&mut members, 11_000, 2, ping(0)), std::slice::from_ref(&echo));
    assert_eq!(say(&mut members, 11_000, 2, ping(1)), [echo, Effect::Refute { above: 1 }]);
    members.down(at(29_500), id(2));
    assert_eq!(say(&mut members, 29_600, 2, ping(1)), [], "who is not there says nothing");
}

#[test]
fn who_is_late_itself_waits_longer_before_it_suspects() {
    let mut members = with(1);
    // Its heartbeats come 2 s late each.
    for ms in [5_000, 10_000, 15_000] {
        members.heard(at(ms), id(1));
        due(&mut members, ms);
    }
    assert_eq!(members.counters().doubt, 3);
    let effects: Vec<Effect> = [20_000_u64, 25_000, 25_100].into_iter().flat_map(|ms| due(&mut members, ms)).collect();
    assert!(!effects.contains(&Effect::Silent(id(1))), "{effects:?}");
    // In time again, it is as it was.
    assert!(pass(&mut members, 25_200, 45_000, &[1]).contains(&Effect::Silent(id(1))));
    assert_eq!(members.counters().doubt, 0);
}

#[test]
fn what_one_node_asks_does_not_grow_with_the_mesh() {
    let mut members = with(200);
    (1..=100).for_each(|n| drop(members.down(at(1_000), id(n))));
    let effects = pass(&mut members, 1_000, 6_900, &[]);
    assert_eq!(effects.iter().filter(|effect| matches!(effect, Effect::Silent(_))).count(), 100);
    assert!((1..=8 * 5).contains(&asked(&effects).len()), "{}", asked(&effects).len());
}
