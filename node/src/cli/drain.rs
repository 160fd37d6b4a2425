//! `meshd drain` and `meshd undrain`.

use std::io::IsTerminal as _;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Failure;
use super::exit::{DETACHED, LATER};
use super::output::Output;
use super::settings::Global;
use crate::api::drain::{DrainOrder, DrainState};
use crate::client::{Ask, Client};
use crate::config::Span;

#[derive(Debug, Args)]
pub(super) struct Drain {
    /// End what still runs after this time, and have it run elsewhere. Default: wait for it.
    #[arg(long, value_name = "TIME")]
    deadline: Option<Span>,
    /// Do not wait until it has drained.
    #[arg(long, conflicts_with = "leave")]
    detach: bool,
    /// Then leave the mesh, and stop the node.
    #[arg(long)]
    leave: bool,
}

#[derive(Debug, Args)]
pub(super) struct Undrain {}

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);

impl Drain {
    pub(super) async fn run(&self, global: &Global, output: Output) -> Result<(), Failure> {
        // It is about the node that is named, and about no other that answers in its place.
        let client = global.client()?.first_alone();
        let deadline_ms = self.deadline.map(|deadline| u64::try_from(deadline.get().as_millis()).unwrap_or(u64::MAX));
        let mut state: DrainState = client.ask(&Ask::post("/v1/drain").json(&DrainOrder { deadline_ms })).await?;
        if state.in_committee {
            eprintln!("warning: this node is in the committee, and stays there: `meshd committee remove` takes it out");
        }
        if !self.detach {
            tokio::select! {
                drained = watch(&client, state) => state = drained?,
                interrupted = tokio::signal::ctrl_c() => {
                    interrupted.map_err(Failure::Stream)?;
                    eprintln!("it goes on draining: `meshd drain` waits again, `meshd undrain` ends it");
                    return Err(Failure::Ended(DETACHED));
                }
            }
        }
        if self.leave {
            drop(client.send(&Ask::post("/v1/leave")).await?);
        }
        Ok(output.put(&state, |state| match (self.leave, state.drained) {
            (true, _) => "it has left the mesh, and stops".to_owned(),
            (false, true) => "drained: nothing is here that others wait for".to_owned(),
            (false, false) => format!("draining: {}", left(state)),
        })?)
    }
}

impl Undrain {
    pub(super) async fn run(&self, global: &Global, output: Output) -> Result<(), Failure> {
        let client = global.client()?.first_alone();
        let state: DrainState = client.ask(&Ask::delete("/v1/drain")).await?;
        Ok(output.put(&state, |_| "it takes work again".to_owned())?)
    }
}

async fn watch(client: &Client, mut state: DrainState) -> Result<DrainState, Failure> {
    let bar = match std::io::stderr().is_terminal() {
        true => ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(4)),
        false => ProgressBar::hidden(),
    };
    if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
        bar.set_style(style);
    }
    while !state.drained {
        let is_idle = state.running == 0 && state.queued == 0 && state.outbox == 0;
        if let Some(records) = state.to_move.filter(|_| is_idle && state.too_few) {
            bar.finish_and_clear();
            let others = state.others;
            eprintln!(
                "nothing runs or waits here any more; {records} records stay: only {others} other members in reach take copies"
            );
            return Err(Failure::Ended(LATER));
        }
        if !state.draining {
            bar.finish_and_clear();
            return Err(Failure::Usage("somebody has ended the draining of this node: `meshd undrain`".into()));
        }
        bar.set_message(left(&state));
        tokio::time::sleep(LOOK).await;
        state = client.ask(&Ask::get("/v1/drain")).await?;
    }
    bar.finish_and_clear();
    Ok(state)
}

fn left(state: &DrainState) -> String {
    let DrainState { queued, running, outbox, .. } = state;
    let to_move = state.to_move.map_or("records not yet counted".to_owned(), |left| format!("{left} records to move"));
    format!("{running} running, {queued} queued, {outbox} results to hand over, {to_move}")
}
