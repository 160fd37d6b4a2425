use super::{
    batch::{self, Item, Stream},
    lookup::{self, Found},
    output::{self, Gone, Line, Output},
    submit::report,
};
use crate::api::{Api, Problem, extract::Params, view::show_key};
use axum::{
    extract::{Path, State},
    response::Response,
};
use serde::Deserialize;
use std::{
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;
use utoipa::IntoParams;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The first item wanted. Default 0.
    from: Option<u64>,
    /// The first item not wanted any more. Default: all.
    to: Option<u64>,
}

/// Streams the results of a job as they come and have come, in no order, until all items have ended. From any node.
#[utoipa::path(
    get, path = "/v1/jobs/{id}/results", tag = "jobs", params(Part, ("id" = String, Path, description = "Or a unique prefix")),
    responses((status = 200, body = Line, content_type = "application/x-ndjson"), (status = 404, body = Problem))
)]
pub async fn results(
    State(api): State<Api>,
    Path(id): Path<String>,
    Params(part): Params<Part>,
) -> Result<Response, Problem> {
    let job = lookup::find(&api, &id).await?;
    let to = part.to.unwrap_or(job.count).min(job.count);
    let wanted = part.from.unwrap_or(0).min(to)..to;
    let (output, response) = output::channel();
    let stream =
        Stream { api, tally: Arc::default(), follow: true, placed: false, submission: None, several: Arc::default() };
    tokio::spawn(async move {
        stream.api.meters.streams.inc();
        let ended = carry(&stream, &job, wanted, output).await;
        stream.api.meters.streams.dec();
        if ended == Err(Gone) {
            tracing::debug!(job = %job.id, "the reader of a job's results has gone");
        }
    });
    Ok(response)
}

async fn carry(stream: &Stream, job: &Found, wanted: Range<u64>, mut output: Output) -> Result<(), Gone> {
    let name = job.name.clone();
    output.line(&Line::Job { job: job.id.to_string(), key: show_key(job.key()), name }).await?;
    output.flush().await?;
    tokio::select! {
        () = follow(stream, job, wanted, &output) => {}
        gone = report(&stream.tally, output.clone()) => return Err(gone),
    }
    output.line(&Line::End(stream.tally.progress())).await?;
    output.flush().await
}

async fn follow(stream: &Stream, job: &Found, wanted: Range<u64>, output: &Output) {
    let limits = &stream.api.limits;
    let window = Arc::new(Semaphore::new(limits.window as usize));
    let mut next = wanted.start;
    while next < wanted.end {
        let end = next.saturating_add(limits.batch as u64).min(wanted.end);
        let places = u32::try_from(end - next).unwrap_or(u32::MAX);
        let Ok(permits) = window.clone().acquire_many_owned(places).await else { return };
        let until = Instant::now() + limits.patience;
        let items = (next..end).map(|index| Item::followed(index, job.item(&stream.api, index), until)).collect();
        batch::start(stream.clone(), items, permits, output.clone(), Duration::ZERO);
        next = end;
    }
    // All permits are back once all has ended.
    let rest = window.acquire_many(limits.window).await;
    drop(rest);
}
