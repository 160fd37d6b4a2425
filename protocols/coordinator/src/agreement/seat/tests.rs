use super::*;
use mesh_ledger::Rules;
use mesh_pbft::{Alarm, ClientConfig, Config};
use mesh_proto::{
    genesis::{Engine, Founders, Genesis},
    ledger::Entry,
    pbft::{RequestNumber, Summary},
    time::Wall,
};

fn key(n: u8) -> SecretKey {
    SecretKey::from_bytes(&[n; 32])
}

/// The first of four.
fn seat() -> Seat {
    let genesis = Genesis {
        name: "seat".parse().unwrap(),
        nonce: [7; 32],
        maker: key(1).node_id(),
        engine: Engine::Pbft,
        open: false,
        created: Wall(1_800_000_000_000),
        committee: Founders::new((1..=4).map(|n| key(n).node_id()).collect()).unwrap(),
    };
    let (key, rules) = (Arc::new(key(1)), Rules::default());
    let setup = Setup { genesis, key, replica: Config::default(), client: ClientConfig::default(), rules };
    let epoch = super::super::first_epoch(&setup).unwrap();
    Seat::new(&setup, epoch, StoreId(1), false).unwrap()
}

fn at(ms: u64) -> Now {
    Now { mono: Mono(ms * 1000), wall: Wall(1_800_000_000_000 + ms) }
}

/// The replica wants this state.
fn install(seat: &mut Seat, now: Now, sequence: u64, state: &Map) -> Vec<SeatEffect> {
    let mut effects = Vec::new();
    let bytes = state.root().as_bytes().as_slice().into();
    let sequence = Sequence::new(sequence);
    assert!(seat.carry_out(now, Effect::StorePiece { sequence, index: 0, bytes }, &mut effects).is_none());
    let config = seat.replica.snapshot().config().as_ref().clone();
    let (state, clients) = (keeper::roots(&state.root()), Roots::EMPTY);
    let floor = RequestNumber::ZERO;
    let summary = Arc::new(Summary { sequence, time: now.wall, state, clients, floor, config });
    assert!(seat.carry_out(now, Effect::Install { summary }, &mut effects).is_none());
    effects
}

/// Those that are asked answer, for at most so many rounds, from this state. How many nodes came.
fn answer(seat: &mut Seat, now: Now, mut effects: Vec<SeatEffect>, state: &Map, rounds: usize) -> usize {
    let mut came = 0;
    for _ in 0..rounds {
        for effect in std::mem::take(&mut effects) {
            if let SeatEffect::Ask(to, Question::Nodes(question)) = effect {
                let fetched = state.fetched(&question);
                came += fetched.nodes.len();
                seat.fetched(now, to, &fetched, &mut effects);
            }
        }
    }
    came
}

/// Checklist item 35: the others let go of a state while it is fetched. What came of it is not asked for again.
#[test]
fn a_fetch_goes_on_from_what_the_one_before_it_has() {
    let mut state = Map::from_entries((0..20_000u32).map(|n| Entry::new(&n.to_le_bytes(), &[&[7; 200]])).collect());
    let mut seat = seat();
    let effects = install(&mut seat, at(0), 128, &state);
    let first = answer(&mut seat, at(0), effects, &state, 1);
    assert!(first > 500 && !seat.fetching.as_ref().unwrap().is_complete(), "{first} nodes");
    // From now on nobody answers.
    for seconds in 1..60 {
        seat.handle_deadline(at(seconds * 1000), &mut Vec::new());
    }
    assert!(seat.fetching.is_none());
    state.put(b"new", &[b"value"]);
    let effects = install(&mut seat, at(60_000), 256, &state);
    let second = answer(&mut seat, at(60_000), effects, &state, 100);
    let mut afresh = self::seat();
    let effects = install(&mut afresh, at(0), 256, &state);
    let whole = answer(&mut afresh, at(0), effects, &state, 100);
    assert!(first + second < whole + 16, "{first} and {second} nodes came, of {whole}");
}

/// Checklist item 33: who has stopped for good says so after a restart as well, and takes no part.
#[test]
fn what_stopped_for_good_is_stopped_after_a_restart() {
    let (own, stable) = (Digest::from_bytes([1; 32]), Digest::from_bytes([2; 32]));
    let alarm = Alarm::Diverged { sequence: Sequence::new(128), own, stable };
    let fact = Fact::Replica(Box::new(mesh_pbft::Fact::Halted { alarm: alarm.clone() }));
    let mut seat = seat();
    seat.apply(fact.clone()).unwrap();
    let mut effects = Vec::new();
    seat.restarted(at(0), &mut effects);
    assert!(matches!(&effects[..], [SeatEffect::Halted(why)] if *why == alarm.to_string()));
    assert_eq!((seat.halted(), seat.standing().halted, seat.standing().voting), (Some(alarm.to_string()), true, false));
    assert!(seat.retell().contains(&fact), "a store tells of it");
    assert_eq!(seat.deadline(), None);
}
