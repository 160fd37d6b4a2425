use super::show::view;
use crate::api::{
    Api, Code, Problem,
    extract::resolve_task,
    result::state_name,
    view::{StoryInfo, TaskInfo},
};
use axum::{
    Json,
    extract::{Path, State},
};
use futures::future::join_all;
use mesh_coordinator::TaskView;
use mesh_proto::{
    capability::Requirement,
    id::TaskId,
    outlook::Candidate,
    task::{Ending, How, Spec, State as RecordState, Status, Strategy},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why a task is where it is.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ExplainInfo {
    pub task: String,
    pub state: String,
    /// In one sentence.
    pub why: String,
    pub strategy: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require: Option<String>,
    /// What it is to start after and has not ended, the first eight: what becomes of each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub awaits: Vec<AwaitedInfo>,
    /// When the next attempt is granted, in milliseconds, if the last one came to nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again_ms: Option<u64>,
    /// Members that run tasks, as its driver sees them now, the best first. None once it has ended, and where its driver is
    /// out of reach.
    pub candidates: Vec<CandidateInfo>,
    /// And so many more of them.
    pub more: u32,
    /// What was decided about who runs it, in order.
    pub decisions: Vec<StoryInfo>,
    /// Nodes that were asked and did not answer.
    pub silent: Vec<String>,
}

/// A task that another one is to start after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AwaitedInfo {
    pub task: String,
    /// For people: where it runs, or why it does not.
    pub why: String,
}

/// A member that may be granted the task, or why not. Shares are of 1.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CandidateInfo {
    pub node: String,
    /// By the weights of auctions, were all its memory free: how much is, is said in a bid alone.
    pub score: f64,
    /// How far it has what is only preferred.
    pub capability: f64,
    /// Of its slots, the share that is free.
    pub idle: f64,
    /// What came of the attempts that it was granted before.
    pub performance: f64,
    pub slots: u32,
    /// What it runs, has queued and was granted.
    pub busy: u32,
    /// What speaks against it.
    pub against: Vec<String>,
}

/// Explains why a task waits, or why it ran where it ran.
#[utoipa::path(
    get, path = "/v1/tasks/{id}/explain", tag = "tasks", params(("id" = String, Path, description = "Or a unique prefix")),
    responses((status = 200, body = ExplainInfo), (status = 404, body = Problem))
)]
pub async fn explain(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<ExplainInfo>, Problem> {
    let task = resolve_task(&api, &id).await?;
    let found = view(&api, task).await?;
    let awaits = join_all(found.awaits.iter().take(AWAITED).map(|task| awaited(&api, *task))).await;
    Ok(Json(of(&found, awaits)))
}

/// Of the tasks that one is to start after, as many are looked at.
const AWAITED: usize = 8;

async fn awaited(api: &Api, task: TaskId) -> AwaitedInfo {
    let why = match view(api, task).await {
        Ok(found) => becomes(&found),
        Err(problem) if problem.code == Code::NotFound => "no node in reach knows it; it may be still to come".into(),
        Err(problem) => problem.detail,
    };
    AwaitedInfo { task: task.to_string(), why }
}

fn becomes(view: &TaskView) -> String {
    match &view.register.state {
        RecordState::Ended(ending) => format!("it has ended as {}", state_name(ending.how)),
        RecordState::Assigned(attempt) if view.running => format!("it is running on {}", attempt.executor),
        RecordState::Assigned(attempt) => format!("it is granted to {}", attempt.executor),
        RecordState::Waiting => match (&view.lack, view.awaits.len()) {
            (Some(lack), _) => format!("it waits: {lack}"),
            (None, 0) => "it waits".into(),
            (None, 1) => "it is to start after another itself".into(),
            (None, more) => format!("it is to start after {more} others itself"),
        },
    }
}

fn of(view: &TaskView, awaits: Vec<AwaitedInfo>) -> ExplainInfo {
    let info = TaskInfo::from(view);
    let outlook = view.outlook.clone().unwrap_or_default();
    let decides = |line: &&StoryInfo| {
        let what = &line.what;
        ["auctioned", "waits", "is to start", "all that it is to start"].iter().any(|begin| what.starts_with(begin))
            || what.starts_with("attempt ")
                && ["granted", "queued", "handed over", "failed"].iter().any(|word| what.contains(word))
    };
    ExplainInfo {
        why: why(view, &awaits, outlook.again_ms),
        decisions: info.story.iter().filter(decides).cloned().collect(),
        candidates: outlook.candidates.iter().map(CandidateInfo::from).collect(),
        more: outlook.more,
        awaits,
        again_ms: outlook.again_ms,
        task: info.task,
        state: info.state,
        strategy: info.spec.strategy,
        require: info.spec.require,
        silent: info.silent,
    }
}

fn why(view: &TaskView, awaits: &[AwaitedInfo], again_ms: Option<u64>) -> String {
    let last_failure = view.register.failed.last();
    match &view.register.state {
        RecordState::Ended(ending) => ended(ending, view),
        _ if view.lack.is_some() => view.lack.as_ref().map_or_else(String::new, ToString::to_string),
        RecordState::Assigned(attempt) => match (again_ms, last_failure) {
            (Some(ms), _) => {
                let last = format!("attempt {} on {} came to nothing", attempt.number, attempt.executor);
                format!("{last}; the next is granted in {ms} ms")
            }
            _ if view.outlook.is_none() => {
                format!("its driver, {}, is out of reach: another holder takes over", view.ballot.driver)
            }
            _ if !view.in_force => format!("attempt {} for {} is being written down", attempt.number, attempt.executor),
            _ if view.running => {
                format!("{} has attempt {}: it runs there or waits for a slot", attempt.executor, attempt.number)
            }
            _ => format!(
                "attempt {} is granted to {}, which has not said that it has it",
                attempt.number, attempt.executor
            ),
        },
        RecordState::Waiting if view.outlook.is_none() => {
            format!("its driver, {}, is out of reach: another holder takes over", view.ballot.driver)
        }
        RecordState::Waiting if !awaits.is_empty() => {
            let named: Vec<String> = awaits.iter().map(|one| format!("task {} ({})", one.task, one.why)).collect();
            let more = match view.awaits.len().saturating_sub(named.len()) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("it is to start after {}{more}", named.join(", "))
        }
        RecordState::Waiting => "it is about to be granted".into(),
    }
}

fn ended(ending: &Ending, view: &TaskView) -> String {
    let Ending { how, by, outcome, .. } = ending;
    let by = match by {
        Some((attempt, node)) => format!(", attempt {attempt} on {node}, {}", chosen(view, *attempt)),
        None => String::new(),
    };
    let why = match (how, outcome.as_ref().map(|outcome| &outcome.status)) {
        (How::Failed, Some(Status::Exit(code))) => format!(": exit code {code}"),
        (How::Failed, Some(Status::Signal(signal))) => format!(": killed by signal {signal}"),
        (How::Failed | How::Cancelled, Some(Status::Failed(failure))) => format!(": {}", failure.message),
        _ => String::new(),
    };
    format!("it has ended as {}{by}{why}", state_name(*how))
}

/// How its executor came to be.
fn chosen(view: &TaskView, attempt: u32) -> String {
    if let Some(before) = view.register.failed.iter().rfind(|failed| failed.attempt.number < attempt) {
        return format!("behind attempt {} on {}: {}", before.attempt.number, before.attempt.executor, before.why);
    }
    let strategy = Spec::decode(&view.spec).map(|spec| spec.strategy).unwrap_or_default();
    let text = match strategy {
        Strategy::Auto => "the first by placement of those that were able, with a free slot if one had any",
        Strategy::Dht => "the first by placement of those that were able",
        Strategy::Auction => "by auction, or by placement if nobody bid",
        Strategy::Local => "where it was given, or by placement if that node was not able",
    };
    text.to_owned()
}

impl From<&Candidate> for CandidateInfo {
    fn from(candidate: &Candidate) -> Self {
        let mut against: Vec<String> = Vec::new();
        if !candidate.lacked.is_empty() {
            let lacked: Vec<String> = candidate.lacked.iter().map(Requirement::to_string).collect();
            against.push(format!("lacks {}", lacked.join(", ")));
        }
        if !candidate.reached {
            against.push("out of reach".into());
        }
        if candidate.tried > 0 {
            against.push(format!("its attempt {} came to nothing", candidate.tried));
        }
        if candidate.busy >= candidate.slots {
            against.push("no free slot".into());
        }
        let idle = candidate.slots.saturating_sub(candidate.busy);
        Self {
            node: candidate.node.to_string(),
            score: share(candidate.worth_ppm),
            capability: share(candidate.capability_ppm),
            idle: if candidate.slots == 0 { 0.0 } else { f64::from(idle) / f64::from(candidate.slots) },
            performance: share(candidate.performance_ppm),
            slots: candidate.slots,
            busy: candidate.busy,
            against,
        }
    }
}

fn share(ppm: u32) -> f64 {
    f64::from(ppm) / 1e6
}
