//! A job on its way: submitted and followed to its end, or left to itself.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;

use super::delivery::{Delivery, Target};
use super::follow::{Ended, Following};
use super::items::Items;
use crate::api::Code;
use crate::cli::Failure;
use crate::cli::exit::{DETACHED, FAILED, LATER, UNREACHABLE};
use crate::cli::output::{Format, Output};
use crate::client::{Ask, Client, ClientError, JobLines};
use crate::testnet::length;

/// A job, and how it is to be carried.
pub(in crate::cli) struct Carrier<'a> {
    pub(in crate::cli) client: Arc<Client>,
    pub(in crate::cli) items: Arc<Items>,
    pub(in crate::cli) key: &'a str,
    pub(in crate::cli) output: Output,
    /// It ends at its first failure.
    pub(in crate::cli) fail_fast: bool,
    pub(in crate::cli) out_dir: Option<&'a Path>,
}

impl Carrier<'_> {
    /// Submits it and says its id.
    pub(in crate::cli) async fn submit(&self) -> Result<(), Failure> {
        let placed = self.place((0..self.items.count()).collect()).await?;
        self.output.put(&placed.summary(self.key, self.items.count()), |summary| summary.job.clone())?;
        placed.outcome()
    }

    /// To its end, with its results to where they are to go; or until Ctrl-C.
    pub(in crate::cli) async fn run(&self, delivery: Delivery) -> Result<(), Failure> {
        let mut following = Following::new((0..self.items.count()).collect(), delivery, self.fail_fast);
        let carried = tokio::select! {
            carried = self.carry(&mut following, "/v1/jobs") => Some(carried),
            signal = tokio::signal::ctrl_c() => {
                signal?;
                None
            }
        };
        following.bar.clear();
        let ended = match carried {
            None => return self.detach(&following).await,
            Some(Ok(())) => self.end(&mut following).await,
            Some(Err(failure)) => Err(failure),
        };
        if matches!(&ended, Err(failure) if !matches!(failure, Failure::Ended(FAILED))) {
            following.say_how_to_go_on(self.key);
        }
        ended
    }

    /// Submits and follows, again upon a broken connection, through whichever node answers: the job's key makes a
    /// repeat harmless.
    async fn carry(&self, following: &mut Following, route: &str) -> Result<(), Failure> {
        while !following.open.is_empty() {
            let outcome = self.attempt(following, route).await;
            // A body that ended early is why the request broke off.
            let outcome = match (outcome, take_broken(&self.items)) {
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
                // There is no job to carry on, and nobody knows when there could be one.
                Some(ClientError::Refused(problem)) if problem.code == Code::ReadOnly && !following.began => {
                    return Err(error.map_or(Failure::Ended(LATER), Failure::Client));
                }
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

    async fn attempt(&self, following: &mut Following, route: &str) -> Result<Ended, Failure> {
        let client = &self.client;
        client.find_alive().await?;
        let wanted = following.open.iter().copied().collect();
        let body = Body::from_stream(self.items.clone().lines(client.clone(), wanted));
        let response = client.stream(&Ask::post(route), body).await.inspect_err(|error| {
            // A node that was there and fell silent may have heard of the job.
            following.began |= matches!(error, ClientError::Silent { .. } | ClientError::Broken(_));
        })?;
        following.read(client, JobLines::new(response)).await
    }

    /// Submits without waiting for the ends, and says what was refused.
    async fn place(&self, wanted: BTreeSet<u64>) -> Result<Following, Failure> {
        let delivery = Delivery::new(Target::Nowhere, Output::new(Format::Text), self.items.names.clone());
        let mut following = Following::new(wanted, delivery, false);
        let placed = self.carry(&mut following, "/v1/jobs?follow=false&placed=true").await;
        following.report();
        if placed.is_err() {
            following.say_how_to_go_on(self.key);
        }
        placed.map(|()| following)
    }

    /// Ctrl-C: what was not submitted yet is, and the job goes on without us.
    async fn detach(&self, following: &Following) -> Result<(), Failure> {
        following.report();
        eprintln!("detaching: submitting what is left; Ctrl-C again gives that up");
        let key = self.key;
        let placed = tokio::select! {
            placed = self.place(following.open.clone()) => placed?,
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

    async fn end(&self, following: &mut Following) -> Result<(), Failure> {
        let client = &self.client;
        if self.fail_fast
            && following.complaints.count() > 0
            && let Some(job) = &following.job
        {
            client.send(&Ask::post(format!("/v1/jobs/{job}/cancel"))).await?;
        }
        following.delivery.finish(client).await?;
        following.report();
        let count = self.items.count();
        if !self.output.is_text() {
            self.output.put(&following.summary(self.key, count), |_| String::new())?;
        } else if let Some(dir) = self.out_dir
            && count > 0
            // What went well is said to who watches; a log that nobody asked for stays empty.
            && (following.complaints.count() > 0 || std::io::stderr().is_terminal())
        {
            let (done, failed) = (following.bar.done, following.complaints.count());
            eprintln!("meshd: {}", came_to(done, failed, dir, following.bar.elapsed()));
        }
        following.outcome()
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
