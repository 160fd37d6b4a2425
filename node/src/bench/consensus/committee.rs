//! The committee of the testnet: grown as `meshd committee add` does it, and asked how it stands.

use std::time::{Duration, Instant};

use mesh_proto::genesis::Engine;
use serde::Serialize;

use super::operations::NAMESPACE;
use crate::api::committee::AutoInfo;
use crate::api::committee::change::{ChangeRequest, Changed};
use crate::api::consensus::{ConsensusStatus, ReplicaStatus};
use crate::api::memory::list::MemoryPage;
use crate::client::{Ask, ClientError};
use crate::testnet::{Testnet, TestnetError};

/// How long replicas have to come to the same checkpoint.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long one change of the committee may take: many nodes on few cores need more than one checkpoint's time-outs.
const GROWTH: Duration = Duration::from_secs(300);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// Where a replica stands at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    pub node: usize,
    pub view: u64,
    pub executed: u64,
    /// The last checkpoint, and the digest of the state there. Under Raft there is none, and the digest is of all that the
    /// load wrote, as this replica has it.
    pub checkpoint: Option<u64>,
    pub digest: Option<String>,
    /// Why it has stopped for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub halted: Option<String>,
}

/// Takes nodes in until the first `members` are the committee, and no others come in by themselves.
pub async fn grow(net: &Testnet, members: usize) -> Result<(), TestnetError> {
    change(net, &ChangeRequest::Auto(AutoInfo { on: false, max: u8::try_from(members).unwrap_or(u8::MAX) })).await?;
    for node in &net.nodes()[1..members] {
        change(net, &ChangeRequest::Add(node.node.clone())).await?;
    }
    Ok(())
}

/// Through the network's maker, whose word is enough. Asked for again where it takes long: what is so already is no error.
async fn change(net: &Testnet, request: &ChangeRequest) -> Result<(), TestnetError> {
    let ask = Ask::post("/v1/committee?wait=60000ms").json(request);
    let clients = net.gateways(&[0])?;
    let until = Instant::now() + GROWTH;
    loop {
        let why = match clients.client().ask::<Changed>(&ask).await {
            Ok(changed) if changed.state == "done" => return Ok(()),
            Ok(changed) => format!("{request:?} is {}", changed.state),
            Err(error) if error.is_worth_a_retry() => error.to_string(),
            Err(error) => return Err(error.into()),
        };
        if Instant::now() > until {
            let why = format!("{why}; is the machine too slow for so many nodes? Try fewer --replicas");
            return Err(TestnetError::TimedOut { node: 0, seconds: GROWTH.as_secs(), why, log: net.log_tail(0) });
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The primary, as the first replica that runs and is not it says; waited for, as under Raft there may be none for a
/// moment.
pub async fn primary(net: &Testnet) -> Result<usize, TestnetError> {
    let until = Instant::now() + PATIENCE;
    loop {
        match named(net).await {
            Err(TestnetError::NotRunning { .. }) if Instant::now() < until => tokio::time::sleep(LOOK).await,
            said => return said,
        }
    }
}

async fn named(net: &Testnet) -> Result<usize, TestnetError> {
    let mut said = None;
    for node in net.running() {
        let replica = replica(net, node).await?;
        let number = net.number_of(&replica.primary);
        if number.is_some_and(|number| number != node) {
            return number.ok_or(TestnetError::NotRunning { node });
        }
        said = said.or(number);
    }
    said.ok_or(TestnetError::NotRunning { node: 0 })
}

/// Waits until all replicas that run hold the same checkpoint, at `least` or later; under Raft, until all have executed
/// the same batch. Where they stand in the end, whether they do or not: under Raft without digests if not.
pub async fn agree(net: &Testnet, engine: Engine, least: u64) -> Result<Vec<Standing>, TestnetError> {
    let until = Instant::now() + PATIENCE;
    let place = |standing: &Standing| match engine {
        Engine::Pbft => standing.checkpoint,
        Engine::Raft => Some(standing.executed),
    };
    loop {
        let mut all = Vec::new();
        for node in net.running() {
            all.push(Standing::of(node, replica(net, node).await?));
        }
        let is_there = all.iter().all(|standing| place(standing) >= Some(least));
        let is_one = is_there && all.windows(2).all(|pair| place(&pair[0]) == place(&pair[1]));
        if is_one && engine == Engine::Raft {
            for standing in &mut all {
                standing.digest = Some(digest(net, standing.node).await?);
            }
        }
        if is_one || Instant::now() > until {
            return Ok(all);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Of all that the load wrote, as the replica of this node has it: Raft certifies no state.
async fn digest(net: &Testnet, node: usize) -> Result<String, TestnetError> {
    let clients = net.gateways(&[node])?;
    let (mut hasher, mut after) = (blake3::Hasher::new(), String::new());
    loop {
        let ask = Ask::get(format!("/v1/memory/{NAMESPACE}?limit=1000&stale=true{after}"));
        let page: MemoryPage = clients.client().ask(&ask).await?;
        for row in &page.items {
            let value = row.value.as_deref().or(row.value_b64.as_deref()).unwrap_or_default();
            hasher.update(format!("{} {} {value}\n", row.key, row.version).as_bytes());
        }
        match page.next {
            Some(next) => after = format!("&after={next}"),
            None => return Ok(hasher.finalize().to_hex().to_string()),
        }
    }
}

/// Whether all say the same of the state.
pub fn is_one_state(standings: &[Standing]) -> bool {
    let first = standings.first().and_then(|standing| standing.digest.as_ref());
    let is_first = |standing: &Standing| standing.digest.as_ref() == first && standing.halted.is_none();
    first.is_some()
        && standings.iter().all(is_first)
        && standings.windows(2).all(|pair| pair[0].checkpoint == pair[1].checkpoint)
}

async fn replica(net: &Testnet, node: usize) -> Result<ReplicaStatus, TestnetError> {
    let status: ConsensusStatus = net.gateways(&[node])?.client().ask(&Ask::get("/v1/consensus")).await?;
    let none = || ClientError::Answer(format!("node {node} has no replica"));
    Ok(status.replica.ok_or_else(none)?)
}

impl Standing {
    fn of(node: usize, replica: ReplicaStatus) -> Self {
        let ReplicaStatus { view, executed, checkpoint, digest, halted, .. } = replica;
        Self { node, view, executed, checkpoint, digest, halted }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_state_is_one_digest_at_one_checkpoint() {
        let standing = |node, checkpoint, digest: &str| Standing {
            node,
            view: 0,
            executed: 9,
            checkpoint: Some(checkpoint),
            digest: Some(digest.to_owned()),
            halted: None,
        };
        assert!(is_one_state(&[standing(0, 8, "a"), standing(1, 8, "a")]));
        assert!(!is_one_state(&[standing(0, 8, "a"), standing(1, 8, "b")]));
        assert!(!is_one_state(&[standing(0, 8, "a"), standing(1, 4, "a")]));
        assert!(!is_one_state(&[Standing { halted: Some("why".to_owned()), ..standing(0, 8, "a") }]));
        assert!(!is_one_state(&[Standing { digest: None, ..standing(0, 8, "a") }]));
        assert!(!is_one_state(&[]));
    }
}
