use crate::api::{Api, Problem, extract::Params, submission::show_date, tasks::list::page};
use axum::{Json, extract::State};
use mesh_coordinator::{ListFilter, TaskList, TaskSummary};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Paging {
    /// From the `next` of the page before.
    cursor: Option<String>,
    /// Default 100, at most 1,000.
    limit: Option<u32>,
}

/// A line of the list of jobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobRow {
    pub job: String,
    pub name: String,
    pub count: u64,
    pub placed: String,
    /// The task that is the job's record.
    pub record: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobPage {
    pub jobs: Vec<JobRow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Nodes that did not answer in time, or are out of reach: what they alone know is not in here.
    #[serde(default)]
    pub silent: Vec<String>,
}

/// Lists the jobs whose records nodes in reach hold.
#[utoipa::path(get, path = "/v1/jobs", tag = "jobs", params(Paging), responses((status = 200, body = JobPage)))]
pub async fn list(State(api): State<Api>, Params(paging): Params<Paging>) -> Result<Json<JobPage>, Problem> {
    let limit = paging.limit.unwrap_or(100).clamp(1, 1_000);
    let after = paging.cursor.map(|cursor| cursor.parse()).transpose().map_err(Problem::malformed)?;
    let TaskList { rows, next, silent } =
        page(&api, ListFilter { jobs_only: true, after, limit, ..ListFilter::default() }).await?;
    Ok(Json(JobPage {
        jobs: rows.iter().filter_map(row).collect(),
        next: next.map(|task| task.to_string()),
        silent: silent.iter().map(ToString::to_string).collect(),
    }))
}

/// What people call it: a record shows it as `job NAME (COUNT tasks)`.
fn name(program: &str, count: u64) -> &str {
    let inner = program.strip_prefix("job ").and_then(|rest| rest.strip_suffix(&format!(" ({count} tasks)")));
    inner.unwrap_or(program)
}

fn row(summary: &TaskSummary) -> Option<JobRow> {
    let (job, _) = summary.job?;
    let count = summary.count.unwrap_or_default();
    Some(JobRow {
        job: job.to_string(),
        name: name(&summary.program, count).to_owned(),
        count,
        placed: show_date(summary.placed),
        record: summary.task.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_listed_under_its_name() {
        assert_eq!(name("job gzip -9 (3 tasks)", 3), "gzip -9");
        assert_eq!(name("job  (0 tasks)", 0), "");
        assert_eq!(name("something else", 3), "something else");
    }
}
