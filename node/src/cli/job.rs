//! `meshd job list|show|attach|cancel|result`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Failure;
use super::exit::DETACHED;
use super::map::delivery::{Delivery, Target, number};
use super::map::follow::{Ended, Following};
use super::out_dir::OutDir;
use super::output::Output;
use super::results::escape;
use super::settings::Global;
use super::task::{say_silent, short, when};
use crate::api::jobs::cancel::JobCancelled;
use crate::api::jobs::list::{JobPage, JobRow};
use crate::api::jobs::show::JobInfo;
use crate::client::{Ask, Client, JobLines};

#[derive(Debug, Subcommand)]
pub(super) enum Job {
    /// List the jobs that nodes in reach hold.
    #[command(visible_alias = "ls")]
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
            Self::Show(One { job }) => {
                let info = info(&client, job).await?;
                if output.is_text() {
                    say_silent(&info.silent);
                }
                Ok(output.put(&info, show)?)
            }
            Self::Attach(One { job }) => follow(&client, output, job, |_| Ok(Target::Nowhere)).await,
            Self::Cancel(One { job }) => {
                let ask = Ask::post(format!("/v1/jobs/{}/cancel", escape(job)));
                Ok(output.put(&client.ask::<JobCancelled>(&ask).await?, cancelled)?)
            }
            Self::Result(ResultOf { job, out_dir }) => {
                let target = |count| match out_dir {
                    None => Ok(Target::Print),
                    Some(dir) => {
                        // Only what is there can be in the way: of a large job that is mostly nothing.
                        let is_there = |name: &PathBuf| dir.join(name).symlink_metadata().is_ok();
                        let names: Vec<PathBuf> = (0..count).map(number).filter(is_there).collect();
                        Ok(Target::Directory(OutDir::open(dir, &names, &[])?))
                    }
                };
                follow(&client, output, job, target).await
            }
        }
    }
}

fn cancelled(cancelled: &JobCancelled) -> String {
    let JobCancelled { asked, count, unknown, stopped, .. } = cancelled;
    let mut text = format!("asked for the end of {asked} of {count} items");
    if *unknown > 0 {
        text += &format!("; {unknown} are known to no node in reach");
    }
    match stopped {
        true => text += "; what was not submitted yet is not to be",
        false if *unknown > 0 => text += ": if they are still being submitted, cancel through the node that takes them",
        false => {}
    }
    text
}

async fn info(client: &Client, job: &str) -> Result<JobInfo, Failure> {
    Ok(client.ask(&Ask::get(format!("/v1/jobs/{}", escape(job)))).await?)
}

async fn list(client: &Client, output: Output) -> Result<(), Failure> {
    let mut rows: Vec<JobRow> = Vec::new();
    let mut silent = BTreeSet::new();
    let mut route = "/v1/jobs?limit=1000".to_string();
    loop {
        let page: JobPage = client.ask(&Ask::get(route)).await?;
        rows.extend(page.jobs);
        silent.extend(page.silent);
        let Some(next) = page.next else { break };
        route = format!("/v1/jobs?limit=1000&cursor={next}");
    }
    say_silent(&silent);
    rows.sort_by_cached_key(|row| when(&row.placed));
    Ok(output.rows(["job", "items", "name", "placed"], &rows, |row| {
        [short(&row.job), row.count.to_string(), row.name.clone(), row.placed.clone()]
    })?)
}

/// Follows a job to its end, through broken connections. `target` is where results go, by how many there will be.
async fn follow(
    client: &Client,
    output: Output,
    job: &str,
    target: impl FnOnce(u64) -> Result<Target, Failure>,
) -> Result<(), Failure> {
    let info = info(client, job).await?;
    let delivery = Delivery::new(target(info.count)?, output, Vec::new());
    let mut following = Following::new((0..info.count).collect(), delivery, false);
    let followed = tokio::select! {
        followed = carry(client, &info.job, &mut following) => followed,
        signal = tokio::signal::ctrl_c() => {
            signal?;
            following.bar.clear();
            eprintln!("detached; the job goes on. To attach again: meshd job attach {job}");
            return Err(Failure::Ended(DETACHED));
        }
    };
    following.bar.clear();
    if let Err(failure) = followed {
        eprintln!("meshd: the job goes on. To attach again: meshd job attach {job}");
        return Err(failure);
    }
    following.report();
    if !output.is_text() {
        output.put(&following.summary(&info.key, info.count), |_| String::new())?;
    }
    following.outcome()
}

async fn carry(client: &Client, job: &str, following: &mut Following) -> Result<(), Failure> {
    following.job = Some(job.to_owned());
    while !following.open.is_empty() {
        let from = following.open.first().copied().unwrap_or_default();
        let response = client.send(&Ask::get(format!("/v1/jobs/{job}/results?from={from}"))).await;
        let outcome = match response {
            Ok(response) => following.read(client, JobLines::new(response)).await,
            Err(error) => Err(error.into()),
        };
        match outcome {
            Ok(Ended::Whole) if following.later.is_none() => break,
            Ok(_) => {}
            Err(Failure::Client(error)) if error.is_worth_a_retry() && !following.is_hopeless() => {}
            Err(failure) => return Err(failure),
        }
        if following.is_hopeless() {
            following.bar.clear();
            eprintln!("meshd: {}", following.why_hopeless());
            return Err(Failure::Ended(following.hopeless_code()));
        }
        following.pause().await;
    }
    following.delivery.finish(client).await
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
