//! What a stranger gets: nothing.

use super::harness::{Network, TCP, within};
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::{
    Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder, gossipsub, identify,
    identity::Keypair,
    kad, noise, ping,
    swarm::{NetworkBehaviour, SwarmEvent},
    tcp, yamux,
};
use meshd::network::{Class, SendError};
use std::time::{Duration, Instant};

/// What anybody can run, with the very names that members use.
#[derive(NetworkBehaviour)]
pub struct Plain {
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    kademlia: kad::Behaviour<kad::store::MemoryStore>,
    gossip: gossipsub::Behaviour,
    pub stream: libp2p_stream::Behaviour,
}

pub fn stranger(network: &Network) -> Swarm<Plain> {
    let id = network.genesis.network_id();
    let behaviour = |key: &Keypair| {
        let peer = key.public().to_peer_id();
        let name = StreamProtocol::try_from_owned(format!("/mesh/kad/1/{id}")).unwrap();
        let store = kad::store::MemoryStore::new(peer);
        let mut kademlia = kad::Behaviour::with_config(peer, store, kad::Config::new(name));
        kademlia.set_mode(Some(kad::Mode::Server));
        let signed = gossipsub::MessageAuthenticity::Signed(key.clone());
        let mut gossip: gossipsub::Behaviour = gossipsub::Behaviour::new(signed, gossipsub::Config::default()).unwrap();
        gossip.subscribe(&gossipsub::IdentTopic::new(format!("/mesh/{id}/members"))).unwrap();
        Plain {
            identify: identify::Behaviour::new(identify::Config::new("/mesh/1".into(), key.public())),
            ping: ping::Behaviour::new(ping::Config::new().with_interval(Duration::from_millis(200))),
            kademlia,
            gossip,
            stream: libp2p_stream::Behaviour::new(),
        }
    };
    SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .unwrap()
        .with_behaviour(behaviour)
        .unwrap()
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(60)))
        .build()
}

pub async fn connect(swarm: &mut Swarm<Plain>, address: Multiaddr) -> PeerId {
    swarm.dial(address).unwrap();
    loop {
        if let SwarmEvent::ConnectionEstablished { peer_id, .. } = swarm.select_next_some().await {
            return peer_id;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_gets_nothing_and_is_gone_in_five_seconds() {
    let network = Network::new("closed");
    let mut member = network.member().listen(TCP).start().await;
    let mut other = network.member().bootstrap(&member.address()).start().await;
    other.up().await;
    member.up().await;

    let mut swarm = stranger(&network);
    let peer = connect(&mut swarm, member.address()).await;
    let start = Instant::now();
    swarm.behaviour_mut().kademlia.add_address(&peer, member.addresses[0].clone());
    let queries = [
        swarm.behaviour_mut().kademlia.get_closest_peers(PeerId::random()),
        swarm.behaviour_mut().kademlia.get_providers(kad::RecordKey::new(b"anything")),
    ];
    // Straight for the framed substreams, blobs and an invented name.
    let mut control = swarm.behaviour().stream.new_control();
    let knocking = tokio::spawn(async move {
        let names = ["/mesh/task/1", "/mesh/control/1", "/mesh/consensus/1", "/mesh/bulk/1", "/mesh/blob/1", "/x/1"];
        for name in names {
            let opened = control.open_stream(peer, StreamProtocol::new(name)).await;
            assert!(
                matches!(opened, Err(libp2p_stream::OpenStreamError::UnsupportedProtocol(_))),
                "{name} was opened to a stranger: {opened:?}"
            );
        }
    });
    let closed = async {
        loop {
            match swarm.select_next_some().await {
                SwarmEvent::ConnectionClosed { .. } => return,
                SwarmEvent::Behaviour(PlainEvent::Identify(identify::Event::Received { info, .. })) => {
                    panic!("a stranger learned {info:?}");
                }
                SwarmEvent::Behaviour(PlainEvent::Ping(ping::Event { result: Ok(_), .. })) => {
                    panic!("a stranger was answered a ping");
                }
                SwarmEvent::Behaviour(PlainEvent::Gossip(
                    event @ (gossipsub::Event::Message { .. } | gossipsub::Event::Subscribed { .. }),
                )) => panic!("a stranger heard {event:?}"),
                SwarmEvent::Behaviour(PlainEvent::Kademlia(kad::Event::OutboundQueryProgressed {
                    id, result, ..
                })) if queries.contains(&id) => match result {
                    kad::QueryResult::GetClosestPeers(Ok(found)) => assert!(found.peers.is_empty(), "{found:?}"),
                    kad::QueryResult::GetProviders(Ok(kad::GetProvidersOk::FoundProviders { providers, .. })) => {
                        panic!("{providers:?}")
                    }
                    _ => {}
                },
                _ => {}
            }
        }
    };
    within(Duration::from_secs(20), closed).await;
    let after = start.elapsed();
    assert!(after >= Duration::from_secs(3), "closed after {after:?}");
    knocking.await.unwrap();

    // The members did not notice, and know nobody new.
    assert_eq!(member.handle.peers().len(), 1);
    assert_eq!(member.metric(r#"mesh_network_refused_total{reason="stranger"}"#), 1);
    assert_eq!(member.metric(r#"mesh_network_admissions_total{result="no_verdict"}"#), 1);
    let stranger_id = meshd_id(swarm.local_peer_id());
    assert_eq!(member.handle.send(stranger_id, Class::Control, bytes::Bytes::new()), Err(SendError::NotConnected));
    assert!(member.handle.open_stream(stranger_id, "/mesh/blob/1").await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_stranger_says_at_the_door_the_answer_is_the_same() {
    let network = Network::new("door");
    let member = network.member().listen(TCP).start().await;
    let huge = u32::MAX.to_be_bytes().to_vec();
    let mut proof_of_another = 4_u32.to_be_bytes().to_vec();
    proof_of_another.extend([0xa1, 0x61, 0x6b, 0x40]);
    for (said, answered) in [
        (b"\x00\x00\x00\x00".to_vec(), true),
        (b"\x00\x00\x00\x05hello".to_vec(), true),
        (proof_of_another, true),
        // Too long to be read: no answer at all.
        (huge, false),
    ] {
        let mut swarm = stranger(&network);
        let peer = connect(&mut swarm, member.address()).await;
        let mut control = swarm.behaviour().stream.new_control();
        let driving = tokio::spawn(async move {
            loop {
                swarm.select_next_some().await;
            }
        });
        let mut stream = control.open_stream(peer, StreamProtocol::new("/mesh/admit/1")).await.unwrap();
        stream.write_all(&said).await.unwrap();
        stream.flush().await.unwrap();
        let mut answer = Vec::new();
        let mut read = [0; 64];
        while let Ok(count @ 1..) = within(Duration::from_secs(20), stream.read(&mut read)).await {
            answer.extend_from_slice(&read[..count]);
        }
        let silent: &[u8] = if answered { b"\x00\x00\x00\x05\xa1\x61r\x61s" } else { b"" };
        assert_eq!(answer, silent, "to {said:?}");
        driving.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_cannot_crowd_members_out() {
    let network = Network::new("crowd");
    let mut member = network.member().configure(|config| config.max_unadmitted = 3).listen(TCP).start().await;
    let mut strangers = Vec::new();
    for _ in 0..6 {
        let mut swarm = stranger(&network);
        swarm.dial(member.address()).unwrap();
        strangers.push(tokio::spawn(async move {
            let mut refused = false;
            let wait = async {
                loop {
                    match swarm.select_next_some().await {
                        SwarmEvent::ConnectionClosed { .. } | SwarmEvent::OutgoingConnectionError { .. } => return,
                        _ => {}
                    }
                }
            };
            refused |= tokio::time::timeout(Duration::from_secs(3), wait).await.is_ok();
            refused
        }));
    }
    let mut refused = 0;
    for stranger in strangers {
        refused += usize::from(stranger.await.unwrap());
    }
    assert_eq!(refused, 3);
    // When they are gone, a member comes in.
    let mut other = network.member().bootstrap(&member.address()).start().await;
    other.up().await;
    member.up().await;
}

fn meshd_id(peer: &PeerId) -> mesh_proto::id::NodeId {
    mesh_proto::id::NodeId::from_peer_id(peer).unwrap()
}
