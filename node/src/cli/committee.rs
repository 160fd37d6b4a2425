//! `meshd committee list|add|remove|auto`.

use clap::{Args, Subcommand, ValueEnum};

use super::Failure;
use super::ordering::{Reading, Route, millis};
use super::output::Output;
use super::settings::Global;
use crate::api::committee::change::{ChangeRequest, Changed};
use crate::api::committee::{AutoInfo, CommitteeInfo, PendingInfo};
use crate::client::{Ask, Client};
use crate::config::Span;

#[derive(Debug, Subcommand)]
pub(super) enum Committee {
    /// List who agrees for the mesh.
    List(Reading),
    /// Take a node in; it follows the committee first.
    Add(Seat),
    /// Take a node out.
    Remove(Seat),
    /// Let the committee grow and mend itself, or not.
    Auto(Auto),
}

#[derive(Debug, Args)]
pub(super) struct Seat {
    /// The node: its peer id, or the last 8 characters or more.
    node: String,
    /// How long to wait until the change is in effect.
    #[arg(long, value_name = "TIME", default_value = "60s")]
    wait: Span,
}

#[derive(Debug, Args)]
pub(super) struct Auto {
    /// Whether it does.
    state: Switch,
    /// How many members it has at most, 1 to 31. Default: as it is.
    #[arg(long, value_name = "N")]
    max: Option<u8>,
    /// How long the committee is waited for.
    #[arg(long, value_name = "TIME", default_value = "60s")]
    wait: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

impl Committee {
    pub(super) async fn run(&self, global: &Global, output: Output) -> Result<(), Failure> {
        let client = global.client()?;
        match self {
            Self::List(reading) => {
                let info: CommitteeInfo = client.ask(&Ask::get(reading.route("/v1/committee"))).await?;
                Ok(output.put(&info, show)?)
            }
            Self::Add(Seat { node, wait }) => change(&client, output, &ChangeRequest::Add(node.clone()), *wait).await,
            Self::Remove(Seat { node, wait }) => {
                change(&client, output, &ChangeRequest::Remove(node.clone()), *wait).await
            }
            Self::Auto(auto) => change(&client, output, &auto.request(&client).await?, auto.wait).await,
        }
    }
}

impl Auto {
    /// What is not said stays as it is.
    async fn request(&self, client: &Client) -> Result<ChangeRequest, Failure> {
        let on = self.state == Switch::On;
        let max = match self.max {
            Some(max) => max,
            None => client.ask::<CommitteeInfo>(&Ask::get("/v1/committee")).await?.auto.max,
        };
        Ok(ChangeRequest::Auto(AutoInfo { on, max }))
    }
}

async fn change(client: &Client, output: Output, request: &ChangeRequest, wait: Span) -> Result<(), Failure> {
    let route = Route::new("/v1/committee").and("wait", &millis(wait.get()));
    let changed: Changed = client.ask(&Ask::post(route).json(request)).await?;
    Ok(output.put(&changed, said)?)
}

/// How far a change has come.
pub(super) fn said(changed: &Changed) -> String {
    match (changed.signed, changed.needed) {
        (Some(signed), Some(needed)) => format!(
            "signed by {signed} of the {needed} members that must: ask the same of {} more, each through its own node",
            needed.saturating_sub(signed)
        ),
        _ if changed.state == "pending" => "ordered; it takes effect at the next checkpoint".to_string(),
        _ => show(&changed.committee),
    }
}

fn show(info: &CommitteeInfo) -> String {
    let auto = if info.auto.on { "on" } else { "off" };
    let pending = info.pending.as_ref().map_or(String::new(), |pending| format!("pending   {}\n", waits(pending)));
    let members: Vec<&str> = info.members.iter().map(|seat| seat.node.as_str()).collect();
    format!(
        "epoch     {}, since batch {}\nauto      {auto}, at most {} members\n{pending}members   {}",
        info.epoch,
        info.since,
        info.auto.max,
        members.join("\n          ")
    )
}

fn waits(pending: &PendingInfo) -> String {
    match pending {
        PendingInfo::Add(node) => format!("add {node}"),
        PendingInfo::Remove(node) => format!("remove {node}"),
        PendingInfo::Version(version) => format!("commands of version {version}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_signs_a_motion_hears_that_others_must() {
        let changed =
            Changed { state: "seconded".into(), signed: Some(1), needed: Some(2), committee: CommitteeInfo::default() };
        assert!(said(&changed).contains("1 of the 2") && said(&changed).contains("1 more"));
        let done = Changed { state: "done".into(), signed: None, needed: None, ..changed };
        assert!(said(&done).starts_with("epoch     0"));
    }
}
