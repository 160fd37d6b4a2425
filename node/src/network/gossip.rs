//! gossipsub as a closed network uses it: signed by the author, judged by us before it goes on, topics that name the
//! network.

use super::config::Config;
use libp2p::{
    gossipsub::{
        Behaviour, ConfigBuilder, IdentTopic, Message, MessageAuthenticity, MessageId, MetricsConfig, PeerScoreParams,
        PeerScoreThresholds, TopicHash, TopicScoreParams, ValidationMode,
    },
    identity::Keypair,
    metrics::Registry,
};
use mesh_proto::id::{NetworkId, NodeId};
use std::{collections::HashMap, time::Duration};

/// Neighbours in the mesh of a topic: with 4 (3 to 5) a message arrives 2.6 to 2.9 times, with the default of 6 up to
/// 6.4 times, and everywhere in both cases.
const NEIGHBOURS: usize = 4;
/// A forward that waited longer in a peer's queue is dropped without a word. The default is 1 s, which a busy machine
/// exceeds.
const FORWARD_WAIT: Duration = Duration::from_secs(10);
/// Messages in a peer's queue. The default of 5,000 times the largest message would be 300 MiB a peer.
const QUEUE: usize = 512;

/// The answer to a gossip message, owed for each. Without it the message goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Good: pass it on.
    Accept,
    /// Not wrong, not useful: forget it.
    Ignore,
    /// Provably wrong, as no honest member would have passed it on: forget it, and count it against who sent it. After
    /// three in a few seconds that neighbour's gossip is no longer heard for a while.
    Reject,
}

/// Names a gossip message that waits for its [`Verdict`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GossipId {
    pub(super) message: MessageId,
    pub(super) via: NodeId,
}

/// The settings of gossipsub were refused, or its scoring: a bug, shown at start.
#[derive(Debug, thiserror::Error)]
#[error("gossip: {0}")]
pub struct GossipError(String);

pub fn build(
    keypair: &Keypair,
    network: &NetworkId,
    config: &Config,
    registry: &mut Registry,
) -> Result<Behaviour, GossipError> {
    let gossip = ConfigBuilder::default()
        .validation_mode(ValidationMode::Strict)
        .validate_messages()
        .mesh_n(NEIGHBOURS)
        .mesh_n_low(NEIGHBOURS - 1)
        .mesh_n_high(NEIGHBOURS + 1)
        .mesh_outbound_min(1)
        .flood_publish(false)
        .forward_queue_duration(FORWARD_WAIT)
        .publish_queue_duration(FORWARD_WAIT)
        .connection_handler_queue_len(QUEUE)
        .max_transmit_size(config.gossip_max_bytes)
        .message_id_fn(content_id)
        .build()
        .map_err(|error| GossipError(error.to_string()))?;
    let mut behaviour = Behaviour::new(MessageAuthenticity::Signed(keypair.clone()), gossip)
        .map_err(|error| GossipError(error.to_owned()))?
        .with_metrics(registry.sub_registry_with_prefix("libp2p_gossipsub"), MetricsConfig::default());
    let topics: Vec<_> = config.topics.iter().map(|name| topic(network, name)).collect();
    behaviour.with_peer_score(scoring(&topics), PeerScoreThresholds::default()).map_err(GossipError)?;
    for topic in &topics {
        behaviour.subscribe(topic).map_err(|error| GossipError(error.to_string()))?;
    }
    Ok(behaviour)
}

/// Named by its content: what several nodes found out and tell is told once.
fn content_id(message: &Message) -> MessageId {
    let mut hasher = blake3::Hasher::new();
    hasher.update(message.topic.as_str().as_bytes()).update(&[0]).update(&message.data);
    MessageId::new(&hasher.finalize().as_bytes()[..20])
}

/// The topic of this network by that name.
pub fn topic(network: &NetworkId, name: &str) -> IdentTopic {
    IdentTopic::new(format!("/mesh/{network}/{name}"))
}

/// The name of a topic of this network.
pub fn name<'a>(network: &NetworkId, topic: &'a TopicHash) -> Option<&'a str> {
    let rest = topic.as_str().strip_prefix("/mesh/")?;
    rest.strip_prefix(&network.to_string())?.strip_prefix('/')
}

/// Members are known by their credentials, so many on one address are no attack; and a quiet topic is no fault of its
/// neighbours. What counts is what is wrong: bad messages and broken promises.
fn scoring(topics: &[IdentTopic]) -> PeerScoreParams {
    let topic_score = TopicScoreParams {
        time_in_mesh_quantum: Duration::from_secs(1),
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: -20.0,
        invalid_message_deliveries_decay: 0.9,
        ..TopicScoreParams::default()
    };
    PeerScoreParams {
        topics: topics.iter().map(|topic| (topic.hash(), topic_score.clone())).collect::<HashMap<_, _>>(),
        ip_colocation_factor_weight: 0.0,
        // A node that restarts grafts again before its old pause is over, some times: no fault either.
        behaviour_penalty_threshold: 6.0,
        ..PeerScoreParams::default()
    }
}
