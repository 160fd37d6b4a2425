use crate::api::{
    Api, Code, Principal, Problem,
    after::check_known,
    brain::{Answers, BrainGone},
    count::counted,
    extract::{JsonBody, Params, parse_wait},
    node, now,
    result::TaskResult,
    submission::{Made, Maker, TaskRequest},
};
use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use mesh_coordinator::{Answer, Command};
use mesh_proto::{
    id::TaskId,
    task::{Octets, Register, TaskKey},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

/// The header that makes a repeat of a submission the same task.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// How long to wait for the end, such as `30s`. Default: not at all.
    wait: Option<String>,
}

/// A task that the mesh has taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Submitted {
    pub task: String,
    /// Disks that it is on.
    pub copies: u32,
    /// Fewer than wanted.
    pub degraded: bool,
    /// It had been submitted before, under the same key.
    pub existing: bool,
    /// If it ended while the request waited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<TaskResult>,
}

/// Submits one task.
///
/// Acknowledged once it is on the disks of all its holders. A repeat under the same `Idempotency-Key`, through any
/// node, is the same task.
#[utoipa::path(
    post, path = "/v1/tasks", tag = "tasks", params(Wait, ("Idempotency-Key" = Option<String>, Header)),
    request_body = TaskRequest,
    responses(
        (status = 201, description = "Taken; with `wait`, ended", body = Submitted),
        (status = 200, description = "It had been taken before", body = Submitted),
        (status = 202, description = "Taken, and not ended within `wait`", body = Submitted),
        (status = 400, description = "Not a task", body = Problem),
        (status = 404, description = "It is to start after a task that no node in reach knows", body = Problem),
        (status = 409, description = "The same key was used for another task", body = Problem),
        (status = 410, description = "The key is older than what the mesh remembers", body = Problem),
        (status = 503, description = "Busy or too few nodes; see Retry-After", body = Problem),
    )
)]
pub async fn submit(
    State(api): State<Api>,
    Extension(Principal(principal)): Extension<Principal>,
    Params(params): Params<Wait>,
    headers: HeaderMap,
    JsonBody(request): JsonBody<TaskRequest>,
) -> Result<Response, Problem> {
    let wait = parse_wait(&api, params.wait.as_deref())?;
    let key = key(&headers)?;
    node::check_takes(&api)?;
    let (mut program, terms, mut item) = request.into_parts();
    program.assure(&*api.ports.blobs).await?;
    let maker = Maker::new(api.network, &principal, program.try_into()?, &terms, &key, now())?;
    item.assure(&*api.ports.blobs).await?;
    item.resolve(&api).await?;
    let made = maker.make(TaskKey::Own(key), 0, &item)?;
    check_known(&api, made.after()?).await?;
    let command = Command::Submit { specs: vec![made.spec.clone()], follow: wait.is_some() };
    let mut answers = api.ports.brain.ask(command).await?;
    let (mut submitted, early) = placed(&api, &made, &mut answers).await?;
    let mut waited_out = false;
    if let Some(wait) = wait {
        submitted.result = match early {
            Some(result) => Some(result),
            None => ended(&api, &mut answers, Some(&made.spec), wait).await?,
        };
        waited_out = submitted.result.is_none();
    }
    let status = match (waited_out, submitted.existing) {
        (true, _) => StatusCode::ACCEPTED,
        (false, true) => StatusCode::OK,
        (false, false) => StatusCode::CREATED,
    };
    let location = HeaderValue::try_from(format!("/v1/tasks/{}", submitted.task)).map_err(Problem::malformed)?;
    Ok((status, [(header::LOCATION, location)], Json(submitted)).into_response())
}

/// The user's key, or one drawn here: then only this very request is protected, a repeat is another task.
fn key(headers: &HeaderMap) -> Result<Vec<u8>, Problem> {
    match headers.get(&IDEMPOTENCY_KEY).map(HeaderValue::as_bytes) {
        None => Ok(rand::random::<[u8; 16]>().to_vec()),
        Some(key) if (1..=128).contains(&key.len()) => Ok(key.to_vec()),
        Some(key) => {
            Err(Problem::malformed(format_args!("an idempotency key has 1 to 128 bytes, this one {}", key.len())))
        }
    }
}

/// Waits for the word on one task. If it had ended before, its result may come in the same batch.
pub(super) async fn placed(
    api: &Api,
    made: &Made,
    answers: &mut Answers,
) -> Result<(Submitted, Option<TaskResult>), Problem> {
    let mut result = None;
    let mut submitted = None;
    while submitted.is_none() {
        for answer in answers.next().await.ok_or(BrainGone)? {
            match answer {
                Answer::Placed { task, copies, degraded, existing, .. } => {
                    let task = task.to_string();
                    submitted = Some(Submitted { task, copies, degraded, existing, result: None });
                }
                Answer::Refused { why, .. } => return Err((&why).into()),
                Answer::Ended { task, register } if task == made.task => {
                    result = result_of(api, &task, Some(&made.spec), &register).await
                }
                _ => {}
            }
        }
    }
    submitted.map(|submitted| (submitted, result)).ok_or_else(|| BrainGone.into())
}

/// How it ended; with the executors counted here, where there are several.
pub(super) async fn result_of(
    api: &Api,
    task: &TaskId,
    given: Option<&Octets>,
    register: &Register,
) -> Option<TaskResult> {
    let result = TaskResult::new(task, register)?;
    Some(TaskResult { count: counted(api, task, given, register).await, ..result })
}

/// Waits for the end of the one task that is followed; `None` if it takes longer.
pub(super) async fn ended(
    api: &Api,
    answers: &mut Answers,
    given: Option<&Octets>,
    wait: Duration,
) -> Result<Option<TaskResult>, Problem> {
    let next = async {
        while let Some(batch) = answers.next().await {
            for answer in batch {
                match answer {
                    Answer::Ended { task, register } => return Ok(result_of(api, &task, given, &register).await),
                    Answer::Refused { why, .. } => return Err((&why).into()),
                    Answer::Missing { task } => {
                        return Err(Problem::new(Code::NotFound, format!("no node in reach knows task {task}")));
                    }
                    _ => {}
                }
            }
        }
        Err(BrainGone.into())
    };
    tokio::select! {
        found = next => found,
        () = tokio::time::sleep(wait) => Ok(None),
        () = api.closing.cancelled() => Ok(None),
    }
}
