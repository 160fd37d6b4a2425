//! What a broken or lying peer can hand in: it is refused, or its rejection recorded, and never stops the machine.

use super::world::{
    World, a_lock, a_task, award, delete, lock, node, propose, put, put_for, renew, seat, swap, unlock,
};
use crate::{Ledger, Map, Rules};
use mesh_proto::{
    id::{Digest, StoreId},
    ledger::{
        Auto, Body, Change, Checked, Choice, Claim, Command, Electorate, Entry, Evidence, Expect, Index, Motion,
        Outcome, ProposalId, SignedMotion, SignedSupport, SignedVote, Support, Threshold, Vote,
    },
    role::Role,
    task::Octets,
    time::Wall,
};
use proptest::{collection::vec, prelude::*, sample::select};

/// One of each kind, at its bounds and beyond them.
fn bodies(world: &World) -> Vec<Body> {
    let network = world.genesis.network_id();
    let unknown = ProposalId(Digest::from_bytes([7; 32]));
    let motion =
        |change| Body::Motion(SignedMotion::sign(&super::world::key(1), &network, Motion { serial: 0, change }));
    let vote = Vote { proposal: unknown, round: u16::MAX, choice: Choice::Abstain };
    let support = Support { version: u16::MAX, store: StoreId(u64::MAX), at: Index(u64::MAX) };
    vec![
        Body::Propose(propose(|_| {})),
        Body::Propose(propose(|propose| {
            propose.round_ms = u64::MAX;
            propose.rounds = u16::MAX;
            propose.threshold = Threshold::new(1).unwrap();
            propose.electorate = Electorate::Ids(vec![node(1); 1024]);
        })),
        Body::Vote(SignedVote::cast(&super::world::key(1), &network, vote)),
        Body::Close(unknown),
        put("a", "1"),
        put_for("a", "1", Some(u64::MAX)),
        delete("a"),
        swap("a", Expect::Version(u64::MAX), None),
        swap("a", Expect::Absent, Some("x")),
        Body::Admit(Box::new(world.invite(1, 2, Role::Full, Wall(u64::MAX)))),
        motion(Change::Revoke(node(1))),
        motion(Change::InviterAdd { key: node(2), uses: Some(0), until: Some(Wall(0)), governs: true }),
        motion(Change::InviterRemove(node(1))),
        motion(Change::CommitteeAdd(seat(2))),
        motion(Change::CommitteeRemove(node(1))),
        motion(Change::CommitteeAuto(Auto { on: true, max: u8::MAX })),
        Body::Evidence(Evidence { accused: node(1), proof: Octets::from(vec![1; 10]) }),
        Body::Support(SignedSupport::report(&super::world::key(1), &network, support)),
        Body::ActivateVersion(u16::MAX),
        award(1, 2, u64::MAX),
        lock("a", 1000),
        renew(a_lock("a"), u64::MAX, u64::MAX),
        renew(a_lock("a"), 1, 1000),
        unlock(Claim::Task(a_task(1)), 1),
        Body::Tick,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// Encodings with a byte changed here and there, as somebody who signs nothing may make them: what decodes is
    /// executed, without its signatures looked at.
    #[test]
    fn no_decoded_command_stops_the_machine(
        steps in vec((any::<prop::sample::Index>(), vec((any::<prop::sample::Index>(), any::<u8>()), 0..3)), 1..20),
        times in vec(select(vec![0, 1, 1_800_000_000_000, 1_800_000_000_500, u64::MAX - 1, u64::MAX]), 20),
    ) {
        let rules = Rules { checkpoint_interval: 3, window_commands: 5, ..Rules::default() };
        let mut world = World::with(rules, 1);
        let bodies = bodies(&world);
        for ((kind, changes), time) in steps.into_iter().zip(times) {
            let mut bytes = world.command("ada", bodies[kind.index(bodies.len())].clone()).encode();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let Ok(command) = Command::decode(&bytes) else { continue };
            let next = world.ledger.index().next();
            let applied = world.ledger.apply(next, Wall(time), &[Checked::committed(command)]).unwrap();
            prop_assert_eq!(applied.outcomes.len(), 1);
        }
        prop_assert!(Ledger::open(world.ledger.snapshot()).is_ok(), "what it writes it reads");
    }

    #[test]
    fn entries_that_no_ledger_wrote_are_not_opened(at in any::<prop::sample::Index>(), cut in any::<bool>()) {
        let mut world = World::of(4);
        for body in bodies(&world) {
            world.run(body);
        }
        let mut map = world.ledger.snapshot();
        let all: Vec<Entry> = map.below(b"", usize::MAX).into_iter().cloned().collect();
        let entry = &all[at.index(all.len())];
        let value = entry.value();
        // Memory and the lists of what is due have values of any kind, or none.
        let own = entry.key().starts_with(b"m") || value.is_empty();
        let damaged = if cut { value[..value.len() / 2].to_vec() } else { [value, &[0]].concat() };
        map.put(entry.key(), &[&damaged]);
        prop_assert!(own || Ledger::open(map).is_err(), "{entry:?}");
    }
}

#[test]
fn a_state_that_lacks_its_beginnings_is_not_opened() {
    assert!(Ledger::open(Map::new()).is_err());
    let world = World::new();
    for key in [&b"0"[..], b"c"] {
        let mut map = world.ledger.snapshot();
        assert!(map.remove(key));
        assert!(Ledger::open(map).is_err());
    }
    for key in [&b"?"[..], b"d", b"mx", b"n\0", b"l", b"xabc", b"w12345678"] {
        let mut map = world.ledger.snapshot();
        map.put(key, &[]);
        assert!(Ledger::open(map).is_err(), "{}", key.escape_ascii());
    }
    let mut map = world.ledger.snapshot();
    map.put(b"mswarm\0k", &[&[0; 23]]);
    assert!(Ledger::open(map).is_err(), "shorter than its head");
    assert!(Ledger::open(world.ledger.snapshot()).is_ok());
}

#[test]
fn a_repeat_of_thousands_costs_one() {
    let mut world = World::new();
    let command = world.command("ada", put("a", "1"));
    let outcomes = world.batch(vec![command; 5000]);
    assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0] && matches!(outcome, Outcome::Done(_))));
    assert_eq!(world.ledger.state.meta.remembered, 1);
}
