//! `meshd worker list`.

use std::time::Duration;

use clap::Subcommand;

use super::Failure;
use super::output::Output;
use super::settings::Global;
use crate::api::workers::list::{WorkerRow, WorkerTask};
use crate::client::Ask;
use crate::testnet::length;

#[derive(Debug, Subcommand)]
pub(super) enum Worker {
    /// List the programs that are attached to this node, and what they do.
    #[command(visible_alias = "ls")]
    List,
}

impl Worker {
    pub(super) async fn run(&self, global: &Global, output: Output) -> Result<(), Failure> {
        let Self::List = self;
        let workers: Vec<WorkerRow> = global.client()?.ask(&Ask::get("/v1/workers")).await?;
        let head = ["worker", "name", "kinds", "busy", "taken", "results", "heard", "tasks"];
        Ok(output.rows(head, &workers, |worker| {
            let WorkerRow { worker, name, kinds, concurrency, silent_ms, tasks, taken, results, .. } = worker;
            let heard = format!("{} ago", length(Duration::from_millis(*silent_ms)));
            let busy = format!("{} of {concurrency}", tasks.len());
            let [taken, results] = [taken, results].map(ToString::to_string);
            let tasks = tasks.iter().map(shown).collect::<Vec<_>>().join(", ");
            [worker.chars().take(8).collect(), name.clone(), kinds.join(" "), busy, taken, results, heard, tasks]
        })?)
    }
}

fn shown(held: &WorkerTask) -> String {
    let mut text = held.task.chars().take(8).collect::<String>();
    if let Some(percent) = held.percent {
        text.push_str(&format!(" {percent:.0}%"));
    }
    if let Some(said) = &held.text {
        text.push_str(&format!(" {said}"));
    }
    if held.cancelled {
        text.push_str(" cancelled");
    }
    text
}
