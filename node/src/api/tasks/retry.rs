use super::{
    decided::{decided, not_ended},
    show::view,
    submit::{Submitted, placed},
};
use crate::api::{Api, Code, Principal, Problem, extract::resolve_task, now, submission::Made};
use axum::{
    Extension, Json,
    extract::{Path, State},
    http::StatusCode,
};
use mesh_coordinator::Command;
use mesh_proto::{
    codec,
    id::TaskId,
    task::{Ending, FailureKind, How, Program, Spec, State as RecordState, Status, TaskKey},
};
use std::sync::Arc;

/// Runs what came to nothing once more, as a task of its own.
///
/// A task that has ended stays as it is. What it asked for is submitted again, without its deadline, under a key that is made
/// of its id: a repeat is the same task, and one that failed in its turn is retried by its own id.
#[utoipa::path(
    post, path = "/v1/tasks/{id}/retry", tag = "tasks", params(("id" = String, Path, description = "Or a unique prefix")),
    responses(
        (status = 201, description = "Taken", body = Submitted),
        (status = 200, description = "It had been retried before", body = Submitted),
        (status = 404, body = Problem),
        (status = 409, description = "It has not ended, is done, or never started for want of others", body = Problem),
        (status = 503, description = "Busy or too few nodes; see Retry-After", body = Problem),
    )
)]
pub async fn retry(
    State(api): State<Api>,
    Extension(Principal(principal)): Extension<Principal>,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<Submitted>), Problem> {
    let task = resolve_task(&api, &id).await?;
    let view = view(&api, task).await?;
    // By an end that does not hold, what was done would be done again.
    let register = match view.register.ending() {
        Some(_) => decided(&api, &view).await?.ok_or_else(|| not_ended(task))?,
        None => Arc::clone(&view.register),
    };
    match &register.state {
        RecordState::Ended(ending) if ending.how == How::Done => {
            return Err(Problem::new(Code::Conflict, format!("task {task} is done: there is nothing to retry")));
        }
        RecordState::Ended(ending) => {
            if let Some(why) = never_started(ending) {
                let detail =
                    format!("task {task} never started: {why}. Submit it anew, after what takes the place of that");
                return Err(Problem::new(Code::Conflict, detail));
            }
        }
        RecordState::Waiting | RecordState::Assigned(_) => {
            let detail = format!("task {task} has not ended: cancel it first, or wait");
            return Err(Problem::new(Code::Conflict, detail));
        }
    }
    let spec = Spec::decode(&view.spec).map_err(Problem::malformed)?;
    if let Program::Manifest { .. } = spec.program {
        return Err(Problem::new(Code::Conflict, format!("task {task} is the record of a job: retry its items")));
    }
    let mut spec = again(spec, &task, &principal);
    // Disks that had them then may be gone: it is acknowledged like any other, with its inputs on enough of them.
    for blob in spec.blobs_mut() {
        *blob = api.ports.blobs.assure(blob.clone()).await?;
    }
    let made = Made { task: spec.id(&api.network), spec: codec::encode(&spec).into() };
    let command = Command::Submit { specs: vec![made.spec.clone()], follow: false };
    let mut answers = api.ports.brain.ask(command).await?;
    let (submitted, _) = placed(&api, &made, &mut answers).await?;
    let status = if submitted.existing { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(submitted)))
}

/// Why it did not, where that would be so again: what it is to start after has ended for good.
fn never_started(ending: &Ending) -> Option<&str> {
    match ending.outcome.as_ref().map(|outcome| &outcome.status) {
        Some(Status::Failed(failure)) if failure.kind == FailureKind::Dependency => Some(&failure.message),
        _ => None,
    }
}

/// The same work, of whoever retries it. It is no item of its job any more, which has ended with what came of it.
fn again(spec: Spec, task: &TaskId, principal: &str) -> Spec {
    Spec {
        principal: principal.to_owned(),
        key: TaskKey::Own(format!("retry {task}").into_bytes()),
        born: now(),
        deadline: None,
        job: None,
        ..spec
    }
}
