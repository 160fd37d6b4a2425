//! What was executed before a replica was there for it: it took over the state from the others, and with that what they
//! remember of each client. Asked again, it must say what they say, and order nothing.

use crate::{
    node::{NETWORK, key},
    scenarios::primary_of,
    world::{START_MS, World},
};
use mesh_pbft::{Effect, Fact, Input, Recipient};
use mesh_proto::{
    key::Signature,
    pbft::{Message, Operations, Outcome, ReplicaId, Reply, Request, RequestNumber, Sequence, View},
    time::Wall,
};
use std::sync::Arc;

/// One more than the client table has room for: the first makes room for the last.
const GATEWAYS: u8 = 5;

/// Requests of the gateways in turn, the first one's only once; as they were sent, with what each was told.
fn ask(world: &mut World) -> Vec<(Arc<Request>, Sequence)> {
    let mut asked = Vec::new();
    for round in 0..100 {
        let gateway = if round == 0 { 0 } else { 1 + round % (usize::from(GATEWAYS) - 1) };
        assert!(world.submit(gateway, None));
        let (number, operation) = world.gateways[gateway].pending.last_key_value().unwrap();
        let operations = Operations::pack([operation.as_slice()]).unwrap();
        let life = RequestNumber::starting(Wall(START_MS));
        let key = key(200 + gateway as u8);
        let (request, _) = Request::sign_with_digest(&key, &NETWORK, (life, *number), operations);
        asked.push((operation.clone(), Arc::new(request)));
        world.run(12);
    }
    assert!(world.run_until(5_000, |world| world.waiting() == 0), "{}", world.report());
    asked.into_iter().map(|(operation, request)| (request, world.checker.acknowledged[&operation])).collect()
}

/// The checkpoint whose state it took over last.
fn installed(world: &World, node: usize) -> Sequence {
    let installed = world.nodes[node].disk.facts.iter().rev().find_map(|fact| match fact {
        Fact::Installed { certificate, .. } => Some(certificate.summary.sequence),
        _ => None,
    });
    installed.expect("the state of a checkpoint came from others")
}

/// What one replica does when it is given a request: it answers the gateway, and does nothing else.
fn reply(world: &mut World, node: usize, request: &Arc<Request>) -> Reply {
    let (now, another) = (world.clock(node), world.nodes[(node + 1) % world.nodes.len()].id);
    let one = &mut world.nodes[node];
    let replica = one.replica.as_mut().unwrap();
    one.verifier.update(Arc::clone(replica.snapshot()));
    let mut give = |from| {
        let verified = one.verifier.verify(from, Message::Request(Arc::clone(request))).unwrap();
        let mut effects = Vec::new();
        replica.handle(now, Input::Message(verified), &mut effects).unwrap();
        effects
    };
    let effects = give(request.gateway);
    let reply = match &effects[..] {
        [Effect::Send { to, message }] if *to == Recipient::Node(request.gateway) => match &**message {
            Message::Reply(reply) => Reply::clone(reply),
            other => panic!("node {node}: {other:?}"),
        },
        other => panic!("node {node}: {other:?}"),
    };
    // Nor when another member relays it.
    assert_eq!(give(another), [], "node {node}");
    reply
}

/// All that are up say the same of each request, and it is what its gateway was told. How many there were of each kind.
fn all_say_the_same(world: &mut World, asked: &[(Arc<Request>, Sequence)]) -> [usize; 2] {
    let up: Vec<usize> = (0..world.nodes.len()).filter(|node| world.is_up(*node)).collect();
    let executed: Vec<Sequence> = up.iter().map(|node| world.executed(*node)).collect();
    let mut kinds = [0; 2];
    for (request, sequence) in asked {
        let said = up.iter().map(|node| {
            let reply = reply(world, *node, request);
            assert_eq!(reply.replica, world.nodes[*node].replica.as_ref().unwrap().standing().id.unwrap());
            // Whose word it is must differ, and nothing else.
            Reply { replica: ReplicaId::new(0), signature: Signature::from_bytes([0; 64]), ..reply }
        });
        let said: Vec<Reply> = said.collect();
        assert!(said.iter().all(|one| *one == said[0]), "{said:#?}");
        let [answered] = &said[0].outcomes[..] else { panic!("{said:#?}") };
        assert_eq!((answered.number, answered.request), (request.number, request.digest()));
        match &answered.outcome {
            Outcome::Executed(_) => {
                assert_eq!(said[0].sequence, *sequence);
                kinds[0] += 1;
            }
            Outcome::TooOld(_) => kinds[1] += 1,
            other => panic!("{other:?}"),
        }
    }
    let operations: Vec<usize> = up.iter().map(|node| world.nodes[*node].app.operations.len()).collect();
    world.run(1_000);
    for (place, node) in up.into_iter().enumerate() {
        let standing = world.nodes[node].replica.as_ref().unwrap().standing();
        assert_eq!((standing.executed, standing.waiting), (executed[place], 0), "node {node} ordered it again");
        assert_eq!(world.nodes[node].app.operations.len(), operations[place], "node {node} executed it again");
    }
    kinds
}

/// Checklist items 16, 17 and 35: whoever took over the state answers as those do that executed the requests: with the
/// outcomes that are kept, and that a number is too old, be it of a gateway that went on or of one that made room. Also
/// after a restart, and as the primary, which would be the one to order them again.
#[test]
fn who_took_over_the_state_answers_what_was_executed_before_and_orders_nothing() {
    let mut world = World::new(12, 4, GATEWAYS);
    let (first, away) = (primary_of(&world, View::ZERO), primary_of(&world, View::new(1)));
    world.crash(away);
    let asked = ask(&mut world);
    world.begin(away);
    assert!(world.run_until(5_000, World::is_settled), "{}", world.report());
    world.run(1_000);
    let transfer = installed(&world, away);
    assert!(transfer >= Sequence::new(24), "it missed several checkpoints: {transfer}");
    let before: Vec<_> = asked.into_iter().filter(|(_, sequence)| *sequence <= transfer).collect();
    let [kept, too_old] = all_say_the_same(&mut world, &before);
    let is_of_the_first = |(request, _): &(Arc<Request>, Sequence)| request.gateway == world.gateways[0].id;
    assert!(kept > 8 && too_old > 8 && before.iter().any(is_of_the_first), "{kept} {too_old}");

    world.crash(away);
    world.begin(away);
    assert!(world.run_until(5_000, World::is_settled), "{}", world.report());
    world.run(1_000);
    assert_eq!(all_say_the_same(&mut world, &before), [kept, too_old]);

    world.crash(first);
    assert!(world.submit(1, None), "the first primary is left for it");
    assert!(world.run_until(10_000, |world| world.waiting() == 0), "{}", world.report());
    world.run(1_000);
    let standing = world.nodes[away].replica.as_ref().unwrap().standing();
    assert_eq!((standing.view, standing.is_active, standing.primary), (View::new(1), true, world.nodes[away].id));
    let [kept_then, too_old_then] = all_say_the_same(&mut world, &before);
    assert_eq!(kept_then + too_old_then, kept + too_old);
    assert!(kept_then + 1 >= kept, "the new request makes one of its gateway too old, at most: {kept_then} of {kept}");
}
