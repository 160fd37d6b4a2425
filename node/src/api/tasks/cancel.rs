use crate::api::{Api, Code, Problem, brain::BrainGone, extract::resolve_task};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use mesh_coordinator::{Answer, Command};
use mesh_proto::id::TaskId;
use std::collections::BTreeSet;

/// Asks for a task's end. The wish is with a holder when this answers; the end itself is `wait`ed for elsewhere.
#[utoipa::path(
    post, path = "/v1/tasks/{id}/cancel", tag = "tasks", params(("id" = String, Path, description = "Or a unique prefix")),
    responses((status = 202, description = "Asked for"), (status = 404, body = Problem))
)]
pub async fn cancel(State(api): State<Api>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    let task = resolve_task(&api, &id).await?;
    match cancel_all(&api, vec![task]).await?.is_empty() {
        true => Ok(StatusCode::ACCEPTED),
        false => Err(Problem::new(Code::NotFound, format!("no node in reach knows task {task}"))),
    }
}

/// The same as `cancel`: the record of a task stays until its retention ends.
#[utoipa::path(
    delete, path = "/v1/tasks/{id}", tag = "tasks", params(("id" = String, Path, description = "Or a unique prefix")),
    responses((status = 202, description = "Asked for"), (status = 404, body = Problem))
)]
pub async fn delete(state: State<Api>, id: Path<String>) -> Result<StatusCode, Problem> {
    cancel(state, id).await
}

/// Asks these to end; those that no node in reach knows are returned.
pub async fn cancel_all(api: &Api, tasks: Vec<TaskId>) -> Result<Vec<TaskId>, Problem> {
    let mut missing: BTreeSet<TaskId> = tasks.iter().copied().collect();
    let mut answers = api.ports.brain.ask(Command::Cancel { tasks }).await?;
    let mut heard = false;
    while let Some(batch) = answers.next().await {
        heard = true;
        if let Some(Answer::Refused { why, .. }) = batch.first() {
            return Err(why.into());
        }
        for answer in batch {
            if let Answer::CancelAsked { task } = answer {
                missing.remove(&task);
            }
        }
    }
    match heard {
        true => Ok(missing.into_iter().collect()),
        false => Err(BrainGone.into()),
    }
}
