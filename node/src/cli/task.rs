//! `meshd task list|show|explain|retry|logs|cancel|result`.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use hyper::Response;

use super::Failure;
use super::explain;
use super::output::Output;
use super::results::{self, escape};
use super::settings::Global;
use super::story;
use super::submit::{await_result, report};
use crate::api::after::DependencyInfo;
use crate::api::logs::{LogEvent, Stream};
use crate::api::result::TaskResult;
use crate::api::tasks::{explain::ExplainInfo, list::Page, submit::Submitted};
use crate::api::view::{TaskInfo, TaskRow};
use crate::client::{Ask, ClientError, Events};

#[derive(Debug, Subcommand)]
pub(super) enum Task {
    /// List the tasks that nodes in reach hold.
    #[command(visible_alias = "ls")]
    List(List),
    /// Show a task and its whole story across nodes.
    Show(One),
    /// Say why a task waits, or why it ran where it ran.
    Explain(One),
    /// Run what came to nothing once more, as a task of its own.
    Retry(One),
    /// Print what a task writes.
    Logs(Logs),
    /// Ask for a task's end.
    Cancel(One),
    /// Print a task's output and exit with its code.
    Result(ResultOf),
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Only tasks in this state: waiting, running, done, failed, cancelled or deadline_passed; or dead: failed, as no
    /// node could run them.
    #[arg(long)]
    state: Option<String>,
    /// Only items of this job: its id, or the first 8 digits or more.
    #[arg(long, value_name = "ID")]
    job: Option<String>,
    /// Only tasks that this node runs: its peer id, or the last 8 characters or more.
    #[arg(long, value_name = "ID")]
    node: Option<String>,
    /// At most so many.
    #[arg(long, default_value_t = 100, value_name = "N")]
    limit: u32,
}

#[derive(Debug, Args)]
pub(super) struct One {
    /// The task: its id, or the first 8 digits or more.
    task: String,
}

#[derive(Debug, Args)]
pub(super) struct Logs {
    /// The task: its id, or the first 8 digits or more.
    task: String,
    /// Go on until the task ends.
    #[arg(long, short)]
    follow: bool,
}

#[derive(Debug, Args)]
pub(super) struct ResultOf {
    /// The task: its id, or the first 8 digits or more.
    task: String,
    /// Wait for its end.
    #[arg(long)]
    wait: bool,
    /// Lay its output files into this directory.
    #[arg(long, value_name = "DIR")]
    out_dir: Option<PathBuf>,
}

impl Task {
    pub(super) async fn run(&self, global: &Global, output: Output) -> Result<(), Failure> {
        let client = global.client()?;
        match self {
            Self::List(list) => list.run(&client, output).await,
            Self::Show(One { task }) => {
                let mut info: TaskInfo = client.ask(&Ask::get(format!("/v1/tasks/{}", escape(task)))).await?;
                story::sort(&mut info.story);
                Ok(output.put(&info, show)?)
            }
            Self::Explain(One { task }) => {
                let info: ExplainInfo = client.ask(&Ask::get(format!("/v1/tasks/{}/explain", escape(task)))).await?;
                say_silent(&info.silent);
                Ok(output.put(&info, explain::show)?)
            }
            Self::Retry(One { task }) => {
                let taken: Submitted = client.ask(&Ask::post(format!("/v1/tasks/{}/retry", escape(task)))).await?;
                Ok(output.put(&taken, |taken| taken.task.clone())?)
            }
            Self::Logs(logs) => logs.run(&client, output).await,
            Self::Cancel(One { task }) => {
                let answer: Response<_> = client.send(&Ask::post(format!("/v1/tasks/{}/cancel", escape(task)))).await?;
                drop(answer);
                let said = serde_json::json!({ "task": task, "asked": true });
                Ok(output.put(&said, |_| format!("asked for the end of {task}"))?)
            }
            Self::Result(ResultOf { task, wait, out_dir }) => {
                let result: TaskResult = match wait {
                    true => await_result(&client, task).await?,
                    false => client.ask(&Ask::get(format!("/v1/tasks/{}/result", escape(task)))).await?,
                };
                if let Some(out) = out_dir {
                    results::put_files(&client, out, &result).await?;
                }
                report(&client, output, &result).await
            }
        }
    }
}

impl List {
    async fn run(&self, client: &crate::client::Client, output: Output) -> Result<(), Failure> {
        let mut rows: Vec<TaskRow> = Vec::new();
        let mut cursor: Option<String> = None;
        let mut silent = BTreeSet::new();
        while rows.len() < self.limit as usize {
            let limit = (self.limit as usize - rows.len()).min(1_000);
            let mut route = format!("/v1/tasks?limit={limit}");
            for (name, value) in [("state", &self.state), ("job", &self.job), ("node", &self.node), ("cursor", &cursor)]
            {
                if let Some(value) = value {
                    route.push_str(&format!("&{name}={}", escape(value)));
                }
            }
            let page: Page = client.ask(&Ask::get(route)).await?;
            rows.extend(page.tasks);
            silent.extend(page.silent);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        say_silent(&silent);
        // Pages come by id, which says nothing to people.
        rows.sort_by_cached_key(|row| (when(&row.placed), row.index));
        if cursor.is_some() {
            eprintln!("meshd: there are more than these {}: --limit, --state, --job or --node choose", rows.len());
        }
        Ok(output.rows(["task", "state", "program", "placed", "node", "attempts"], &rows, |row| {
            let node = row.node.as_deref().map_or(String::new(), short_node);
            [
                short(&row.task),
                row.state.clone(),
                row.program.clone(),
                row.placed.clone(),
                node,
                row.attempts.to_string(),
            ]
        })?)
    }
}

/// How long nodes may be lost before following is given up.
const PATIENCE: Duration = Duration::from_secs(60);
/// Before another try.
const PAUSE: Duration = Duration::from_millis(500);

impl Logs {
    /// Prints from where it was left when the node was lost, through whichever answers.
    async fn run(&self, client: &crate::client::Client, output: Output) -> Result<(), Failure> {
        let route = format!("/v1/tasks/{}/logs?follow={}", escape(&self.task), self.follow);
        let mut last = None;
        let mut heard: Option<Instant> = None;
        loop {
            let error = match self.read(client, output, &route, &mut last, &mut heard).await {
                Ok(Read::Whole) => return Ok(()),
                Ok(Read::Cut) => ClientError::Broken("the node closed it before the task ended".to_string()),
                Err(Failure::Client(error)) => error,
                Err(failure) => return Err(failure),
            };
            let goes_on = self.follow && error.is_worth_a_retry();
            match heard {
                Some(heard) if goes_on && heard.elapsed() < PATIENCE => tokio::time::sleep(PAUSE).await,
                Some(_) if goes_on => {
                    eprintln!("meshd: to follow it again: meshd task logs -f {}", self.task);
                    return Err(error.into());
                }
                _ => return Err(error.into()),
            }
        }
    }

    async fn read(
        &self,
        client: &crate::client::Client,
        output: Output,
        route: &str,
        last: &mut Option<String>,
        heard: &mut Option<Instant>,
    ) -> Result<Read, Failure> {
        let mut events = Events::new(client.send(&Ask::get(route).last_event(last.clone())).await?);
        *heard = Some(Instant::now());
        loop {
            let next = client.hear(events.next()).await;
            *heard = Some(Instant::now());
            let Some(event) = next? else { return Ok(Read::Cut) };
            *last = event.id.or(last.take());
            match event.name.as_str() {
                "output" => print(output, &event.data)?,
                "error" => {
                    eprintln!("meshd: {}", event.data);
                    return Err(Failure::Ended(super::exit::LATER));
                }
                _ => return Ok(Read::Whole),
            }
        }
    }
}

/// How the events ended.
enum Read {
    /// With the one that says so.
    Whole,
    /// Before it.
    Cut,
}

fn print(output: Output, data: &str) -> Result<(), Failure> {
    let event: LogEvent = serde_json::from_str(data).map_err(std::io::Error::other)?;
    if !output.is_text() {
        return Ok(output.put(&event, |_| String::new())?);
    }
    let bytes = match (event.text, event.b64) {
        (Some(text), _) => text.into_bytes(),
        (None, Some(b64)) => data_encoding::BASE64.decode(b64.as_bytes()).map_err(std::io::Error::other)?,
        (None, None) => Vec::new(),
    };
    match event.stream {
        Stream::Stdout => std::io::stdout().write_all(&bytes)?,
        Stream::Stderr => std::io::stderr().write_all(&bytes)?,
    }
    Ok(())
}

fn show(info: &TaskInfo) -> String {
    let mut text = format!("task      {}\nstate     {}\n", info.task, info.state);
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            text.push_str(&format!("{name:9} {value}\n"));
        }
    };
    let program = info.spec.program.as_ref().and_then(|program| serde_json::to_string(program).ok());
    line("program", program.unwrap_or_default());
    line("require", info.spec.require.clone().unwrap_or_default());
    line("strategy", info.spec.strategy.clone());
    line("isolated", info.spec.on_isolation.clone().unwrap_or_default());
    line("by", info.spec.redundancy.map(|many| format!("{many} nodes")).unwrap_or_default());
    line("replica", info.spec.replica_of.as_ref().map(|of| format!("of {of}")).unwrap_or_default());
    line("after", info.spec.after.iter().map(after).collect::<Vec<_>>().join("\n          "));
    line("job", info.spec.job.clone().unwrap_or_default());
    line("key", info.spec.key.clone());
    line("placed", format!("{} through {}", info.placed, info.gateway));
    line("holders", info.holders.join("\n          "));
    line("driver", info.driver.clone());
    if let Some(attempt) = &info.attempt {
        line("attempt", format!("{} on {}, granted {}", attempt.number, attempt.node, attempt.granted));
    }
    for failed in &info.failed {
        line(
            "failed",
            format!("attempt {} on {}: {}", failed.number, failed.node, failed.why.as_deref().unwrap_or("")),
        );
    }
    if let Some(result) = &info.result {
        let code = result.exit_code.map(|code| format!(", exit code {code}")).unwrap_or_default();
        let node = result.node.as_deref().unwrap_or("nobody");
        line("ended", format!("{}{code}, attempt {} on {node}", result.ended, result.attempt));
        if let Some(count) = &result.count {
            let proof = count.why.as_ref().map_or("verified".to_owned(), |why| format!("not verified: {why}"));
            line("counted", format!("{} of {} asked agree, {proof}", count.agree, count.asked));
            for said in &count.said {
                line("", format!("{} {}", said.node, if said.agrees { "agrees" } else { "says something else" }));
            }
        }
    }
    let failure = info.result.as_ref().and_then(|result| result.failure.as_ref());
    line("why", failure.map(|failure| format!("{}: {}", failure.kind, failure.message)).unwrap_or_default());
    line("awaits", info.awaits.join("\n          "));
    line("waits", info.lack.as_ref().map(|lack| lack.reason.clone()).unwrap_or_default());
    line("waits for", info.waiting_for.join(", "));
    line("silent", info.silent.join(", "));
    if !info.story.is_empty() {
        text.push_str("\nstory\n");
    }
    for line in &info.story {
        text.push_str(&format!("  {}  {}  {}\n", line.at, short_node(&line.node), line.what));
    }
    text.trim_end().to_string()
}

/// Another task, and what is taken of it.
fn after(dependency: &DependencyInfo) -> String {
    let takes = dependency.takes.iter().map(|take| {
        let part = take.file.as_deref().unwrap_or("standard output");
        format!("; {part} as {}", take.to.as_deref().unwrap_or("standard input"))
    });
    format!("{}{}", dependency.task, takes.collect::<String>())
}

/// Says that what is shown may be short, and of whom.
pub(super) fn say_silent<'a>(silent: impl IntoIterator<Item = &'a String>) {
    let nodes: Vec<String> = silent.into_iter().map(|node| short_node(node)).collect();
    if !nodes.is_empty() {
        eprintln!("meshd: what only these know is missing, as they did not answer: {}", nodes.join(", "));
    }
}

/// A date to sort by: as text they differ in how many digits they have.
pub(super) fn when(date: &str) -> Option<jiff::Timestamp> {
    date.parse().ok()
}

/// Enough of an id to name it.
pub(super) fn short(id: &str) -> String {
    id.chars().take(12).collect()
}

/// The end of a peer id: all begin alike.
pub(super) fn short_node(id: &str) -> String {
    let skip = id.chars().count().saturating_sub(8);
    id.chars().skip(skip).collect()
}
