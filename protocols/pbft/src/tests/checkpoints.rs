//! Checkpoints, garbage, and catching up.

use super::bench::*;
use crate::{Alarm, Effect, Fact, Input, Membership, Rejection};
use mesh_proto::{
    id::Digest,
    merkle::Tree,
    pbft::{
        Batch, Chunk, ClientEntry, EpochCertificate, Executed, Fetch, Message, Outcome, Part, RequestNumber, Roots,
        Status, Summary, state_leaf,
    },
    task::Octets,
};
use std::{sync::Arc, time::Duration};

fn status(bench: &Bench, executed: u64, stable: u64) -> Status {
    Status {
        epoch: bench.epoch.epoch,
        view: view(0),
        active: true,
        leaves: false,
        stable: seq(stable),
        executed: seq(executed),
        wants: true,
        changes: Vec::new(),
    }
}

/// Checklist item 33: own and q - 1 others; then h, H, log and certificate move in one fact.
#[test]
fn a_quorum_makes_a_checkpoint_stable() {
    let mut bench = Bench::new(1, 4);
    bench.order((view(0), seq(1)), &[request(1)]);
    bench.order_up_to(seq(8));
    let digest = bench.own_checkpoint(seq(8)).digest();
    bench.give(0, bench.checkpoint(0, seq(8), digest)).unwrap();
    assert_eq!(bench.replica.standing().low, seq(0));
    bench.take();
    bench.give(2, bench.checkpoint(2, seq(8), digest)).unwrap();
    let standing = bench.replica.standing();
    assert_eq!((standing.low, standing.high), (seq(8), seq(24)));
    let written: Vec<_> = bench.effects.iter().filter(|effect| matches!(effect, Effect::Persist(_))).collect();
    assert!(matches!(written[..], [Effect::Persist(Fact::Stable { .. })]));
    assert!(bench.effects.contains(&Effect::Release { below: seq(8), except: Vec::new() }));
    assert!(bench.replica.retell().iter().all(|fact| !matches!(fact, Fact::Accepted { .. })), "the log is empty");
}

/// Checklist items 33 and 36: execution goes on while a state is summed up. Nothing of what is executed meanwhile is in
/// that checkpoint, be it a request or a change of the committee; and the next checkpoint waits.
#[test]
fn execution_goes_on_while_a_state_is_summed_up() {
    let mut bench = Bench::new(1, 4);
    bench.order((view(0), seq(1)), &[request(1)]);
    bench.is_summing_up = true;
    bench.order_up_to(seq(8));
    bench.change = Some(Membership::Add(bench.node(4)));
    for n in 9..=16 {
        bench.order((view(0), seq(n)), &[request(n)]);
    }
    assert_eq!(bench.replica.executed(), seq(15));
    bench.is_summing_up = false;
    bench.serve();
    assert_eq!(bench.replica.executed(), seq(16));
    let mut waited = Bench::new(1, 4);
    waited.order((view(0), seq(1)), &[request(1)]);
    waited.order_up_to(seq(8));
    assert_eq!(bench.own_checkpoint(seq(8)), waited.own_checkpoint(seq(8)));
    assert_eq!(bench.own_checkpoint(seq(16)).config.members.len(), 5);
    // What is told of it after a restart is that as well.
    bench.stabilize(seq(8));
    assert_eq!(bench.restart().replica.stable(), bench.replica.stable());
}

/// Checklist items 33 and 34: the proof of a checkpoint may come before its number is executed here, or its state summed up.
/// Then it is taken, and until then nothing is due for it.
#[test]
fn a_proof_that_comes_early_is_taken_when_the_own_state_is_there() {
    let mut other = Bench::new(2, 4);
    other.order_up_to(seq(8));
    let certificate = other.certificate(&other.own_checkpoint(seq(8)));
    let mut bench = Bench::new(1, 4);
    bench.order_up_to(seq(7));
    bench.give(0, Message::Stable(Arc::new(certificate))).unwrap();
    bench.is_summing_up = true;
    bench.order_up_to(seq(8));
    bench.wait(Duration::from_millis(700));
    assert_eq!(bench.counters().transfers, 0);
    bench.is_summing_up = false;
    bench.serve();
    assert_eq!(bench.replica.standing().low, seq(8));
}

/// Checklist item 33: a proof of another state than the own one stops the replica, though it came first.
#[test]
fn a_proof_that_comes_early_and_is_of_another_state_stops_the_replica() {
    let mut bench = Bench::new(1, 4);
    bench.order_up_to(seq(7));
    let certificate = bench.certificate(&bench.summary(seq(8)));
    bench.give(0, Message::Stable(Arc::new(certificate))).unwrap();
    assert_eq!(bench.replica.standing().halted, None);
    bench.order_up_to(seq(8));
    assert!(matches!(bench.replica.standing().halted, Some(Alarm::Diverged { .. })));
}

/// Checklist item 33: what is signed covers state, clients, time and configuration.
#[test]
fn the_digest_covers_all_that_is_replicated() {
    let bench = Bench::new(1, 4);
    let good = bench.summary(seq(8));
    let others = [
        Summary { state: Roots::EMPTY, ..good.clone() },
        Summary { clients: state(), ..good.clone() },
        Summary { floor: RequestNumber::new(1), ..good.clone() },
        Summary { time: mesh_proto::time::Wall(1), ..good.clone() },
        Summary { config: mesh_proto::pbft::EpochConfig { interval: 4, ..bench.epoch.clone() }, ..good.clone() },
    ];
    assert!(others.iter().all(|other| other.digest() != good.digest()));
}

/// Checklist item 33: a replica whose state is not the stable one stops, and overwrites nothing.
#[test]
fn a_replica_that_diverged_stops() {
    let mut bench = Bench::new(1, 4);
    bench.order_up_to(seq(8));
    bench.take();
    let other = Digest::from_bytes([1; 32]);
    for replica in [0, 2, 3] {
        bench.give(replica, bench.checkpoint(replica, seq(8), other)).unwrap();
    }
    let alarm = bench.effects.iter().find_map(|effect| match effect {
        Effect::Halt(alarm) => Some(alarm.clone()),
        _ => None,
    });
    assert!(matches!(alarm, Some(Alarm::Diverged { stable, .. }) if stable == other));
    let is_why = |fact: &Fact| matches!(fact, Fact::Halted { alarm: of } if Some(of) == alarm.as_ref());
    let overwrites = |effect: &Effect| match effect {
        Effect::Persist(fact) => !is_why(fact),
        effect => matches!(effect, Effect::Release { .. }),
    };
    assert!(!bench.effects.iter().any(overwrites), "{:?}", bench.effects);
    let given = bench.give(0, bench.pre_prepare((view(0), seq(9)), &Batch::null()));
    assert!(matches!(given, Err(No::Rejected(Rejection::Halted(_)))));
}

/// Checklist item 34: whoever is behind inside of the window is given certificates by anybody, bodies on demand.
#[test]
fn any_replica_helps_another_one_on() {
    let mut bench = Bench::new(1, 4);
    bench.order((view(0), seq(1)), &[request(1)]);
    bench.order((view(0), seq(2)), &[request(2)]);
    bench.take();
    let message = Message::Status(status(&bench, 0, 0));
    bench.give(3, message).unwrap();
    let lagging = bench.node(3);
    let decided: Vec<Message> =
        bench.sent_to(lagging).into_iter().filter(|message| matches!(message, Message::Decided(_))).cloned().collect();
    assert_eq!(decided.len(), 2);
    let fetch = Message::Fetch(Fetch::Requests { digests: vec![request(1).digest(), request(2).digest()] });
    bench.give(3, fetch).unwrap();
    let bodies = bench.sent_to(lagging).into_iter().find(|message| matches!(message, Message::Requests(_))).cloned();
    let mut other = Bench::new(3, 4);
    for message in decided {
        other.give(1, message).unwrap();
    }
    other.wait(Duration::from_millis(15));
    other.give(1, bodies.unwrap()).unwrap();
    other.serve();
    // The second body was not asked for yet, or came with the first.
    other.wait(Duration::from_millis(200));
    let fetched = Message::Requests(vec![request(2)]);
    drop(other.give(1, fetched));
    other.serve();
    assert_eq!(other.replica.executed(), seq(2));
}

/// Checklist item 34: own votes of unfinished slots are said again, to whoever wants them.
#[test]
fn votes_are_said_again() {
    let mut bench = Bench::new(1, 4);
    bench.give(0, bench.pre_prepare((view(0), seq(1)), &Batch::null())).unwrap();
    bench.give(2, bench.prepare(2, (view(0), seq(1)), Batch::null().digest())).unwrap();
    bench.take();
    let message = Message::Status(status(&bench, 0, 0));
    bench.give(3, message.clone()).unwrap();
    let peer = bench.node(3);
    let kinds: Vec<bool> = bench.sent_to(peer).iter().map(|message| matches!(message, Message::Prepare(_))).collect();
    assert_eq!(kinds, [true, false], "a prepare and a commit");
    assert_eq!(bench.give(3, message), Err(No::Rejected(Rejection::TooOften)), "at a bounded rate");
}

/// Checklist item 34: f + 1 checkpoints above the window prove that this replica is behind; f do not.
#[test]
fn enough_far_checkpoints_make_it_ask() {
    let mut bench = Bench::new(3, 4);
    let digest = Digest::from_bytes([1; 32]);
    bench.wait(Duration::from_millis(200));
    bench.take();
    let statuses =
        |bench: &Bench| bench.broadcasts().into_iter().filter(|message| matches!(message, Message::Status(_))).count();
    bench.give(0, bench.checkpoint(0, seq(80), digest)).unwrap();
    bench.wait(Duration::from_millis(50));
    assert_eq!(statuses(&bench), 0);
    bench.give(1, bench.checkpoint(1, seq(80), digest)).unwrap();
    bench.wait(Duration::from_millis(50));
    assert_eq!(statuses(&bench), 1);
}

/// A checkpoint at 40 that others hold: two pieces of state, one client.
pub(super) struct Far {
    pub certificate: EpochCertificate,
    state: Tree,
    pieces: [Octets; 2],
    clients: Tree,
    entry: ClientEntry,
}

pub(super) fn far(bench: &Bench) -> Far {
    let pieces = [&b"one"[..], b"two"].map(Octets::from);
    let state = Tree::new(&[state_leaf(&pieces[0]), state_leaf(&pieces[1])]).unwrap();
    let outcome = Outcome::Executed(Octets::from(&b"ok"[..]));
    let executed =
        vec![Executed { number: RequestNumber::new(5), sequence: seq(33), request: request(5).digest(), outcome }];
    let entry = ClientEntry { gateway: request(1).gateway, executed };
    let clients = Tree::new(&[crate::table::entry_leaf(&entry)]).unwrap();
    let summary = Summary {
        state: Roots { root: state.root(), count: 2 },
        clients: Roots { root: clients.root(), count: 1 },
        ..bench.summary(seq(40))
    };
    Far { certificate: bench.certificate(&summary), state, pieces, clients, entry }
}

impl Far {
    fn piece(&self, index: u32) -> Message {
        let path = self.state.path(index).unwrap();
        let bytes = self.pieces[index as usize].clone();
        Message::Chunk(Chunk { sequence: seq(40), part: Part::State, index, bytes, path })
    }

    fn client(&self) -> Message {
        let bytes = Octets::from(mesh_proto::codec::encode(&self.entry));
        let path = self.clients.path(0).unwrap();
        Message::Chunk(Chunk { sequence: seq(40), part: Part::Clients, index: 0, bytes, path })
    }
}

/// Whom each piece was asked of.
pub(super) fn questions(bench: &Bench) -> Vec<(u8, Part, u32)> {
    let mut asked = Vec::new();
    for replica in 0..4 {
        let node = bench.node(replica);
        for message in bench.sent_to(node) {
            if let Message::Fetch(Fetch::State { part, index, .. }) = message {
                asked.push((replica, *part, *index));
            }
        }
    }
    asked
}

pub(super) fn begin_transfer() -> (Bench, Far, Vec<(u8, Part, u32)>) {
    let mut bench = Bench::new(3, 4);
    let far = far(&bench);
    bench.take();
    bench.give(0, Message::Stable(Arc::new(far.certificate.clone()))).unwrap();
    let asked = questions(&bench);
    assert_eq!(asked.len(), 3);
    (bench, far, asked)
}

pub(super) fn give_piece(bench: &mut Bench, far: &Far, (from, part, index): (u8, Part, u32)) -> Result<(), No> {
    let message = match part {
        Part::State => far.piece(index),
        Part::Clients => far.client(),
    };
    bench.give(from, message)
}

/// Checklist items 17 and 35: the state comes in pieces, several peers are asked, and the replica goes on from there,
/// active, with the client table that goes with it.
#[test]
fn a_replica_far_behind_takes_over_the_state() {
    let (mut bench, far, asked) = begin_transfer();
    let peers: std::collections::BTreeSet<u8> = asked.iter().map(|(peer, _, _)| *peer).collect();
    assert!(peers.len() >= 2, "{asked:?}");
    bench.take();
    for piece in asked {
        give_piece(&mut bench, &far, piece).unwrap();
    }
    let stored = bench.effects.iter().filter(|effect| matches!(effect, Effect::StorePiece { .. })).count();
    assert_eq!(stored, 2);
    assert!(matches!(bench.effects.last(), Some(Effect::Install { .. })));
    assert_eq!(bench.replica.executed(), seq(0), "nothing changes before it is there");
    bench.take();
    bench.input(Input::Installed { sequence: seq(40), state: far.certificate.summary.state }).unwrap();
    assert!(matches!(bench.effects[0], Effect::Persist(Fact::Installed { .. })));
    let standing = bench.replica.standing();
    assert_eq!((standing.executed, standing.low, standing.is_active), (seq(40), seq(40), true));
    // Checklist item 17: a request that others executed is not executed here.
    bench.take();
    bench.ask(&request(5)).unwrap();
    let answered = (5, request(5).digest(), Outcome::Executed(b"ok"[..].into()));
    assert_eq!(outcomes(&bench.sent_to(request(5).gateway)), [answered]);
    bench.order((view(0), seq(41)), &[request(6)]);
    assert_eq!(bench.replica.executed(), seq(41));
    // Checklist item 35: nothing is said of what was not executed here.
    let said = bench.facts.iter().any(|fact| matches!(fact, Fact::Checkpoint { .. }));
    assert!(!said);
}

/// Checklist item 35: a piece that does not lead to the root is dropped with its sender, and asked of another.
#[test]
fn a_wrong_piece_costs_its_sender_its_turn() {
    let (mut bench, far, asked) = begin_transfer();
    let (liar, part, index) = asked[0];
    let mut chunk = match give_chunk(&far, part, index) {
        Message::Chunk(chunk) => chunk,
        other => panic!("{other:?}"),
    };
    chunk.bytes = Octets::from(&b"lie"[..]);
    bench.take();
    let given = bench.give(liar, Message::Chunk(chunk));
    assert_eq!(given, Err(No::Rejected(Rejection::WrongPiece)));
    let again = questions(&bench);
    assert!(again.iter().any(|(peer, p, i)| (*p, *i) == (part, index) && *peer != liar), "{again:?}");
    assert!(!bench.effects.iter().any(|effect| matches!(effect, Effect::StorePiece { .. })));
    // Of whom it was not asked it is not taken at all.
    let (other, part, index) = asked[1];
    let stranger = (0..3).find(|peer| *peer != other && *peer != liar).unwrap();
    let given = give_piece(&mut bench, &far, (stranger, part, index));
    assert_eq!(given, Err(No::Rejected(Rejection::Unasked)));
}

fn give_chunk(far: &Far, part: Part, index: u32) -> Message {
    match part {
        Part::State => far.piece(index),
        Part::Clients => far.client(),
    }
}

/// Checklist item 35: f + 1 signatures are not enough for a stable checkpoint; a quorum's certificate is.
#[test]
fn a_target_needs_a_quorum() {
    let mut bench = Bench::new(3, 4);
    let mut weak = far(&bench).certificate;
    weak.certificate.votes = mesh_proto::pbft::Ballots::new(weak.certificate.votes[..2].to_vec()).unwrap();
    let given = bench.give(0, Message::Stable(Arc::new(weak)));
    let few = crate::Refusal::TooFewSignatures { found: 2, needed: 3 };
    assert_eq!(given, Err(No::Refused(few)));
    let mut other = far(&bench).certificate;
    other.summary.time.0 += 1;
    assert_eq!(bench.give(0, Message::Stable(Arc::new(other))), Err(No::Refused(crate::Refusal::Certificate)));
}

/// Checklist item 35: the switch is one fact: a crash at any step leaves the old state or the new one.
#[test]
fn a_crash_in_a_transfer_leaves_one_state_or_the_other() {
    let (mut bench, far, asked) = begin_transfer();
    for piece in asked {
        let again = bench.restart();
        assert_eq!(again.replica.executed(), seq(0));
        give_piece(&mut bench, &far, piece).unwrap();
    }
    assert_eq!(bench.restart().replica.executed(), seq(0), "before the fact");
    bench.input(Input::Installed { sequence: seq(40), state: far.certificate.summary.state }).unwrap();
    let again = bench.restart();
    assert_eq!((again.replica.executed(), again.replica.standing().low), (seq(40), seq(40)), "behind it");
    assert_eq!(again.replica.retell(), bench.replica.retell());
}

/// Checklist item 35: what the caller installed is compared with what is certified.
#[test]
fn a_state_that_was_not_installed_right_is_fetched_again() {
    let (mut bench, far, asked) = begin_transfer();
    for piece in asked {
        give_piece(&mut bench, &far, piece).unwrap();
    }
    bench.take();
    bench.input(Input::Installed { sequence: seq(40), state: Roots::EMPTY }).unwrap();
    assert_eq!(bench.replica.executed(), seq(0));
    assert_eq!(questions(&bench).len(), 3);
    assert!(!bench.effects.iter().any(|effect| matches!(effect, Effect::Persist(_))));
}

/// Checklist item 35: a state that cannot be had any more is not aimed at again while the others are further. One of them
/// could go on to give its pieces for ever.
#[test]
fn a_state_that_nobody_has_any_more_is_let_go_of() {
    let (mut bench, far, asked) = begin_transfer();
    for piece in asked {
        give_piece(&mut bench, &far, piece).unwrap();
    }
    let later = bench.certificate(&Summary { sequence: seq(48), ..far.certificate.summary.clone() });
    bench.give(0, Message::Stable(Arc::new(later))).unwrap();
    bench.take();
    bench.input(Input::Installed { sequence: seq(40), state: Roots::EMPTY }).unwrap();
    let aims = (0..4).flat_map(|peer| bench.sent_to(bench.node(peer))).filter_map(|message| match message {
        Message::Fetch(Fetch::State { sequence, .. }) => Some(*sequence),
        _ => None,
    });
    assert_eq!(aims.collect::<Vec<_>>(), [seq(48); 3]);
}

/// Checklist item 35: certificates above the target are kept.
#[test]
fn certificates_above_the_target_are_kept() {
    let (mut bench, far, asked) = begin_transfer();
    for piece in asked {
        give_piece(&mut bench, &far, piece).unwrap();
    }
    bench.input(Input::Installed { sequence: seq(40), state: far.certificate.summary.state }).unwrap();
    bench.take();
    bench.order((view(0), seq(42)), &[request(7)]);
    assert_eq!(bench.replica.executed(), seq(40));
    bench.order((view(0), seq(41)), &[request(6)]);
    assert_eq!(bench.replica.executed(), seq(42));
}

/// Checklist item 35: a snapshot that somebody fetches from outlives the next stable checkpoint, for a while.
#[test]
fn what_is_being_fetched_is_not_released() {
    let mut bench = Bench::new(1, 4);
    bench.order((view(0), seq(1)), &[request(1)]);
    bench.order_up_to(seq(8));
    bench.stabilize(seq(8));
    bench.take();
    let question = |part, index| Message::Fetch(Fetch::State { sequence: seq(8), part, index });
    bench.give(3, question(Part::State, 0)).unwrap();
    let reader = bench.node(3);
    assert!(bench.effects.contains(&Effect::ReadPiece { to: reader, sequence: seq(8), index: 0 }));
    bench.order_up_to(seq(16));
    bench.stabilize(seq(16));
    assert!(bench.effects.contains(&Effect::Release { below: seq(16), except: vec![seq(8)] }));
    bench.give(3, question(Part::Clients, 0)).unwrap();
    assert!(bench.sent_to(reader).iter().any(|message| matches!(message, Message::Chunk(_))));
    assert!(bench.give(3, question(Part::Clients, 1)).is_err(), "there is one client");
    bench.wait(Duration::from_secs(11));
    bench.order_up_to(seq(24));
    bench.stabilize(seq(24));
    assert!(bench.effects.contains(&Effect::Release { below: seq(24), except: vec![seq(16)] }), "the last one alone");
}

/// Checklist items 34 and 35: others show the NEW-VIEW that they are in, to whoever is behind; it is active there then, and
/// not left waiting.
#[test]
fn who_caught_up_is_active_in_the_view_of_the_others() {
    let mut bench = Bench::new(3, 4);
    let changes: Vec<_> = [0, 1, 2].map(|replica| bench.view_change(replica, view(2), Vec::new())).into();
    for change in &changes {
        bench.give(change.change.replica.index() as u8, Message::ViewChange(Arc::clone(change))).unwrap();
    }
    bench.give(2, Message::NewView(Arc::new(bench.new_view(&changes)))).unwrap();
    assert!(bench.is_active());
    bench.take();
    // Replica 1 was away: it is in view 0, and takes over the state meanwhile.
    let mut other = Bench::new(1, 4);
    let far = far(&other);
    other.take();
    other.give(0, Message::Stable(Arc::new(far.certificate.clone()))).unwrap();
    let away = bench.node(1);
    bench.give(1, Message::Status(status(&bench, 0, 0))).unwrap();
    let shown: Vec<Message> =
        bench.sent_to(away).into_iter().filter(|message| matches!(message, Message::NewView(_))).cloned().collect();
    assert_eq!(shown.len(), 1);
    for piece in questions(&other) {
        give_piece(&mut other, &far, piece).unwrap();
    }
    other.give(3, shown[0].clone()).unwrap();
    other.take();
    other.wait(Duration::from_millis(300));
    // It fetches the view changes of whoever has them, and is given them.
    let asked: Vec<(u8, Digest)> = [0, 2, 3]
        .into_iter()
        .flat_map(|peer| {
            let node = other.node(peer);
            let questions = other.sent_to(node).into_iter().filter_map(move |message| match message {
                Message::Fetch(Fetch::ViewChange { digest, .. }) => Some((peer, *digest)),
                _ => None,
            });
            questions.collect::<Vec<_>>()
        })
        .collect();
    assert!(changes.iter().all(|change| asked.iter().any(|(_, digest)| *digest == change.change.digest())));
    bench.take();
    for change in &changes {
        let question = Fetch::ViewChange { view: view(2), digest: change.change.digest() };
        bench.give(1, Message::Fetch(question)).unwrap();
    }
    let given: Vec<Message> = bench.sent_to(away).into_iter().cloned().collect();
    for message in given {
        other.give(3, message).unwrap();
    }
    other.input(Input::Installed { sequence: seq(40), state: far.certificate.summary.state }).unwrap();
    let standing = other.replica.standing();
    assert_eq!((standing.view, standing.is_active, standing.executed), (view(2), true, seq(40)));
}
