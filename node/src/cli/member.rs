//! `meshd member list|show|forget|revoke`.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::Failure;
use super::committee::said;
use super::ordering::{Route, millis};
use super::output::Output;
use super::results::escape;
use super::settings::Global;
use super::task::short_node;
use crate::api::committee::change::{Changed, DONE};
use crate::api::members::MemberRow;
use crate::client::Ask;
use crate::config::Span;
use crate::testnet::length;

#[derive(Debug, Subcommand)]
pub(super) enum Member {
    /// List who belongs to the network, connected or not.
    #[command(visible_alias = "ls")]
    List,
    /// Show a member, with what it has for tasks to require.
    Show(Show),
    /// Take a member out for good: one whose machine will not come back.
    Forget(Forget),
    /// Take a member out by agreement: one that is not to be trusted any more.
    Revoke(Revoke),
}

#[derive(Debug, Args)]
pub(super) struct Show {
    /// The member: its peer id, or the last 8 characters or more.
    node: String,
}

#[derive(Debug, Args)]
pub(super) struct Forget {
    /// The member's peer id, whole.
    node: String,
    /// Even if it is the network's maker: nobody can be invited after that.
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// The member: its peer id, or the last 8 characters or more.
    node: String,
    /// Even if it is the network's maker.
    #[arg(long)]
    force: bool,
    /// How long to wait until the change is in effect.
    #[arg(long, value_name = "TIME", default_value = "60s")]
    wait: Span,
}

impl Member {
    pub(super) async fn run(&self, global: &Global, output: Output) -> Result<(), Failure> {
        let client = global.client()?;
        match self {
            Self::List => {
                let members: Vec<MemberRow> = client.ask(&Ask::get("/v1/members")).await?;
                let head = ["node", "name", "zone", "role", "state", "running", "queued", "heard"];
                Ok(output.rows(head, &members, |member| {
                    let text = |value: &Option<String>| value.clone().unwrap_or_default();
                    let number = |value: Option<u32>| value.map_or(String::new(), |value| value.to_string());
                    let ago = |ms: u64| format!("{} ago", length(Duration::from_millis(ms)));
                    let heard = member.heard_ms.map_or(String::new(), ago);
                    let MemberRow { node, name, zone, role, state, running, queued, .. } = member;
                    let [running, queued] = [running, queued].map(|value| number(*value));
                    [node.clone(), text(name), text(zone), role.clone(), state.clone(), running, queued, heard]
                })?)
            }
            Self::Show(Show { node }) => {
                let member: MemberRow = client.ask(&Ask::get(format!("/v1/members/{}", escape(node)))).await?;
                Ok(output.put(&member, show)?)
            }
            Self::Forget(Forget { node, force }) => {
                let query = if *force { "?force=true" } else { "" };
                drop(client.send(&Ask::delete(format!("/v1/members/{}{query}", escape(node)))).await?);
                let said = serde_json::json!({ "node": node, "forgotten": true });
                Ok(output.put(&said, |_| format!("{node} is no member any more"))?)
            }
            Self::Revoke(Revoke { node, force, wait }) => {
                let route =
                    Route::new(&format!("/v1/members/{}/revoke", escape(node))).and("wait", &millis(wait.get()));
                let route = if *force { route.and("force", "true") } else { route };
                let changed: Changed = client.ask(&Ask::post(route)).await?;
                Ok(output.put(&changed, |changed| {
                    if changed.state == DONE { format!("{node} is revoked") } else { said(changed) }
                })?)
            }
        }
    }
}

fn show(member: &MemberRow) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            text.push_str(&format!("{name:9} {value}\n"));
        }
    };
    line("node", member.node.clone());
    line("name", member.name.clone().unwrap_or_default());
    line("zone", member.zone.clone().unwrap_or_default());
    line("role", member.role.clone());
    line("state", member.state.clone());
    line("has", member.capabilities.join("\n          "));
    line("addresses", member.addresses.join("\n          "));
    if let (Some(slots), Some(running), Some(queued)) = (member.slots, member.running, member.queued) {
        line("load", format!("{running} of {slots} slots, {queued} queued"));
    }
    line("failure", member.failure.clone().unwrap_or_default());
    line("heard", member.heard_ms.map_or(String::new(), |ms| format!("{} ago", length(Duration::from_millis(ms)))));
    let history = member.history.iter().map(|event| format!("{}  {}  {}", event.at, short_node(&event.by), event.what));
    line("history", history.collect::<Vec<_>>().join("\n          "));
    text.trim_end().to_owned()
}
