//! `/v1/status` and `/v1/config`: this node.

use super::{Api, Code, Problem, brain::BrainGone, consensus::warnings, probes};
use axum::{Json, extract::State};
use mesh_coordinator::{Answer, Command, PartitionView, Refusal, StatusView};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};
use utoipa::ToSchema;

/// This node at work.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeStatus {
    pub node: String,
    pub network: String,
    pub store: String,
    pub version: String,
    pub ready: bool,
    /// Why it is not ready.
    pub reasons: Vec<String>,
    /// What is to be mended, though it is ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Known members that may hold tasks, and how many of them can be talked to, itself included.
    pub members: u32,
    pub reachable: u32,
    /// Fewer than half of the other members are in reach, and have been for a while.
    #[serde(default)]
    pub partitioned: bool,
    /// New work, and what needs agreement, is refused until that heals.
    #[serde(default)]
    pub read_only: bool,
    /// It gives what it has to the others, and takes nothing new.
    #[serde(default)]
    pub draining: bool,
    /// Records on this disk, and how many of them have not ended.
    pub held: u64,
    pub held_live: u64,
    /// Tasks that this node drives, waits for on behalf of users, queues and runs.
    pub driving: u64,
    pub following: u64,
    pub queued: u64,
    pub running: u64,
    pub slots: u32,
    /// How the processes of host commands are held together: `pid-namespace`, `subreaper` or `process-group`. Missing
    /// where commands are off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub containment: Option<String>,
    /// The version of Landlock by which they write in their own directory only. Missing where nothing fences them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub landlock: Option<u32>,
    /// Results kept until their drivers have settled them.
    pub outbox: u64,
    pub disk_has_room: bool,
    /// Since the start, by name.
    pub counters: BTreeMap<String, u64>,
}

/// How long the brain may take to say how it is, and the log not have turned. What it says rests on the disk; with one
/// that stalls, whoever asks is to hear that, and not nothing.
const PATIENCE: Duration = Duration::from_secs(2);

/// This node's own state, from itself alone. Where its disk stalls, the last that is known, with that as a reason.
#[utoipa::path(get, path = "/v1/status", tag = "node", responses((status = 200, body = NodeStatus)))]
pub async fn status(State(api): State<Api>) -> Result<Json<NodeStatus>, Problem> {
    let stalled = probes::stalls(&api, PATIENCE);
    // Each question would only wait with the others.
    let asked = match stalled.is_empty() {
        true => tokio::time::timeout(PATIENCE, ask(&api)).await.ok(),
        false => None,
    };
    if let Some(said) = asked {
        return Ok(Json(show(&api, said?, (api.ports.unready)())));
    }
    let Some(known) = (api.ports.last_status)() else { return Err(silent(&stalled)) };
    let mut reasons = stalled;
    reasons.push("the brain does not answer now: this is what it said last".to_string());
    reasons.extend((api.ports.unready)());
    Ok(Json(show(&api, known, reasons)))
}

async fn ask(api: &Api) -> Result<StatusView, Problem> {
    match api.ports.brain.ask(Command::Status).await?.one().await {
        Some(Answer::Status(view)) => Ok(*view),
        _ => Err(BrainGone.into()),
    }
}

fn silent(stalled: &[String]) -> Problem {
    let why = [stalled, &["the brain has said nothing yet".to_string()]].concat();
    Problem::new(Code::Unavailable, why.join("; ")).retry_after_ms(1_000)
}

/// The configuration in force, each value with its origin.
#[utoipa::path(get, path = "/v1/config", tag = "node", responses((status = 200, description = "As `config show --output json`")))]
pub async fn config(State(api): State<Api>) -> Json<serde_json::Value> {
    Json((*api.ports.config).clone())
}

/// What is new is refused before anything is done for it, such as copies of what it takes, if this node was read-only half a
/// second ago. The brain has the last word.
pub fn check_takes(api: &Api) -> Result<(), Problem> {
    match (api.ports.last_status)().and_then(|status| status.partition.read_only) {
        Some(side) => Err((&Refusal::ReadOnly { side, retry_ms: 1_000 }).into()),
        None => Ok(()),
    }
}

/// That this node is cut off, and what it does not do for that.
pub fn cut(view: &StatusView) -> Vec<String> {
    match view.partition {
        PartitionView { read_only: Some(side), .. } => vec![format!(
            "read-only: {side}; new work and what needs agreement is refused until it heals, reads and running tasks go on"
        )],
        PartitionView { partitioned: true, .. } => {
            vec![
                "partitioned: fewer than half of the other members are in reach; the committee is, so work goes on"
                    .into(),
            ]
        }
        PartitionView { .. } => Vec::new(),
    }
}

fn show(api: &Api, view: StatusView, reasons: Vec<String>) -> NodeStatus {
    let containment = (api.ports.containment)();
    NodeStatus {
        node: view.node.to_string(),
        network: api.network.to_string(),
        store: view.store.to_string(),
        version: env!("CARGO_PKG_VERSION").to_string(),
        ready: reasons.is_empty(),
        reasons,
        warnings: [cut(&view), view.agreement.as_ref().map(warnings).unwrap_or_default()].concat(),
        members: view.members,
        reachable: view.reachable,
        partitioned: view.partition.partitioned,
        read_only: view.partition.read_only.is_some(),
        draining: view.drain.is_some(),
        held: view.held,
        held_live: view.held_live,
        driving: view.driving,
        following: view.following,
        queued: view.queued,
        running: view.running,
        slots: view.slots,
        containment: containment.map(|held| held.level.to_string()),
        landlock: containment.and_then(|held| held.landlock),
        outbox: view.outbox,
        disk_has_room: view.disk_has_room,
        counters: view.counters.into_iter().collect(),
    }
}
