use super::*;
use mesh_pbft::{Snapshot, Verifier};
use mesh_proto::{
    agreement::AllRan,
    codec,
    id::Digest,
    key::Signature,
    ledger::{self, Body, Command, CommandId, Fence, Query},
    pbft::{Answered, ReplicaId, Reply, Request, Sequence, View},
    time::Wall,
};

const NETWORK: NetworkId = NetworkId::from_bytes([9; 32]);
const NOW: Now = Now { mono: Mono(1), wall: Wall(1_800_000_000_000) };

/// A gateway, and a committee of four that the test plays.
struct Desk {
    gateway: Gateway,
    verifier: Verifier,
    epoch: Arc<EpochConfig>,
}

fn key(n: u8) -> SecretKey {
    SecretKey::from_bytes(&[n; 32])
}

fn command(key: u32) -> Operation {
    let id =
        CommandId { principal: "user".parse().unwrap(), key: key.to_le_bytes().to_vec().into(), born: Index::GENESIS };
    Operation::Command(Box::new(Command { id, body: Body::Tick }))
}

impl Desk {
    fn new() -> Self {
        let epoch = Arc::new(EpochConfig::genesis((1..=4).map(|n| key(n).node_id())).unwrap());
        let gateway = Gateway::new(ClientConfig::default(), NETWORK, Arc::new(key(100)), Arc::clone(&epoch));
        let verifier = Verifier::new(Arc::new(Snapshot::of_epoch(NETWORK, Arc::clone(&epoch))));
        Self { gateway, verifier, epoch }
    }

    /// By user 7.
    fn ask(&mut self, index: u32, operation: &Operation) {
        assert!(self.gateway.ask(Some((RequestId(7), index)), operation));
    }

    /// The requests that a flush sends.
    fn flush(&mut self) -> Vec<Arc<Request>> {
        let mut wishes = Vec::new();
        self.gateway.flush(NOW, &mut wishes);
        let requests = wishes.into_iter().map(|wish| match wish {
            Wish::Send(_, message) => match &*message {
                Message::Request(request) => Arc::clone(request),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        });
        requests.collect()
    }

    /// f + 1 members say this.
    fn answer(&mut self, answered: &Answered) -> Vec<Wish> {
        let mut wishes = Vec::new();
        for n in [1, 2] {
            let node = key(n).node_id();
            let replica: ReplicaId = self.epoch.replica_of(&node).unwrap();
            let reply = Reply {
                epoch: self.epoch.epoch,
                view: View::ZERO,
                gateway: key(100).node_id(),
                sequence: Sequence::new(3),
                outcomes: vec![answered.clone()],
                replica,
                signature: Signature::from_bytes([0; 64]),
            };
            let message = Message::Reply(Arc::new(reply.signed(&key(n), &NETWORK)));
            let verified = self.verifier.verify(node, message).unwrap();
            self.gateway.handle(NOW, verified, &mut wishes);
        }
        wishes
    }
}

fn executed(ran: Vec<Ran>) -> Outcome {
    Outcome::Executed(codec::encode(&AllRan(ran)).into())
}

/// Checklist item 16: the number was used by a life before this one, for another's command: its outcome is nobody's
/// here, and what was asked is asked again, in its order and before what came later, under a number of its own
/// (simulator, seed 50026).
#[test]
fn what_was_displaced_is_asked_again() {
    let mut desk = Desk::new();
    (0..2).for_each(|index| desk.ask(index, &command(index)));
    let sent = desk.flush();
    assert_eq!(sent.len(), 1);
    desk.ask(2, &command(2));
    let waiting_bytes = desk.gateway.queue.bytes();
    let (number, request) = (sent[0].number, Digest::from_bytes([3; 32]));
    let wishes = desk.answer(&Answered { number, request, outcome: executed(vec![Ran::Refused; 2]) });
    assert!(wishes.is_empty(), "{wishes:?}");
    assert_eq!(desk.gateway.under_way(), 3);
    assert!(desk.gateway.queue.bytes() > waiting_bytes);

    let again = desk.flush();
    assert_eq!((again.len(), desk.gateway.queue.bytes()), (1, 0));
    assert!(again[0].number > number);
    let operations: Vec<Vec<u8>> = again[0].operations.iter().map(<[u8]>::to_vec).collect();
    assert_eq!(operations, [0, 1, 2].map(|key| command(key).encode()));
    let (number, request) = (again[0].number, again[0].digest());
    let wishes = desk.answer(&Answered { number, request, outcome: executed(vec![Ran::Refused; 3]) });
    let answers = wishes.iter().map(|wish| match wish {
        Wish::Answer { request: RequestId(7), index, ran: Ran::Refused, .. } => *index,
        other => panic!("{other:?}"),
    });
    assert_eq!(answers.collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(desk.gateway.under_way(), 0);
}

/// Nobody waits for what a user asked who is gone.
#[test]
fn what_nobody_waits_for_is_not_asked_again() {
    let mut desk = Desk::new();
    desk.ask(0, &Operation::Query(Query::Committee));
    let sent = desk.flush();
    desk.gateway.leave(RequestId(7));
    let (number, request) = (sent[0].number, Digest::from_bytes([3; 32]));
    desk.answer(&Answered { number, request, outcome: Outcome::Forgotten });
    assert_eq!((desk.gateway.under_way(), desk.gateway.queue.bytes()), (0, 0));
}

/// Who asks again and again while nothing can be agreed on takes no more room than one that asks once.
#[test]
fn what_waits_for_who_is_gone_is_dropped_and_what_was_sent_goes_on() {
    let mut desk = Desk::new();
    desk.ask(0, &command(0));
    assert_eq!(desk.flush().len(), 1);
    assert!(desk.gateway.ask(Some((RequestId(8), 0)), &command(1)));
    let bytes = desk.gateway.queue.bytes();
    for key in 2..100 {
        desk.ask(1, &command(key));
        desk.gateway.leave(RequestId(7));
        assert_eq!((desk.gateway.under_way(), desk.gateway.queue.bytes()), (2, bytes));
    }
}

/// A command that is asked again while it waits or is under way is ordered once, and all who asked hear what came of it
/// (simulator, seed 82545). One under the same id that says something else is another.
#[test]
fn a_command_is_ordered_once_for_all_who_ask() {
    let mut desk = Desk::new();
    let Operation::Command(mut other) = command(1) else { unreachable!() };
    other.body = Body::Unlock { claim: "lock".parse().map(mesh_proto::ledger::Claim::Lock).unwrap(), fence: Fence(1) };
    desk.ask(0, &command(1));
    desk.ask(1, &command(1));
    desk.ask(2, &Operation::Command(other));
    let sent = desk.flush();
    assert_eq!((sent.len(), sent[0].operations.iter().count(), desk.gateway.queue.users()), (1, 2, 3));
    (3..1000).for_each(|index| desk.ask(index, &command(1)));
    assert_eq!((desk.gateway.under_way(), desk.gateway.queue.bytes()), (2, 0));

    let (number, request) = (sent[0].number, sent[0].digest());
    let first = Ran::Outcome(mesh_proto::ledger::Outcome::Done(mesh_proto::ledger::Done::Kept));
    let outcome = executed(vec![first.clone(), Ran::Refused]);
    let wishes = desk.answer(&Answered { number, request, outcome });
    let told: BTreeMap<u32, Ran> = wishes
        .into_iter()
        .map(|wish| match wish {
            Wish::Answer { request: RequestId(7), index, ran, .. } => (index, ran),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told.len(), 1000);
    assert!(told.iter().all(|(index, ran)| *ran == if *index == 2 { Ran::Refused } else { first.clone() }));
    assert!(desk.gateway.queue.is_idle());

    desk.ask(0, &command(1));
    assert_eq!(desk.flush().len(), 1, "what came of it is not remembered here");
}

/// One answer serves all who asked before the question left, and nobody who asked after: he may have seen a later state.
#[test]
fn a_question_is_ordered_once_for_all_who_asked_before_it_left() {
    let mut desk = Desk::new();
    let question = Operation::Query(Query::Committee);
    desk.ask(0, &question);
    desk.ask(1, &question);
    let sent = desk.flush();
    assert_eq!(sent.len(), 1);
    desk.ask(2, &question);
    let later = desk.flush();
    assert_eq!((later.len(), desk.gateway.under_way()), (1, 2));

    // The first comes to nothing: it is asked again with one that waits.
    desk.ask(3, &question);
    let (number, request) = (sent[0].number, sent[0].digest());
    assert!(desk.answer(&Answered { number, request, outcome: Outcome::Forgotten }).is_empty());
    let last = desk.flush();
    assert_eq!((last.len(), desk.gateway.under_way()), (1, 2));
    let mut told = Vec::new();
    for request in [&later[0], &last[0]] {
        let (number, digest) = (request.number, request.digest());
        let outcome = executed(vec![Ran::Refused]);
        for wish in desk.answer(&Answered { number, request: digest, outcome }) {
            let Wish::Answer { index, .. } = wish else { panic!("{wish:?}") };
            told.push(index);
        }
    }
    assert_eq!(told[0], 2);
    told.sort_unstable();
    assert_eq!(told, [0, 1, 2, 3]);
    assert!(desk.gateway.queue.is_idle());
}

/// A command that went into a second request may have run in the first, and have been forgotten since: that it is older than
/// what the ledger knows is no word that it did not run. One that was sent once did not.
#[test]
fn a_command_that_may_have_run_and_been_forgotten_is_not_told_as_new() {
    for is_repeated in [false, true] {
        let mut desk = Desk::new();
        desk.ask(0, &command(1));
        let mut sent = desk.flush();
        if is_repeated {
            let (number, request) = (sent[0].number, sent[0].digest());
            assert!(desk.answer(&Answered { number, request, outcome: Outcome::Forgotten }).is_empty());
            sent = desk.flush();
        }
        let stale = Ran::Outcome(ledger::Outcome::Rejected(ledger::Rejection::Stale { floor: ledger::Index(9) }));
        let (number, request) = (sent[0].number, sent[0].digest());
        let wishes = desk.answer(&Answered { number, request, outcome: executed(vec![stale.clone()]) });
        match wishes.as_slice() {
            [Wish::Refuse { index: 0, why: Refusal::Forgotten, .. }] => assert!(is_repeated),
            [Wish::Answer { index: 0, ran, .. }] => assert!(!is_repeated && *ran == stale),
            other => panic!("{other:?}"),
        }
        assert!(desk.gateway.queue.is_idle());
    }
}

/// Nobody asks for evidence again: it goes on until it has an outcome. Of ticks there is another.
#[test]
fn what_this_node_accuses_another_of_is_ordered_again() {
    let evidence = ledger::Evidence { accused: key(2).node_id(), proof: vec![1].into() };
    let id = CommandId { principal: "meshd".parse().unwrap(), key: vec![1].into(), born: Index::GENESIS };
    let accusation = Operation::Command(Box::new(Command { id, body: Body::Evidence(evidence) }));
    for (operation, again) in [(accusation, 1), (command(1), 0)] {
        let mut desk = Desk::new();
        assert!(desk.gateway.ask(None, &operation));
        let sent = desk.flush();
        let (number, request) = (sent[0].number, sent[0].digest());
        assert!(desk.answer(&Answered { number, request, outcome: Outcome::Forgotten }).is_empty());
        assert_eq!(desk.flush().len(), again, "{operation:?}");
    }
}

/// However often one command is asked again, who waits for it takes a bounded room.
#[test]
fn who_waits_is_bounded() {
    let mut desk = Desk::new();
    for index in 0..crate::agreement::queue::USERS as u32 {
        desk.ask(index, &command(1));
    }
    assert!(!desk.gateway.ask(Some((RequestId(8), 0)), &command(1)));
    desk.gateway.leave(RequestId(7));
    assert_eq!((desk.gateway.queue.users(), desk.gateway.under_way()), (0, 0));
    desk.ask(0, &command(1));
}

/// A request that the client refuses costs nobody what they asked, nor the order of it. None is refused by a client of the
/// gateway's own epoch.
#[test]
fn what_the_client_refuses_waits_on() {
    let mut desk = Desk::new();
    let narrow = Arc::new(EpochConfig { request_bytes: 8, ..EpochConfig::clone(&desk.epoch) });
    let first = RequestNumber::starting(NOW.wall);
    desk.gateway.client = Some(Client::new(ClientConfig::default(), NETWORK, Arc::new(key(100)), narrow, first));
    (0..3).for_each(|index| desk.ask(index, &command(index)));
    let bytes = desk.gateway.queue.bytes();
    assert!(desk.flush().is_empty());
    assert_eq!((desk.gateway.under_way(), desk.gateway.queue.bytes()), (3, bytes));

    desk.gateway.client = None;
    let sent = desk.flush();
    let operations: Vec<Vec<u8>> = sent[0].operations.iter().map(<[u8]>::to_vec).collect();
    assert_eq!(operations, [0, 1, 2].map(|key| command(key).encode()));
}

/// One request costs every member a signature to check, however little is in it.
#[test]
fn what_comes_while_a_request_is_under_way_waits_a_moment_for_more() {
    let mut desk = Desk::new();
    desk.ask(0, &command(0));
    let sent = desk.flush();
    assert_eq!(sent.len(), 1, "alone it waits for nobody");
    desk.ask(1, &command(1));
    assert!(desk.flush().is_empty());
    let held_until = NOW.mono + HOLD;
    assert_eq!(desk.gateway.deadline(), Some(held_until));
    let at = |mono| Now { mono, ..NOW };
    let mut wishes = Vec::new();
    desk.ask(2, &command(2));
    desk.gateway.flush(at(Mono(held_until.0 - 1)), &mut wishes);
    assert!(wishes.is_empty());
    desk.gateway.flush(at(held_until), &mut wishes);
    assert_eq!((wishes.len(), desk.gateway.held_until, desk.gateway.queue.len()), (1, None, 0));

    // A question is not held, nor what fills a request, nor anything once nothing is under way.
    desk.ask(3, &Operation::Query(Query::Committee));
    assert_eq!(desk.flush().len(), 1);
    (0..OPERATIONS as u32).for_each(|index| desk.ask(4 + index, &command(4 + index)));
    assert_eq!(desk.flush().len(), 1);
    desk.ask(0, &command(3));
    assert!(desk.flush().is_empty());
    desk.gateway.sent.clear();
    assert_eq!((desk.flush().len(), desk.gateway.held_until), (1, None));
}
