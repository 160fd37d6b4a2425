use meshd::{
    api::consensus::{ConsensusStatus, ReplicaStatus},
    client::{Ask, Client},
};
use std::time::Duration;

/// What one who is up says of itself at once.
const ANSWER: Duration = Duration::from_millis(1_500);

/// How the replica of a node stands; none where it does not say so soon.
pub async fn replica(client: &Client) -> Option<ReplicaStatus> {
    let status = Ask::get("/v1/consensus");
    let answer = tokio::time::timeout(ANSWER, client.ask::<ConsensusStatus>(&status)).await;
    answer.ok()?.ok()?.replica
}

/// Those of all nodes that say so.
pub async fn replicas(clients: &[Client]) -> Vec<(usize, ReplicaStatus)> {
    let mut all = Vec::new();
    for (node, client) in clients.iter().enumerate() {
        all.extend(replica(client).await.map(|replica| (node, replica)));
    }
    all
}

/// The peer id of the primary, and the view, by whoever is in the highest one.
pub async fn primary(clients: &[Client]) -> Option<(String, u64)> {
    let all = replicas(clients).await;
    all.into_iter()
        .map(|(_, replica)| replica)
        .max_by_key(|replica| (replica.view, replica.active))
        .map(|replica| (replica.primary, replica.view))
}
