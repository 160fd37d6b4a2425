use super::lookup::{self, PAGE};
use crate::api::{Api, Problem, submission::show_date, tasks::list::page, view::show_key};
use axum::{
    Json,
    extract::{Path, State},
};
use mesh_coordinator::ListFilter;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;

/// A job and how far it has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobInfo {
    pub job: String,
    pub key: String,
    pub name: String,
    pub placed: String,
    pub count: u64,
    /// Items by state; those that no node in reach knows are `unknown`: not submitted, forgotten, or known to `silent` only.
    pub states: BTreeMap<String, u64>,
    /// Items by the node that runs or ran them, where it is known.
    pub nodes: BTreeMap<String, u64>,
    /// Items that had an attempt more than one.
    pub rerun: u64,
    /// Nodes that did not answer in time, or are out of reach: what they alone know is not in here.
    #[serde(default)]
    pub silent: Vec<String>,
}

/// Shows a job: its items by state and by node.
#[utoipa::path(
    get, path = "/v1/jobs/{id}", tag = "jobs", params(("id" = String, Path, description = "Or a unique prefix")),
    responses((status = 200, body = JobInfo), (status = 404, body = Problem))
)]
pub async fn show(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<JobInfo>, Problem> {
    let job = lookup::find(&api, &id).await?;
    let mut info = JobInfo {
        job: job.id.to_string(),
        key: show_key(job.key()),
        name: job.name.clone(),
        placed: show_date(job.placed),
        count: job.count,
        ..JobInfo::default()
    };
    let mut known = 0;
    let mut silent = BTreeSet::new();
    let mut after = None;
    loop {
        let list = page(&api, ListFilter { job: Some(job.id), after, limit: PAGE, ..ListFilter::default() }).await?;
        // The job's own record is behind its last item.
        for row in list.rows.iter().filter(|row| row.count.is_none()) {
            known += 1;
            *info.states.entry(row.state.clone()).or_default() += 1;
            info.rerun += u64::from(row.attempts > 1);
            if let Some(node) = row.executor {
                *info.nodes.entry(node.to_string()).or_default() += 1;
            }
        }
        silent.extend(list.silent.iter().map(ToString::to_string));
        after = list.next;
        if after.is_none() {
            break;
        }
    }
    info.silent = silent.into_iter().collect();
    if known < job.count {
        info.states.insert("unknown".to_string(), job.count - known);
    }
    Ok(Json(info))
}
