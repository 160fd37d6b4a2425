//! Four replicas in memory, and a gateway that asks them to count.

use mesh_pbft::*;
use mesh_proto::{
    id::{NetworkId, NodeId},
    key::SecretKey,
    pbft::{EpochConfig, Message, Operations, RequestNumber},
    task::Octets,
    time::{Mono, Now, Wall},
};
use std::{collections::VecDeque, error::Error, sync::Arc};

const NETWORK: NetworkId = NetworkId::from_bytes([7; 32]);

fn main() -> Result<(), Box<dyn Error>> {
    let now = Now { mono: Mono(1_000_000), wall: Wall(1_800_000_000_000) };
    let ids = [1, 2, 3, 4].map(|seed| SecretKey::from_bytes(&[seed; 32]).node_id());
    let epoch = Arc::new(EpochConfig::genesis(ids)?);
    let mut wire: VecDeque<(NodeId, NodeId, Arc<Message>)> = VecDeque::new();
    let (mut replicas, mut counts) = (Vec::new(), [0u64; 4]);
    for seed in [1, 2, 3, 4] {
        let key = SecretKey::from_bytes(&[seed; 32]);
        let setup = Setup { network: NETWORK, key, epoch: EpochConfig::clone(&epoch), lost: false };
        let mut replica = Replica::new(Config::default(), setup)?;
        replica.restarted(now, &mut Vec::new());
        let verifier = Verifier::new(Arc::clone(replica.snapshot()));
        replicas.push((replica, verifier));
    }
    let gateway = Arc::new(SecretKey::from_bytes(&[9; 32]));
    let (asker, first) = (gateway.node_id(), RequestNumber::starting(now.wall));
    let mut replies = Verifier::new(Arc::new(Snapshot::of_epoch(NETWORK, Arc::clone(&epoch))));
    let mut client = Client::new(ClientConfig::default(), NETWORK, gateway, epoch, first);
    let mut asked = Vec::new();
    for amount in [1u64, 10, 100] {
        let operations = Operations::pack([amount.to_le_bytes().as_slice()]).ok_or("too large")?;
        client.submit(now, operations, &mut asked)?;
    }
    loop {
        for effect in asked.drain(..) {
            match effect {
                ClientEffect::Send { message, .. } => wire.extend(ids.map(|to| (asker, to, message.clone()))),
                ClientEffect::Done { number, outcome, .. } => println!("{number}: {outcome:?}"),
                ClientEffect::Displaced { number } => println!("{number}: used before"),
            }
        }
        let Some((from, to, message)) = wire.pop_front() else { break };
        let Some(place) = ids.iter().position(|id| *id == to) else {
            match client.handle(replies.verify(from, Message::clone(&message))?, &mut asked) {
                Ok(()) | Err(_) => continue, // a reply beyond f + 1 comes to nothing
            }
        };
        let (replica, verifier) = &mut replicas[place];
        let mut inputs = VecDeque::from([Input::Message(verifier.verify(from, Message::clone(&message))?)]);
        while let Some(input) = inputs.pop_front() {
            let mut effects = Vec::new();
            drop(replica.handle(now, input, &mut effects)); // votes beyond a quorum come to nothing
            for effect in effects {
                match effect {
                    Effect::Send { to: Recipient::Node(one), message } => wire.push_back((to, one, message)),
                    Effect::Send { to: Recipient::Members, message } => {
                        wire.extend(ids.iter().filter(|id| **id != to).map(|id| (to, *id, message.clone())));
                    }
                    Effect::Execute(Execution { sequence, requests, .. }) => {
                        let outcomes = requests.iter().map(|body| {
                            let amounts = body.request.operations.iter().filter_map(|bytes| bytes.try_into().ok());
                            counts[place] += amounts.map(u64::from_le_bytes).sum::<u64>();
                            Octets::from(counts[place].to_string().into_bytes())
                        });
                        inputs.push_back(Input::Executed { sequence, outcomes: outcomes.collect(), change: None });
                    }
                    _ => {} // a caller with a disk makes each fact durable before it sends what comes behind it
                }
            }
        }
    }
    println!("counted {counts:?}");
    Ok(())
}
