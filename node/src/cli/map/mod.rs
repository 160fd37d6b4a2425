//! `meshd map`: one program over many inputs.

mod complaints;
pub(super) mod delivery;
pub(super) mod follow;
mod grammar;
mod items;
mod paths;
pub(super) mod progress;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use clap::Args;

use self::delivery::{Delivery, Target};
use self::follow::{Ended, Following};
use self::grammar::{Words, fill};
use self::items::{Items, Way};
use super::Failure;
use super::exit::{DETACHED, FAILED, UNREACHABLE};
use super::out_dir::OutDir;
use super::output::{Format, Output};
use super::program::TermFlags;
use super::settings::Global;
use super::submit::environment;
use crate::api::jobs::submit::JobHeader;
use crate::api::submission::{Command, ProgramSpec};
use crate::client::{Ask, Client, ClientError, JobLines};
use crate::config::Span;
use crate::testnet::length;

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("program").required(true).args(["exec", "echo", "sleep", "sha256"]))]
pub(super) struct Map {
    /// Run a host command on each input: what follows `--`, with `{}` for the input.
    #[arg(long)]
    exec: bool,
    /// Give each input back.
    #[arg(long)]
    echo: bool,
    /// Hold a slot for so long, for each input.
    #[arg(long, value_name = "TIME")]
    sleep: Option<Span>,
    /// The SHA-256 of each input.
    #[arg(long)]
    sha256: bool,
    /// Feed each input to standard input, instead of laying it into the task's directory.
    #[arg(long)]
    stdin: bool,
    /// Pass each input's path itself: for nodes that share a file system, and allow it (`exec.in_place`).
    #[arg(long, conflicts_with = "stdin", requires = "exec")]
    in_place: bool,
    /// Lay results into DIR/INPUT/{stdout,stderr,exit_code,files}. Default: print standard output in the order of the
    /// inputs.
    #[arg(long, value_name = "DIR")]
    out_dir: Option<PathBuf>,
    /// Bring back this file from each task's directory: a plain name, the same for all; may be repeated.
    #[arg(long, value_name = "NAME", requires = "exec")]
    out: Vec<String>,
    /// Set a variable in the command's environment, as NAME=VALUE; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", requires = "exec")]
    env: Vec<String>,
    /// End the job at its first failure.
    #[arg(long, conflicts_with = "detach")]
    fail_fast: bool,
    /// What people call the job. Default: the command.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    terms: TermFlags,
    /// The command, then `:::` and the inputs, or `::::` and files that list them. Without either the list is read from
    /// standard input.
    #[arg(last = true, value_name = "COMMAND ::: INPUT")]
    words: Vec<OsString>,
    /// Names in lists end with a NUL, as `find -print0` writes them.
    #[arg(long, short = '0')]
    null: bool,
}

impl Map {
    pub(super) async fn run(&self, global: &Global, output: Output) -> Result<(), Failure> {
        let key = self.terms.key();
        let items = Arc::new(self.items(&key)?);
        let client = Arc::new(global.client()?);
        let count = items.count();
        if count == 0 {
            eprintln!("meshd: no inputs, nothing to do: name them behind `:::`, or a line each on standard input");
        }
        if self.terms.detach && count > 0 {
            let placed = self.place(&client, &items, (0..count).collect()).await?;
            output.put(&placed.summary(&key, count), |summary| summary.job.clone())?;
            return placed.outcome();
        }
        let target = match &self.out_dir {
            Some(dir) => Target::Directory(OutDir::open(dir, &items.names, &items.paths)?),
            None => Target::Print,
        };
        let delivery = Delivery::new(target, output, items.names.clone());
        let mut following = Following::new((0..count).collect(), delivery, self.fail_fast);
        let carried = tokio::select! {
            carried = self.carry(&client, &items, &mut following, "/v1/jobs") => Some(carried),
            signal = tokio::signal::ctrl_c() => {
                signal?;
                None
            }
        };
        following.bar.clear();
        let ended = match carried {
            None => return self.detach(&client, &items, &following, &key).await,
            Some(Ok(())) => self.end(&client, output, &mut following, &key, count).await,
            Some(Err(failure)) => Err(failure),
        };
        if matches!(&ended, Err(failure) if !matches!(failure, Failure::Ended(FAILED))) {
            following.say_how_to_go_on(&key);
        }
        ended
    }

    fn items(&self, key: &str) -> Result<Items, Failure> {
        let Words { command, inputs } = Words::parse(&self.words)?;
        if self.exec == command.is_empty() {
            let what = if self.exec { "--exec needs a command before `:::`" } else { "only --exec takes a command" };
            return Err(Failure::Usage(what.to_string()));
        }
        let paths = inputs.read(if self.null { 0 } else { b'\n' })?;
        let names = paths::names(&paths)?;
        let way = match (self.in_place, self.stdin || !self.exec) {
            (true, _) => Way::InPlace,
            (false, true) => Way::Stdin,
            (false, false) => Way::File,
        };
        match way {
            Way::InPlace => paths.iter().try_for_each(|path| paths::as_text(path).map(drop))?,
            Way::File | Way::Stdin => paths::check_readable(&paths)?,
        }
        if way == Way::File || self.exec && command.iter().any(|word| word.contains(grammar::HOLE)) {
            names.iter().try_for_each(|name| paths::as_text(name).map(drop))?;
        }
        if let Some(out) = self.out.iter().find(|out| ["stdout", "stderr", "exit_code"].contains(&out.as_str())) {
            return Err(Failure::Usage(format!("--out {out}: a result has a file of this name already")));
        }
        if self.out.iter().any(|out| out.contains(grammar::HOLE)) {
            return Err(Failure::Usage("--out takes a plain name: all items of a job bring back the same".to_string()));
        }
        let program = match (self.sleep, self.echo, self.sha256) {
            (Some(span), ..) => ProgramSpec::Sleep { ms: u64::try_from(span.get().as_millis()).unwrap_or(u64::MAX) },
            (None, true, _) => ProgramSpec::Echo,
            (None, false, true) => ProgramSpec::Sha256,
            (None, false, false) => {
                let argv = fill(&command, grammar::HOLE, false);
                let (env, outputs) = (environment(&self.env)?, self.out.clone());
                ProgramSpec::Exec(Command { argv, env, outputs, in_place: self.in_place })
            }
        };
        let name = self.name.clone().unwrap_or_else(|| match command.is_empty() {
            true => "map".to_string(),
            false => command.join(" ").chars().take(60).collect(),
        });
        let count = Some(paths.len() as u64);
        let header = JobHeader { name, key: Some(key.to_string()), program, terms: self.terms.terms(), count };
        Ok(Items { header, command, way, paths, names, put: Mutex::default(), broken: Mutex::default() })
    }

    /// Submits and follows, again upon a broken connection, through whichever node answers: the job's key makes a
    /// repeat harmless.
    async fn carry(
        &self,
        client: &Arc<Client>,
        items: &Arc<Items>,
        following: &mut Following,
        route: &str,
    ) -> Result<(), Failure> {
        while !following.open.is_empty() {
            let outcome = self.attempt(client, items, following, route).await;
            // A body that ended early is why the request broke off.
            let outcome = match (outcome, take_broken(items)) {
                (Ok(Ended::Broken) | Err(Failure::Client(_) | Failure::Usage(_)), Some(failure)) => {
                    following.began = true;
                    Err(failure)
                }
                (outcome, _) => outcome,
            };
            let error = match outcome {
                Ok(Ended::FailedFast) => return Ok(()),
                Ok(_) if following.open.is_empty() => return Ok(()),
                Ok(_) => None,
                Err(Failure::Client(error)) if error.is_worth_a_retry() => Some(error),
                Err(failure) => return Err(failure),
            };
            match &error {
                Some(ClientError::Refused(problem)) => {
                    following.refused_for_now(problem.detail.clone(), problem.retry_ms);
                }
                Some(ClientError::NoNode { .. } | ClientError::Silent { .. }) if !following.began => {
                    // There is no job to carry on.
                    return Err(error.map_or(Failure::Ended(UNREACHABLE), Failure::Client));
                }
                _ => following.began = true,
            }
            if following.is_hopeless() {
                following.bar.clear();
                eprintln!("meshd: {}", following.why_hopeless());
                let code = following.hopeless_code();
                return Err(error.map_or(Failure::Ended(code), Failure::Client));
            }
            following.pause().await;
        }
        Ok(())
    }

    async fn attempt(
        &self,
        client: &Arc<Client>,
        items: &Arc<Items>,
        following: &mut Following,
        route: &str,
    ) -> Result<Ended, Failure> {
        client.find_alive().await?;
        let wanted = following.open.iter().copied().collect();
        let body = Body::from_stream(items.clone().lines(client.clone(), wanted));
        let response = client.stream(&Ask::post(route), body).await.inspect_err(|error| {
            // A node that was there and fell silent may have heard of the job.
            following.began |= matches!(error, ClientError::Silent { .. } | ClientError::Broken(_));
        })?;
        following.read(client, JobLines::new(response)).await
    }

    /// Submits without waiting for the ends, and says what was refused.
    async fn place(
        &self,
        client: &Arc<Client>,
        items: &Arc<Items>,
        wanted: BTreeSet<u64>,
    ) -> Result<Following, Failure> {
        let delivery = Delivery::new(Target::Nowhere, Output::new(Format::Text), items.names.clone());
        let mut following = Following::new(wanted, delivery, false);
        let placed = self.carry(client, items, &mut following, "/v1/jobs?follow=false&placed=true").await;
        following.report();
        if placed.is_err() {
            following.say_how_to_go_on(self.key_of(items));
        }
        placed.map(|()| following)
    }

    /// Ctrl-C: what was not submitted yet is, and the job goes on without us.
    async fn detach(
        &self,
        client: &Arc<Client>,
        items: &Arc<Items>,
        following: &Following,
        key: &str,
    ) -> Result<(), Failure> {
        following.report();
        eprintln!("detaching: submitting what is left; Ctrl-C again gives that up");
        let placed = tokio::select! {
            placed = self.place(client, items, following.open.clone()) => placed?,
            signal = tokio::signal::ctrl_c() => {
                signal?;
                eprintln!("given up; the same command with --idempotency-key {key} goes on");
                return Err(Failure::Ended(DETACHED));
            }
        };
        let job = placed.job.as_deref().unwrap_or_default();
        eprintln!("detached; the job goes on. To attach: meshd job attach {job}; to end it: meshd job cancel {job}");
        eprintln!("the same command with --idempotency-key {key} attaches as well, and lays out results by name");
        placed.outcome()?;
        Err(Failure::Ended(DETACHED))
    }

    async fn end(
        &self,
        client: &Client,
        output: Output,
        following: &mut Following,
        key: &str,
        count: u64,
    ) -> Result<(), Failure> {
        if self.fail_fast
            && following.complaints.count() > 0
            && let Some(job) = &following.job
        {
            client.send(&Ask::post(format!("/v1/jobs/{job}/cancel"))).await?;
        }
        following.delivery.finish(client).await?;
        following.report();
        if !output.is_text() {
            output.put(&following.summary(key, count), |_| String::new())?;
        } else if let Some(dir) = &self.out_dir
            && count > 0
            // What went well is said to who watches; a log that nobody asked for stays empty.
            && (following.complaints.count() > 0 || std::io::stderr().is_terminal())
        {
            let (done, failed) = (following.bar.done, following.complaints.count());
            eprintln!("meshd: {}", came_to(done, failed, dir, following.bar.elapsed()));
        }
        following.outcome()
    }

    fn key_of<'a>(&self, items: &'a Items) -> &'a str {
        items.header.key.as_deref().unwrap_or_default()
    }
}

/// What a job came to, for people.
fn came_to(done: u64, failed: u64, dir: &Path, took: Duration) -> String {
    format!("{done} done, {failed} failed, in {}; the results are in {}", length(took), dir.display())
}

fn take_broken(items: &Items) -> Option<Failure> {
    items.broken.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_job_came_to_fits_a_line() {
        let line = came_to(298, 2, Path::new("out"), Duration::from_millis(12_345));
        assert_eq!(line, "298 done, 2 failed, in 12.3 s; the results are in out");
    }
}
