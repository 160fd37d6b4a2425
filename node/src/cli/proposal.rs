//! `meshd proposal list|show|watch|close`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};

use super::Failure;
use super::exit::{DEADLINE, FAILED};
use super::ledger::save_proof;
use super::ordering::{Reading, Route, Writing, millis};
use super::output::Output;
use super::results::escape;
use super::settings::Global;
use super::task::{short, when};
use crate::api::proposals::list::ProposalPage;
use crate::api::proposals::votes::Voted;
use crate::api::proposals::{ProposalInfo, ProposalRow};
use crate::client::{Ask, Client};
use crate::config::Span;

#[derive(Debug, Subcommand)]
pub(super) enum Proposal {
    /// List what is being voted, and what was decided.
    List(Reading),
    /// Show a proposal and how it stands.
    Show(Show),
    /// Wait for its decision.
    Watch(Watch),
    /// Take back a proposal of one's own.
    Close(Close),
}

#[derive(Debug, Args)]
pub(super) struct Show {
    /// The proposal: its id, or the first 8 digits or more.
    proposal: String,
    /// Ask a ledger in reach, which may be behind; needs no quorum.
    #[arg(long)]
    stale: bool,
    /// Write the proof of the decision into this file, for `meshd ledger verify --proof`.
    #[arg(long, value_name = "FILE")]
    proof: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Watch {
    /// The proposal: its id, or the first 8 digits or more.
    proposal: String,
    /// Give up after so long. Default: never.
    #[arg(long, value_name = "TIME")]
    timeout: Option<Span>,
}

#[derive(Debug, Args)]
pub(super) struct Close {
    /// The proposal: its id, or the first 8 digits or more.
    proposal: String,
    #[command(flatten)]
    writing: Writing,
}

impl Proposal {
    pub(super) async fn run(&self, global: &Global, output: Output) -> Result<(), Failure> {
        let client = global.client()?;
        match self {
            Self::List(reading) => list(&client, output, reading).await,
            Self::Show(Show { proposal, stale, proof }) => {
                let route = Route::new(&path(proposal)).and_if("stale", stale.then_some("true"));
                let info: ProposalInfo = client.ask(&Ask::get(route)).await?;
                if let Some(path) = proof {
                    save_proof(&client, &info.row.proposal, path).await?;
                }
                Ok(output.put(&info, show)?)
            }
            Self::Watch(watch) => watch.run(&client, output).await,
            Self::Close(Close { proposal, writing }) => {
                let route = writing.route(&format!("{}/close", path(proposal)));
                let closed: Voted = client.ask(&Ask::post(route).key(&writing.key())).await?;
                Ok(output.put(&closed, |closed| format!("it is {}", closed.state))?)
            }
        }
    }
}

fn path(proposal: &str) -> String {
    format!("/v1/proposals/{}", escape(proposal))
}

/// How long one request waits; the client asks again until the end.
const WAIT: Duration = Duration::from_secs(30);
/// Before another try.
const PAUSE: Duration = Duration::from_millis(500);
/// How long nodes may be lost before waiting is given up.
const PATIENCE: Duration = Duration::from_secs(60);

impl Watch {
    /// Ends well if it is accepted.
    async fn run(&self, client: &Client, output: Output) -> Result<(), Failure> {
        let until = self.timeout.map(|timeout| Instant::now() + timeout.get());
        let mut heard = Instant::now();
        loop {
            let left = until.map_or(WAIT, |until| until.saturating_duration_since(Instant::now()).min(WAIT));
            let route = Route::new(&path(&self.proposal)).and("wait", &millis(left));
            match client.ask::<ProposalInfo>(&Ask::get(route)).await {
                Ok(info) if info.row.state != "open" => {
                    output.put(&info, show)?;
                    return if info.row.state == "accepted" { Ok(()) } else { Err(Failure::Ended(FAILED)) };
                }
                Ok(_) => heard = Instant::now(),
                Err(error) if error.is_worth_a_retry() && heard.elapsed() < PATIENCE => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(error.into()),
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                eprintln!("meshd: it is not decided");
                return Err(Failure::Ended(DEADLINE));
            }
        }
    }
}

async fn list(client: &Client, output: Output, reading: &Reading) -> Result<(), Failure> {
    let mut rows: Vec<ProposalRow> = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let route = reading.route("/v1/proposals").and("limit", "1000").and_if("cursor", cursor.as_deref());
        let page: ProposalPage = client.ask(&Ask::get(route)).await?;
        rows.extend(page.proposals);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    // Pages come by id, which says nothing to people.
    rows.sort_by_cached_key(|row| when(&row.deadline));
    Ok(output.rows(["proposal", "state", "round", "votes", "deadline", "title"], &rows, |row| {
        let round = format!("{} of {}", row.round, row.rounds);
        [short(&row.proposal), row.state.clone(), round, votes(row), row.deadline.clone(), row.title.clone()]
    })?)
}

fn votes(row: &ProposalRow) -> String {
    format!("{} for, {} against, {} neither, of {}", row.approve, row.reject, row.abstain, row.electors)
}

fn show(info: &ProposalInfo) -> String {
    let row = &info.row;
    let decided = row.decided.as_ref().map_or(String::new(), |decided| format!(" at {decided}"));
    format!(
        "proposal   {}\ntitle      {}\nstate      {}{decided}\nround      {} of {}, until {}\nvotes      {}\nthreshold  {}\nproposer   {}\nopened     {}\nelectorate {}\n\n{}",
        row.proposal,
        row.title,
        row.state,
        row.round,
        row.rounds,
        row.deadline,
        votes(row),
        info.threshold,
        info.proposer,
        info.opened,
        info.electorate.join("\n           "),
        serde_json::to_string_pretty(&info.body).unwrap_or_default(),
    )
}
