use super::super::Api;
use crate::executor::worker::{HeldView, WorkerView};
use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// An attached program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WorkerRow {
    pub worker: String,
    pub name: String,
    pub kinds: Vec<String>,
    /// What the node has besides as long as it is there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    pub concurrency: u32,
    /// Since anything was heard of it; 0 while it asks for a task.
    pub silent_ms: u64,
    /// Requests of it that wait for a task.
    pub waiting: usize,
    pub tasks: Vec<WorkerTask>,
    /// Tasks that it took, and those that it brought a result of.
    pub taken: u64,
    pub results: u64,
}

/// A task that a worker has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WorkerTask {
    pub task: String,
    pub attempt: u32,
    pub since_ms: u64,
    /// Of 100, as it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<f64>,
    /// How far it is, in its words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// It is not to go on, and has not said that it stopped.
    pub cancelled: bool,
}

/// Lists the workers that are attached to this node.
#[utoipa::path(get, path = "/v1/workers", tag = "workers", responses((status = 200, body = Vec<WorkerRow>)))]
pub async fn list(State(api): State<Api>) -> Json<Vec<WorkerRow>> {
    let mut rows: Vec<WorkerRow> = api.ports.workers.list().into_iter().map(row).collect();
    rows.sort_by(|one, other| (&one.name, &one.worker).cmp(&(&other.name, &other.worker)));
    Json(rows)
}

fn row(worker: WorkerView) -> WorkerRow {
    let WorkerView { id, name, kinds, capabilities, concurrency, silent, waiting, tasks, taken, results } = worker;
    WorkerRow {
        worker: id.to_string(),
        name,
        kinds,
        capabilities,
        concurrency,
        silent_ms: millis(silent),
        waiting,
        tasks: tasks.into_iter().map(task).collect(),
        taken,
        results,
    }
}

fn task(held: HeldView) -> WorkerTask {
    let HeldView { task, attempt, since, progress, stopped } = held;
    WorkerTask {
        task: task.to_string(),
        attempt,
        since_ms: millis(since),
        percent: progress.done_ppm.map(|ppm| f64::from(ppm) / 10_000.0),
        text: progress.text,
        cancelled: stopped.is_some(),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
