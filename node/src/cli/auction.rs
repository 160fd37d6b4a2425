//! `meshd auction show`.

use clap::{Args, Subcommand};

use super::Failure;
use super::output::Output;
use super::results::escape;
use super::settings::Global;
use super::task::{say_silent, short_node};
use crate::api::tasks::auctions::{AuctionInfo, Auctions};
use crate::client::Ask;

#[derive(Debug, Subcommand)]
pub(super) enum Auction {
    /// Show the auctions that a task went through, with the bids.
    Show(Show),
}

#[derive(Debug, Args)]
pub(super) struct Show {
    /// The task: its id, or the first 8 digits or more.
    task: String,
}

impl Auction {
    pub(super) async fn run(&self, global: &Global, output: Output) -> Result<(), Failure> {
        let Self::Show(Show { task }) = self;
        let found: Auctions = global.client()?.ask(&Ask::get(format!("/v1/tasks/{}/auctions", escape(task)))).await?;
        say_silent(&found.silent);
        Ok(output.put(&found, show)?)
    }
}

fn show(found: &Auctions) -> String {
    if found.auctions.is_empty() {
        return format!("task {} was not auctioned, as far as is remembered: see `meshd task explain`", found.task);
    }
    found.auctions.iter().map(show_one).collect::<Vec<_>>().join("\n")
}

fn show_one(auction: &AuctionInfo) -> String {
    let AuctionInfo { at, auctioneer, asked, bid, took_ms, winner, bids } = auction;
    let winner = winner.as_deref().map_or_else(|| "nobody".to_owned(), short_node);
    let mut text =
        format!("{at}  held by {}: {bid} of {asked} bid within {took_ms} ms, won by {winner}", short_node(auctioneer));
    if !bids.is_empty() {
        text.push_str("\n  node      score  capability  idle   past   memory");
    }
    for bid in bids {
        text.push_str(&format!(
            "\n  {:8}  {:.3}  {:.3}       {:.3}  {:.3}  {:.3}",
            short_node(&bid.node),
            bid.score,
            bid.capability,
            bid.idle,
            bid.performance,
            bid.memory
        ));
    }
    text
}
