//! Who is there, and who is not; which word of a member counts.

mod suspicion;

use crate::{Config, Effect, Member, Members, Rejection, Role, Standing};
use mesh_proto::{
    capability::Capabilities,
    id::{NodeId, StoreId},
    task::Octets,
    time::{Mono, Now, Wall},
};
use rand::SeedableRng as _;

fn member(n: u8, incarnation: u64, standing: Standing) -> Member {
    Member {
        node: NodeId::from_bytes([n; 32]),
        store: StoreId(1),
        role: Role::Full,
        standing,
        dated: Wall(100),
        incarnation,
        addresses: vec!["/memory/1".into()],
        name: None,
        zone: None,
        drains: false,
        capabilities: Capabilities::default(),
        entry: Octets::default(),
    }
}

fn at(ms: u64) -> Now {
    Now { mono: Mono(ms * 1000), wall: Wall(ms) }
}

fn due(members: &mut Members, ms: u64) -> Vec<Effect> {
    let mut effects = Vec::new();
    members.handle_deadline(at(ms), &mut rand::rngs::SmallRng::seed_from_u64(1), &mut effects);
    effects
}

/// Whoever is connected is not looked at each time; all the same it is found silent as soon as it is, at whatever times
/// others came and were heard.
#[test]
fn silence_is_found_when_its_time_has_come_and_not_before() {
    let mut members = Members::new(Config::default(), member(0, 1, Standing::Joined));
    let nodes: Vec<NodeId> = (1..=20).map(|n| NodeId::from_bytes([n; 32])).collect();
    // Each comes 200 ms after the one before, and is heard every second until it is 20 s old: all fall silent before
    // the first that were asked about one have not answered, which would make this node trust itself less.
    let comes = |n: usize| 200 * n as u64;
    let falls_silent = |n: usize| comes(n) + 20_000;
    let mut found = vec![None; nodes.len()];
    for ms in (0..60_000).step_by(100) {
        for (n, node) in nodes.iter().enumerate() {
            if comes(n) == ms {
                members.learn(at(ms), member(n as u8 + 1, 1, Standing::Joined), &mut Vec::new()).unwrap();
                members.up(at(ms), *node, StoreId(1));
            } else if ms > comes(n) && ms <= falls_silent(n) && (ms - comes(n)) % 1_000 == 0 {
                members.heard(at(ms), *node);
            }
        }
        for effect in due(&mut members, ms) {
            if let Effect::Silent(node) = effect {
                found[usize::from(node.as_bytes()[0]) - 1].get_or_insert(ms);
            }
        }
    }
    for (n, found) in found.into_iter().enumerate() {
        assert_eq!(found, Some(falls_silent(n) + 10_000), "{n}");
    }
}

#[test]
fn a_closed_connection_is_silence_after_the_grace_and_frozen_peers_after_the_timeout() {
    let mut members = Members::new(Config::default(), member(0, 1, Standing::Joined));
    let other = member(1, 1, Standing::Joined);
    let node = other.node;
    members.learn(at(0), other, &mut Vec::new()).unwrap();
    members.up(at(0), node, StoreId(1));
    assert_eq!(due(&mut members, 9_000), [Effect::Heartbeat, Effect::Compare(node)]);
    members.down(at(9_100), node);
    let addresses = vec!["/memory/1".to_string()];
    assert_eq!(due(&mut members, 9_100), [Effect::Dial { node, addresses }]);
    assert!(due(&mut members, 9_500).contains(&Effect::Silent(node)));
    members.up(at(9_600), node, StoreId(1));
    for ms in [12_000, 15_000, 18_000, 19_000] {
        assert!(!due(&mut members, ms).contains(&Effect::Silent(node)));
    }
    let late = due(&mut members, 19_700);
    assert!(late.contains(&Effect::Silent(node)) && late.contains(&Effect::Disconnect(node)));
}

#[test]
fn the_disk_of_a_connected_member_is_the_one_that_is_connected() {
    let mut members = Members::new(Config::default(), member(0, 1, Standing::Joined));
    let (old, new) = (StoreId(1), StoreId(2));
    let node = member(1, 3, Standing::Joined).node;
    let learn = |members: &mut Members, incarnation, store| {
        let told = Member { store, ..member(1, incarnation, Standing::Joined) };
        let mut effects = Vec::new();
        members.learn(at(0), told.clone(), &mut effects).unwrap();
        assert!(effects.contains(&Effect::Changed(told.clone())), "it is kept as it was told");
        assert_eq!(members.told_entry(&node), Some(told));
        members.get(&node).map(|member| member.store)
    };
    assert_eq!(learn(&mut members, 3, old), Some(old));
    // It is back with another disk; a word from before comes by a detour.
    members.up(at(0), node, new);
    assert_eq!(learn(&mut members, 5, old), Some(new));
    assert_eq!(learn(&mut members, 7, new), Some(new));
    assert_eq!(members.down(at(1), node), None);
    // And the other way round: word of its new disk comes while the old process is still connected.
    let third = StoreId(3);
    members.up(at(2), node, new);
    assert_eq!(learn(&mut members, 9, third), Some(new));
    assert_eq!(members.down(at(3), node).map(|member| member.store), Some(third));
    assert_eq!(members.get(&node).map(|member| member.store), Some(third));
}

#[test]
fn who_left_and_then_falls_silent_is_gone() {
    let mut members = Members::new(Config::default(), member(0, 1, Standing::Joined));
    let node = member(1, 1, Standing::Left).node;
    members.learn(at(0), member(1, 1, Standing::Left), &mut Vec::new()).unwrap();
    members.up(at(0), node, StoreId(1));
    assert_eq!(due(&mut members, 9_000), [Effect::Heartbeat, Effect::Compare(node)]);
    assert_eq!(due(&mut members, 10_000), [Effect::Disconnect(node), Effect::Silent(node)]);
    assert_eq!(due(&mut members, 30_000), [Effect::Heartbeat]);
}

#[test]
fn the_higher_incarnation_wins_and_the_forgotten_stay_so() {
    let mut members = Members::new(Config::default(), member(0, 1, Standing::Joined));
    let mut effects = Vec::new();
    assert_eq!(members.learn(at(0), member(1, 5, Standing::Joined), &mut effects), Ok(()));
    assert_eq!(members.learn(at(0), member(1, 5, Standing::Joined), &mut effects), Err(Rejection::Stale));
    assert_eq!(members.learn(at(0), member(1, 4, Standing::Forgotten), &mut effects), Ok(()));
    assert_eq!(members.learn(at(0), member(1, 9, Standing::Joined), &mut effects), Err(Rejection::Forgotten));
    assert_eq!(members.learn(at(0), member(0, 9, Standing::Left), &mut effects), Err(Rejection::Own));
}

#[test]
fn only_an_invitation_of_later_brings_a_forgotten_member_back() {
    let mut members = Members::new(Config::default(), member(0, 1, Standing::Joined));
    let dated = |date, incarnation, standing| Member { dated: Wall(date), ..member(1, incarnation, standing) };
    let mut learn = |member| members.learn(at(0), member, &mut Vec::new());
    assert_eq!(learn(dated(100, 5, Standing::Joined)), Ok(()));
    assert_eq!(learn(dated(200, 0, Standing::Forgotten)), Ok(()));
    for (date, incarnation) in [(100, u64::MAX), (199, 9), (200, 9)] {
        assert_eq!(learn(dated(date, incarnation, Standing::Joined)), Err(Rejection::Forgotten), "{date}");
    }
    // The door is the first to see it, before it has said anything under its new invitation.
    let seen = Member { entry: Octets::default(), ..dated(201, 0, Standing::Joined) };
    assert_eq!(learn(seen), Ok(()));
    assert_eq!(learn(dated(201, 1, Standing::Joined)), Ok(()));
    assert_eq!(learn(dated(200, 0, Standing::Forgotten)), Err(Rejection::Stale), "the old word, told again");
    assert_eq!(learn(dated(202, 0, Standing::Forgotten)), Ok(()));
}

#[test]
fn nobody_speaks_above_a_word_under_an_invitation_that_it_does_not_have() {
    let mut members = Members::new(Config::default(), member(0, 1, Standing::Joined));
    let mut effects = Vec::new();
    let later = Member { dated: Wall(101), ..member(0, 9, Standing::Joined) };
    assert_eq!(members.learn(at(0), later, &mut effects), Err(Rejection::Own));
    assert_eq!(effects, []);
    assert_eq!(members.learn(at(0), member(0, 9, Standing::Joined), &mut effects), Err(Rejection::Own));
    assert_eq!(effects, [Effect::Outdated { incarnation: 9 }]);
}
