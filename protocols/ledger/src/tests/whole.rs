//! Laws of the whole machine, over histories of all kinds of commands.

use super::world::{
    World, a_lock, a_task, award, delete, lock, node, propose, put, put_for, renew, seat, swap, unlock,
};
use crate::{Ledger, Map, Rules, map::Import};
use mesh_proto::{
    id::NodeId,
    ledger::{
        Auto, Body, Change, Checked, Choice, Claim, Command, Electorate, Evidence, Expect, Motion, Outcome,
        SignedMotion, SignedVote, Vote,
    },
    limits,
    role::Role,
    time::Wall,
};
use proptest::{collection::vec, prelude::*};

/// A command by a number, as of the world's state, so that histories reach deep into it.
fn body(world: &World, (kind, a, b): (u8, u8, u8)) -> Body {
    let network = world.genesis.network_id();
    let motion = |change| {
        let motion = Motion { serial: world.ledger.serial(), change };
        Body::Motion(SignedMotion::sign(&super::world::key(a % 4 + 1), &network, motion))
    };
    let name = format!("k{}", a % 6);
    let opened = world.ledger.snapshot();
    let opened = opened.below(b"q", 8);
    let proposal =
        opened.get(usize::from(a) % opened.len().max(1)).and_then(|entry| crate::key::proposal_of(entry.key()));
    let fence = u64::from(b % 8);
    match (kind % 17, proposal) {
        (0, _) => put(&name, &b.to_string()),
        (1, _) => put_for(&name, &b.to_string(), Some(u64::from(b) + 1)),
        (2, _) => delete(&name),
        (3, _) => swap(&name, Expect::Absent, Some("x")),
        (4, _) => lock(&name, 100 + u64::from(b)),
        (5, _) => award(a % 3, b, 100 + u64::from(b)),
        (6, _) => renew(a_lock(&name), fence, 200),
        (7, _) => unlock(if b < 128 { a_lock(&name) } else { Claim::Task(a_task(a % 3)) }, fence),
        (8, _) => Body::Propose(propose(|propose| {
            propose.round_ms = 100 + u64::from(b);
            propose.rounds = u16::from(a % 3) + 1;
            propose.electorate = if b < 100 { Electorate::All } else { Electorate::Committee };
        })),
        (9 | 10, Some(proposal)) => {
            let choice = if b < 180 { Choice::Approve } else { Choice::Reject };
            let vote = Vote { proposal, round: 1, choice };
            Body::Vote(SignedVote::cast(&super::world::key(a % 6 + 1), &network, vote))
        }
        (11, Some(proposal)) => Body::Close(proposal),
        (12, _) => Body::Admit(Box::new(world.invite(1, a % 8 + 1, Role::Full, Wall(world.now.0 + u64::from(b))))),
        (13, _) => motion(Change::CommitteeAdd(seat(b % 8 + 1))),
        (14, _) => motion(Change::CommitteeRemove(node(b % 8 + 1))),
        (15, _) => motion(Change::Revoke(node(b % 8 + 1))),
        (16, _) => motion(Change::CommitteeAuto(Auto { on: b < 128, max: b % 31 + 1 })),
        (_, None) | (17.., _) => Body::Tick,
    }
}

type Steps = Vec<(Vec<(u8, u8, u8)>, u8)>;

fn steps() -> impl Strategy<Value = Steps> {
    vec((vec(any::<(u8, u8, u8)>(), 0..5), any::<u8>()), 0..24)
}

/// What was executed, so that others can.
type History = Vec<(Wall, Vec<Checked>)>;

fn live(steps: Steps) -> (World, History, Vec<Vec<Outcome>>) {
    let rules = Rules { checkpoint_interval: 4, window_commands: 12, decided_proposals: 2, ..Rules::default() };
    let mut world = World::with(rules, 4);
    let (mut history, mut outcomes) = (Vec::new(), Vec::new());
    for (batch, ms) in steps {
        world.pass(u64::from(ms));
        let bodies: Vec<Body> = batch.into_iter().map(|step| body(&world, step)).collect();
        let commands: Vec<Command> = bodies.into_iter().map(|body| world.command("ada", body)).collect();
        history.push((world.now, commands.iter().cloned().map(Checked::committed).collect()));
        outcomes.push(world.batch(commands));
    }
    (world, history, outcomes)
}

fn fetch(from: &Map, base: &Map) -> Map {
    let mut import = Import::new(from.root(), base, from.weight());
    while !import.is_complete() {
        import.take_all(&from.fetched(&import.wanted(7, 0))).unwrap();
    }
    import.finish().unwrap()
}

/// Whatever is put in must come out at a peer: no record may be larger than a node.
#[test]
fn the_largest_records_are_transferred() {
    let mut world = World::of(31);
    let ids = (0..limits::ELECTORATE as u16).map(|n| {
        let mut bytes = [9; 32];
        bytes[..2].copy_from_slice(&n.to_be_bytes());
        NodeId::from_bytes(bytes)
    });
    let padding = "x".repeat(limits::PROPOSAL_BODY_BYTES - "{\"a\":\"\"}".len());
    let propose = propose(|propose| {
        propose.title = "t".repeat(limits::TITLE_BYTES).parse().unwrap();
        propose.body = format!("{{\"a\":\"{padding}\"}}");
        propose.electorate = Electorate::Ids(ids.collect());
    });
    let bodies = [
        Body::MemoryPut {
            namespace: "n".repeat(limits::NAMESPACE_BYTES).parse().unwrap(),
            key: "k".repeat(limits::MEMORY_KEY_BYTES).parse().unwrap(),
            value: vec![1; limits::MEMORY_VALUE_BYTES].into(),
            ttl_ms: Some(1000),
        },
        Body::Propose(propose),
        Body::Evidence(Evidence { accused: node(1), proof: vec![1; limits::EVIDENCE_BYTES].into() }),
        lock(&"l".repeat(limits::LOCK_NAME_BYTES), 1000),
    ];
    for body in bodies {
        let mut command = world.command(&"u".repeat(limits::PRINCIPAL_BYTES), body);
        command.id.key = vec![1; limits::COMMAND_KEY_BYTES].into();
        command.id.key = [&command.id.key[1..], &[world.ledger.index().0 as u8]].concat().into();
        assert_eq!(Command::decode(&command.encode()).as_ref(), Ok(&command));
        let outcome = world.batch(vec![command]).remove(0);
        assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    }
    let map = fetch(&world.ledger.snapshot(), &Map::new());
    assert_eq!(Ledger::open(map).unwrap().root(), world.ledger.root());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn the_same_batches_make_the_same_state(steps in steps()) {
        let (world, history, outcomes) = live(steps);
        let mut again = Ledger::genesis(&world.genesis, *world.ledger.rules());
        for ((at, (time, batch)), outcomes) in (1..).zip(history).zip(outcomes) {
            let applied = again.apply(super::world::index(at), time, &batch).unwrap();
            prop_assert_eq!(applied.outcomes, outcomes);
        }
        prop_assert_eq!(again.root(), world.ledger.root());
        // Not only by digest: every entry.
        let entries = |ledger: &Ledger| {
            let map = ledger.snapshot();
            let entries = map.below(b"", usize::MAX);
            entries.into_iter().map(|entry| (entry.key().to_vec(), entry.value().to_vec())).collect::<Vec<_>>()
        };
        prop_assert_eq!(entries(&again), entries(&world.ledger));
    }

    #[test]
    fn who_was_handed_the_state_goes_on_alike(before in steps(), after in steps(), stored in any::<bool>()) {
        let (mut world, ..) = live(before);
        let snapshot = world.ledger.snapshot();
        let map = if stored {
            let pages = snapshot.changes_since(&Map::new()).added;
            Map::from_pages(pages.iter().map(|(digest, page)| (digest, page.as_slice()))).unwrap()
        } else {
            let base = Ledger::genesis(&world.genesis, *world.ledger.rules()).snapshot();
            fetch(&snapshot, &base)
        };
        let mut other = Ledger::open(map).unwrap();
        prop_assert_eq!(other.root(), world.ledger.root());
        for (batch, ms) in after {
            world.pass(u64::from(ms));
            let bodies: Vec<Body> = batch.into_iter().map(|step| body(&world, step)).collect();
            let commands: Vec<Command> = bodies.into_iter().map(|body| world.command("ada", body)).collect();
            let checked: Vec<Checked> = commands.iter().cloned().map(Checked::committed).collect();
            let outcomes = world.batch(commands);
            let applied = other.apply(world.ledger.index(), world.now, &checked).unwrap();
            prop_assert_eq!(applied.outcomes, outcomes);
            prop_assert_eq!(&applied.events, &world.events);
            prop_assert_eq!(other.root(), world.ledger.root());
            prop_assert_eq!(other.next_expiry(), world.ledger.next_expiry());
            prop_assert_eq!(other.boundary(), world.ledger.boundary());
        }
    }

    #[test]
    fn the_order_of_independent_writes_does_not_matter(
        writes in vec((0..40u8, any::<u8>()), 1..60),
        shuffle in any::<u64>(),
    ) {
        let mut keys = std::collections::BTreeSet::new();
        let writes: Vec<_> = writes.into_iter().filter(|(key, _)| keys.insert(*key)).collect();
        let mut worlds = [World::new(), World::new()];
        let mut commands: Vec<Command> =
            writes.iter().map(|(key, value)| worlds[0].command("ada", put(&format!("k{key}"), &value.to_string()))).collect();
        worlds[0].batch(commands.clone());
        // Any permutation: by the digits of a number, and the other way around.
        let mut rest = shuffle;
        for at in (1..commands.len()).rev() {
            commands.swap(at, usize::try_from(rest % (at as u64 + 1)).unwrap());
            rest = rest.rotate_right(7) ^ shuffle;
        }
        worlds[1].batch(commands);
        prop_assert_eq!(worlds[0].ledger.root(), worlds[1].ledger.root());
    }

    /// What is rejected changes nothing but what is remembered of it.
    #[test]
    fn a_rejection_leaves_no_trace(steps in steps(), last in any::<(u8, u8, u8)>()) {
        let (mut world, ..) = live(steps);
        world.batch(vec![]);
        let rest = |world: &World| {
            let map = world.ledger.snapshot();
            let kept = map.below(b"", usize::MAX).into_iter().filter(|entry| !entry.key().starts_with(b"w"));
            let kept = kept.filter(|entry| entry.key() != crate::key::META);
            kept.map(|entry| (entry.key().to_vec(), entry.value().to_vec())).collect::<Vec<_>>()
        };
        let mut meta = world.ledger.state.meta.clone();
        let before = rest(&world);
        // Not at a boundary, where something else happens.
        let boundary = world.ledger.index().next().0.is_multiple_of(4);
        let last = body(&world, last);
        if let (Outcome::Rejected(_), false) = (world.run(last), boundary) {
            prop_assert_eq!(rest(&world), before);
            let after = &world.ledger.state.meta;
            (meta.index, meta.floor, meta.remembered) = (after.index, after.floor, after.remembered);
            prop_assert_eq!(after, &meta);
        }
    }

    #[test]
    fn the_counts_are_those_of_what_is_there(steps in steps()) {
        let (world, ..) = live(steps);
        let (map, meta) = (world.ledger.snapshot(), world.ledger.state.meta.clone());
        let count = |tag: u8| map.below(&[tag], usize::MAX).len() as u64;
        prop_assert_eq!(meta.claims, count(crate::key::LOCK) + count(crate::key::AWARD));
        prop_assert_eq!(meta.decided, count(crate::key::DECIDED));
        prop_assert_eq!(meta.open + meta.decided, count(crate::key::STANDING));
        prop_assert_eq!(count(crate::key::PROPOSAL), count(crate::key::STANDING));
        prop_assert_eq!(meta.open + meta.claims, count(crate::key::DEADLINE));
        prop_assert_eq!(count(crate::key::MEMBER), meta.members);
        prop_assert!(meta.decided <= 2 && meta.remembered <= 12);
    }
}
