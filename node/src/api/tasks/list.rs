use crate::api::{
    Api, Problem,
    brain::BrainGone,
    extract::{Params, resolve_node},
    jobs::lookup,
    view::TaskRow,
};
use axum::{Json, extract::State};
use mesh_coordinator::{Answer, Command, ListFilter, TaskList};
use mesh_proto::id::JobId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// States that a list can be asked for.
pub const STATES: [&str; 7] = ["waiting", "running", "done", "failed", "cancelled", "deadline_passed", "dead"];

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// `waiting running done failed cancelled deadline_passed`; or `dead`: failed, as no node could run them. Default: all.
    state: Option<String>,
    /// Only items of this job: its id, or a unique prefix.
    job: Option<String>,
    /// Only tasks whose present executor is this node: its peer id, or a unique end of it of at least 8 characters.
    node: Option<String>,
    /// From the `next` of the page before.
    cursor: Option<String>,
    /// Default 100, at most 1,000.
    limit: Option<u32>,
}

/// A page of tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Page {
    pub tasks: Vec<TaskRow>,
    /// Give it as `cursor` for what follows; none on the last page. A page may be shorter than its limit and have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Nodes that did not answer in time, or are out of reach: what they alone know is not in here.
    #[serde(default)]
    pub silent: Vec<String>,
}

/// Lists the tasks that nodes in reach hold, in the order of their ids.
#[utoipa::path(
    get, path = "/v1/tasks", tag = "tasks", params(Filter),
    responses((status = 200, body = Page), (status = 400, body = Problem))
)]
pub async fn list(State(api): State<Api>, Params(filter): Params<Filter>) -> Result<Json<Page>, Problem> {
    if let Some(state) = &filter.state
        && !STATES.contains(&state.as_str())
    {
        return Err(Problem::malformed(format_args!("a state is one of {}", STATES.join(" "))));
    }
    let limit = filter.limit.unwrap_or(100).clamp(1, 1_000);
    let job = match &filter.job {
        Some(job) => Some(resolve_job(&api, job).await?),
        None => None,
    };
    let executor = match &filter.node {
        Some(node) => Some(resolve_node(&api, node).await?),
        None => None,
    };
    let wanted = ListFilter {
        job,
        jobs_only: false,
        state: filter.state,
        executor,
        after: filter.cursor.map(|cursor| cursor.parse()).transpose().map_err(Problem::malformed)?,
        limit,
    };
    let TaskList { rows, next, silent } = page(&api, wanted).await?;
    Ok(Json(Page {
        tasks: rows.iter().map(TaskRow::from).collect(),
        next: next.map(|task| task.to_string()),
        silent: silent.iter().map(ToString::to_string).collect(),
    }))
}

/// A job of which nothing may be on record yet, or the only one whose id begins so.
async fn resolve_job(api: &Api, text: &str) -> Result<JobId, Problem> {
    match text.parse() {
        Ok(job) => Ok(job),
        Err(_) => Ok(lookup::find(api, text).await?.id),
    }
}

/// One page as the brain gives it.
pub async fn page(api: &Api, filter: ListFilter) -> Result<TaskList, Problem> {
    match api.ports.brain.ask(Command::List { filter }).await?.one().await {
        Some(Answer::Tasks(list)) => Ok(list),
        Some(Answer::Refused { why, .. }) => Err((&why).into()),
        _ => Err(BrainGone.into()),
    }
}
