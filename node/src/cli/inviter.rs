//! `meshd inviter list|add|remove`.

use clap::{Args, Subcommand};

use super::Failure;
use super::committee::said;
use super::ordering::{Route, millis};
use super::output::Output;
use super::results::escape;
use super::settings::Global;
use crate::api::committee::change::{Changed, DONE};
use crate::api::committee::inviters::{InviterInfo, InviterTerms};
use crate::client::Ask;
use crate::config::Span;

#[derive(Debug, Subcommand)]
pub(super) enum Inviter {
    /// List whose invitations are good.
    List(List),
    /// Let the key of a node invite.
    Add(Add),
    /// Let it invite no more.
    Remove(Remove),
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// How long the committee is waited for.
    #[arg(long, value_name = "TIME", default_value = "60s")]
    wait: Span,
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// The node's peer id, whole.
    node: String,
    /// How many members it may let in. Default: any number.
    #[arg(long, value_name = "N")]
    uses: Option<u32>,
    /// Its invitations of later are not good: a date like 2030-01-01T00:00:00Z. Default: for ever.
    #[arg(long, value_name = "DATE")]
    until: Option<String>,
    /// Its signature alone is to carry motions, as the maker's does.
    #[arg(long)]
    governs: bool,
    /// How long to wait until the change is in effect.
    #[arg(long, value_name = "TIME", default_value = "60s")]
    wait: Span,
}

#[derive(Debug, Args)]
pub(super) struct Remove {
    /// The node's peer id, whole.
    node: String,
    /// How long to wait until the change is in effect.
    #[arg(long, value_name = "TIME", default_value = "60s")]
    wait: Span,
}

impl Inviter {
    pub(super) async fn run(&self, global: &Global, output: Output) -> Result<(), Failure> {
        let client = global.client()?;
        let route = |node: &str, wait: Span| {
            Route::new(&format!("/v1/inviters/{}", escape(node))).and("wait", &millis(wait.get()))
        };
        let tell = |changed: &Changed, done: String| if changed.state == DONE { done } else { said(changed) };
        match self {
            Self::List(List { wait }) => {
                let route = Route::new("/v1/inviters").and("wait", &millis(wait.get()));
                let inviters: Vec<InviterInfo> = client.ask(&Ask::get(route)).await?;
                Ok(output.rows(["node", "uses", "until", "governs"], &inviters, |inviter| {
                    let InviterTerms { uses, until, governs } = &inviter.terms;
                    let uses = uses.map_or(String::new(), |uses| uses.to_string());
                    [inviter.node.clone(), uses, until.clone().unwrap_or_default(), governs.to_string()]
                })?)
            }
            Self::Add(Add { node, uses, until, governs, wait }) => {
                let terms = InviterTerms { uses: *uses, until: until.clone(), governs: *governs };
                let changed: Changed = client.ask(&Ask::put(route(node, *wait)).json(&terms)).await?;
                Ok(output.put(&changed, |changed| tell(changed, format!("{node} may invite")))?)
            }
            Self::Remove(Remove { node, wait }) => {
                let changed: Changed = client.ask(&Ask::delete(route(node, *wait))).await?;
                Ok(output.put(&changed, |changed| tell(changed, format!("{node} may invite no more")))?)
            }
        }
    }
}
