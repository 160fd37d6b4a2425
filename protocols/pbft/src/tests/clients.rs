//! The gateway's machine.

use super::bench::{NETWORK, START, epoch, gateway_key, keys, seq, view};
use crate::{Client, ClientConfig, ClientEffect, ClientRejection, Snapshot, Verifier};
use mesh_proto::{
    id::Digest,
    key::Signature,
    pbft::{Answered, EpochConfig, Message, Operations, Outcome, ReplicaId, Reply, Request, RequestNumber},
    task::Octets,
    time::{Mono, Now},
};
use std::sync::Arc;

struct Desk {
    client: Client,
    verifier: Verifier,
    epoch: Arc<EpochConfig>,
    now: Now,
    effects: Vec<ClientEffect>,
}

const FIRST: RequestNumber = RequestNumber::new(7);

impl Desk {
    fn new() -> Self {
        let epoch = Arc::new(epoch(4));
        let key = Arc::new(gateway_key(100));
        let client = Client::new(ClientConfig::default(), NETWORK, key, Arc::clone(&epoch), FIRST);
        let verifier = Verifier::new(Arc::new(Snapshot::of_epoch(NETWORK, Arc::clone(&epoch))));
        Self { client, verifier, epoch, now: Now { mono: Mono(0), wall: START }, effects: Vec::new() }
    }

    fn submit(&mut self) -> Result<RequestNumber, ClientRejection> {
        let operations = Operations::pack([&b"x"[..]]).unwrap();
        self.client.submit(self.now, operations, &mut self.effects)
    }

    fn answer(&mut self, replica: u8, outcomes: Vec<Answered>) -> Result<(), ClientRejection> {
        let key = &keys(4)[replica as usize];
        let reply = Reply {
            epoch: self.epoch.epoch,
            view: view(2),
            gateway: gateway_key(100).node_id(),
            sequence: seq(3),
            outcomes,
            replica: ReplicaId::new(replica),
            signature: Signature::from_bytes([0; 64]),
        };
        let message = Message::Reply(Arc::new(reply.signed(key, &NETWORK)));
        let verified = self.verifier.verify(key.node_id(), message).unwrap();
        self.client.handle(verified, &mut self.effects)
    }

    fn done(&self) -> Vec<(RequestNumber, Outcome, usize)> {
        let done = self.effects.iter().filter_map(|effect| match effect {
            ClientEffect::Done { number, outcome, proof, .. } => Some((*number, outcome.clone(), proof.len())),
            ClientEffect::Send { .. } | ClientEffect::Displaced { .. } => None,
        });
        done.collect()
    }

    fn displaced(&self) -> Vec<RequestNumber> {
        let displaced = self.effects.iter().filter_map(|effect| match effect {
            ClientEffect::Displaced { number } => Some(*number),
            ClientEffect::Send { .. } | ClientEffect::Done { .. } => None,
        });
        displaced.collect()
    }
}

/// Of the request that [`Desk::submit`] makes.
fn answered(number: RequestNumber, outcome: Outcome) -> Answered {
    let operations = Operations::pack([&b"x"[..]]).unwrap();
    let (_, request) = Request::sign_with_digest(&gateway_key(100), &NETWORK, (FIRST, number), operations);
    Answered { number, request, outcome }
}

/// Of another one under the same number.
fn of_another(number: RequestNumber, outcome: Outcome) -> Answered {
    Answered { number, request: Digest::from_bytes([3; 32]), outcome }
}

fn ok(text: &str) -> Outcome {
    Outcome::Executed(Octets::from(text.as_bytes()))
}

/// Checklist item 16: f + 1 distinct replicas that say the same; one, twice, is one.
#[test]
fn a_result_is_believed_from_f_plus_one() {
    let mut desk = Desk::new();
    let number = desk.submit().unwrap();
    desk.answer(0, vec![answered(number, ok("a"))]).unwrap();
    desk.answer(0, vec![answered(number, ok("a"))]).unwrap();
    desk.answer(1, vec![answered(number, ok("lie"))]).unwrap();
    assert!(desk.done().is_empty());
    desk.answer(2, vec![answered(number, ok("a"))]).unwrap();
    assert_eq!(desk.done(), [(number, ok("a"), 2)]);
    assert_eq!(desk.answer(3, vec![answered(number, ok("a"))]), Err(ClientRejection::Unasked), "once");
    assert_eq!(desk.client.primary(), desk.epoch.member(desk.epoch.primary(view(2))), "a hint for the next");
}

/// Checklist item 16: a reply is its replica's, and for this gateway.
#[test]
fn a_reply_of_another_is_refused() {
    let mut desk = Desk::new();
    let number = desk.submit().unwrap();
    let key = &keys(4)[1];
    let reply = Reply {
        epoch: desk.epoch.epoch,
        view: view(0),
        gateway: gateway_key(100).node_id(),
        sequence: seq(3),
        outcomes: vec![answered(number, ok("a"))],
        replica: ReplicaId::new(2),
        signature: Signature::from_bytes([0; 64]),
    };
    let stolen = Message::Reply(Arc::new(reply.clone().signed(key, &NETWORK)));
    assert!(desk.verifier.verify(key.node_id(), stolen).is_err());
    let other = Reply { gateway: gateway_key(101).node_id(), replica: ReplicaId::new(1), ..reply };
    let message = Message::Reply(Arc::new(other.signed(key, &NETWORK)));
    let verified = desk.verifier.verify(key.node_id(), message).unwrap();
    assert_eq!(desk.client.handle(verified, &mut desk.effects), Err(ClientRejection::Unasked));
}

/// Checklist item 18: what is not answered is sent to all again, with growing pauses, in the same words.
#[test]
fn a_client_sends_again() {
    let mut desk = Desk::new();
    desk.submit().unwrap();
    let mut times = Vec::new();
    while times.len() < 5 {
        let due = desk.client.deadline().unwrap();
        times.push(due.0 / 1000);
        desk.now.mono = due;
        desk.client.handle_deadline(desk.now, &mut desk.effects);
    }
    assert_eq!(times, [400, 1200, 2800, 6000, 11_000]);
    let sends: Vec<_> = desk
        .effects
        .iter()
        .map(|effect| match effect {
            ClientEffect::Send { message, .. } => message.encode(),
            ClientEffect::Done { .. } | ClientEffect::Displaced { .. } => panic!(),
        })
        .collect();
    assert_eq!(sends.len(), 6);
    assert!(sends.windows(2).all(|pair| pair[0] == pair[1]));
}

/// Checklist item 17: no more than the window is under way, so that no number falls out of the table's memory unanswered.
#[test]
fn a_client_keeps_to_the_window() {
    let mut desk = Desk::new();
    let numbers: Vec<_> = (0..8).map(|_| desk.submit().unwrap()).collect();
    assert_eq!(desk.submit(), Err(ClientRejection::Busy));
    // The last is answered, and the first is not: still no room.
    for replica in 0..2 {
        desk.answer(replica, vec![answered(numbers[7], ok("a"))]).unwrap();
    }
    assert_eq!(desk.submit(), Err(ClientRejection::Busy));
    for replica in 0..2 {
        desk.answer(replica, vec![answered(numbers[0], ok("a"))]).unwrap();
    }
    assert!(desk.submit().is_ok());
    let large = Operations::pack([vec![0; 1 << 20].as_slice()]).unwrap();
    let refused = desk.client.submit(desk.now, large, &mut desk.effects);
    assert!(matches!(refused, Err(ClientRejection::TooLarge { .. })));
}

/// Checklist item 17: who is told that its numbers are too old goes on above all that may have been executed.
#[test]
fn a_client_goes_on_above_the_floor() {
    let mut desk = Desk::new();
    let number = desk.submit().unwrap();
    let floor = RequestNumber::new(1000);
    for replica in 0..2 {
        desk.answer(replica, vec![answered(number, Outcome::TooOld(floor))]).unwrap();
    }
    assert_eq!(desk.done().len(), 1);
    let window = u64::from(desk.epoch.client_window);
    assert_eq!(desk.submit(), Ok(RequestNumber::new(1001 + 2 * window)));
}

/// Checklist items 16 and 17: a number that a former life of the gateway used for another request, which was executed:
/// its outcome is not this request's, which is to be asked for again, above all that life's numbers (simulator, seed
/// 50026).
#[test]
fn the_outcome_of_another_request_under_the_number_is_not_believed() {
    for outcome in [ok("a"), Outcome::Forgotten] {
        let mut desk = Desk::new();
        let number = desk.submit().unwrap();
        desk.answer(0, vec![of_another(number, outcome.clone())]).unwrap();
        desk.answer(0, vec![of_another(number, outcome.clone())]).unwrap();
        assert_eq!((desk.done(), desk.displaced()), (vec![], vec![]));
        desk.answer(1, vec![of_another(number, outcome.clone())]).unwrap();
        assert_eq!((desk.done(), desk.displaced()), (vec![], vec![number]));
        assert_eq!(desk.client.waiting(), 0);
        assert_eq!(desk.answer(2, vec![of_another(number, outcome)]), Err(ClientRejection::Unasked), "once");
        let window = u64::from(desk.epoch.client_window);
        assert_eq!(desk.submit(), Ok(number.plus(2 * window).next()));
    }
}

/// Checklist item 16: some replicas have let go of the answer, and a liar names a third request: f + 1 have executed
/// another one all the same.
#[test]
fn whichever_was_executed_in_its_place_a_request_is_displaced() {
    let mut desk = Desk::new();
    let number = desk.submit().unwrap();
    desk.answer(0, vec![of_another(number, ok("a"))]).unwrap();
    let third = Answered { request: Digest::from_bytes([4; 32]), ..of_another(number, Outcome::Forgotten) };
    desk.answer(1, vec![third]).unwrap();
    assert_eq!((desk.done(), desk.displaced()), (vec![], vec![number]));
}

/// Checklist item 16: a liar that names another request, or the right one with another outcome, is one voice of neither.
#[test]
fn a_liar_about_the_request_is_not_counted() {
    let mut desk = Desk::new();
    let number = desk.submit().unwrap();
    desk.answer(0, vec![of_another(number, ok("a"))]).unwrap();
    desk.answer(1, vec![answered(number, ok("a"))]).unwrap();
    assert_eq!((desk.done(), desk.displaced()), (vec![], vec![]));
    desk.answer(2, vec![answered(number, ok("a"))]).unwrap();
    assert_eq!((desk.done(), desk.displaced()), (vec![(number, ok("a"), 2)], vec![]));
}

/// Checklist item 16: that a former life's request came too late says nothing of the one under the same number that was
/// executed before it.
#[test]
fn another_request_that_was_not_executed_displaces_nothing() {
    let mut desk = Desk::new();
    let number = desk.submit().unwrap();
    for outcome in [Outcome::TooOld(RequestNumber::new(1000)), Outcome::TooNew] {
        for replica in 0..4 {
            desk.answer(replica, vec![of_another(number, outcome.clone())]).unwrap();
        }
    }
    assert_eq!((desk.done(), desk.displaced()), (vec![], vec![]));
    // Both may be in one reply: a batch had both.
    for replica in 0..2 {
        let (theirs, own) = (of_another(number, Outcome::TooNew), answered(number, Outcome::TooNew));
        desk.answer(replica, vec![theirs, own]).unwrap();
    }
    assert_eq!(desk.done(), [(number, Outcome::TooNew, 2)]);
}

/// Replies of two committees are not counted together.
#[test]
fn a_change_of_the_committee_counts_anew() {
    let mut desk = Desk::new();
    let number = desk.submit().unwrap();
    desk.answer(0, vec![answered(number, ok("a"))]).unwrap();
    let next = EpochConfig { epoch: mesh_proto::domain::Epoch(1), ..desk.epoch.as_ref().clone() };
    desk.epoch = Arc::new(next);
    desk.now.mono = Mono(5);
    desk.client.set_epoch(Arc::clone(&desk.epoch), desk.now);
    desk.verifier.update(Arc::new(Snapshot::of_epoch(NETWORK, Arc::clone(&desk.epoch))));
    assert_eq!(desk.client.deadline(), Some(Mono(5)), "the new members are asked at once");
    desk.answer(1, vec![answered(number, ok("a"))]).unwrap();
    assert!(desk.done().is_empty());
    desk.answer(2, vec![answered(number, ok("a"))]).unwrap();
    assert_eq!(desk.done().len(), 1);
    assert_eq!(desk.client.waiting(), 0);
}
