//! `meshd job list|show|attach|cancel|result`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Failure;
use super::exit::{DETACHED, FAILED};
use super::map::delivery::Delivery;
use super::map::follow::{Ended, Following};
use super::output::Output;
use super::settings::Global;
use super::task::short;
use crate::api::jobs::cancel::JobCancelled;
use crate::api::jobs::list::{JobPage, JobRow};
use crate::api::jobs::show::JobInfo;
use crate::client::{Ask, Client, JobLines};

#[derive(Debug, Subcommand)]
pub(super) enum Job {
    /// List the jobs that nodes in reach hold.
    List,
    /// Show a job: its items by state and by node.
    Show(One),
    /// Follow a job to its end.
    Attach(One),
    /// Ask for the end of all items of a job.
    Cancel(One),
    /// Bring the results of a job, waiting for those that have not ended.
    Result(ResultOf),
}

#[derive(Debug, Args)]
pub(super) struct One {
    /// The job: its id, or the first 8 digits or more.
    job: String,
}

#[derive(Debug, Args)]
pub(super) struct ResultOf {
    /// The job: its id, or the first 8 digits or more.
    job: String,
    /// Lay results into DIR/NUMBER/{stdout,stderr,exit_code,files}. Default: print standard output in order.
    #[arg(long, value_name = "DIR")]
    out_dir: Option<PathBuf>,
}

impl Job {
    pub(super) async fn run(&self, global: &Global, output: Output) -> Result<(), Failure> {
        let client = global.client()?;
        match self {
            Self::List => list(&client, output).await,
            Self::Show(One { job }) => Ok(output.put(&info(&client, job).await?, show)?),
            Self::Attach(One { job }) => follow(&client, job, Delivery::new(None, false, output, Vec::new())).await,
            Self::Cancel(One { job }) => {
                let cancelled: JobCancelled = client.ask(&Ask::post(format!("/v1/jobs/{job}/cancel"))).await?;
                Ok(output.put(&cancelled, |cancelled| {
                    format!("asked for the end of {} of {} items", cancelled.asked, cancelled.count)
                })?)
            }
            Self::Result(ResultOf { job, out_dir }) => {
                follow(&client, job, Delivery::new(out_dir.clone(), true, output, Vec::new())).await
            }
        }
    }
}

async fn info(client: &Client, job: &str) -> Result<JobInfo, Failure> {
    Ok(client.ask(&Ask::get(format!("/v1/jobs/{job}"))).await?)
}

async fn list(client: &Client, output: Output) -> Result<(), Failure> {
    let mut rows: Vec<JobRow> = Vec::new();
    let mut route = "/v1/jobs?limit=1000".to_string();
    loop {
        let page: JobPage = client.ask(&Ask::get(route)).await?;
        rows.extend(page.jobs);
        let Some(next) = page.next else { break };
        route = format!("/v1/jobs?limit=1000&cursor={next}");
    }
    Ok(output.rows(["job", "items", "name", "placed"], &rows, |row| {
        [short(&row.job), row.count.to_string(), row.name.clone(), row.placed.clone()]
    })?)
}

/// Follows a job to its end, through broken connections.
async fn follow(client: &Client, job: &str, delivery: Delivery) -> Result<(), Failure> {
    let info = info(client, job).await?;
    let mut following = Following::new(info.count, delivery, false);
    while !following.open.is_empty() {
        let from = following.open.first().copied().unwrap_or_default();
        let attempt = async {
            let response = client.send(&Ask::get(format!("/v1/jobs/{}/results?from={from}", info.job))).await?;
            following.read(client, JobLines::new(response)).await
        };
        let outcome = tokio::select! {
            outcome = attempt => outcome,
            signal = tokio::signal::ctrl_c() => {
                signal?;
                following.bar.clear();
                eprintln!("detached; the job goes on. To attach again: meshd job attach {job}");
                return Err(Failure::Ended(DETACHED));
            }
        };
        match outcome {
            Ok(Ended::Whole) if following.later.is_none() => break,
            Ok(_) => {}
            Err(Failure::Client(error)) if error.is_worth_a_retry() && !following.is_hopeless() => {}
            Err(failure) => {
                following.bar.clear();
                eprintln!("meshd: the job goes on. To attach again: meshd job attach {job}");
                return Err(failure);
            }
        }
        if following.is_hopeless() {
            following.bar.clear();
            eprintln!("meshd: {}. To attach again: meshd job attach {job}", following.why_hopeless());
            return Err(Failure::Ended(following.hopeless_code()));
        }
        following.pause().await;
    }
    following.delivery.finish(client).await?;
    following.report();
    match following.failed {
        0 => Ok(()),
        _ => Err(Failure::Ended(FAILED)),
    }
}

fn show(info: &JobInfo) -> String {
    let mut text = format!(
        "job     {}\nname    {}\nkey     {}\nplaced  {}\nitems   {}\n",
        info.job, info.name, info.key, info.placed, info.count
    );
    for (state, count) in &info.states {
        text.push_str(&format!("  {state:16} {count}\n"));
    }
    for (node, count) in &info.nodes {
        text.push_str(&format!("  on {node} {count}\n"));
    }
    if info.rerun > 0 {
        text.push_str(&format!("  run again        {}\n", info.rerun));
    }
    text.trim_end().to_string()
}
