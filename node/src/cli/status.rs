//! `meshd status`.

use clap::Args;

use super::Failure;
use super::output::Output;
use super::settings::Global;
use crate::api::node::NodeStatus;
use crate::client::Ask;

#[derive(Debug, Args)]
pub(super) struct Status {}

impl Status {
    pub(super) async fn run(&self, global: &Global, output: Output) -> Result<(), Failure> {
        let status: NodeStatus = global.client()?.ask(&Ask::get("/v1/status")).await?;
        Ok(output.put(&status, show)?)
    }
}

fn show(status: &NodeStatus) -> String {
    let ready = match status.ready {
        true => "yes".to_string(),
        false => format!("no: {}", status.reasons.join("; ")),
    };
    let commands = match (&status.containment, status.landlock) {
        (None, _) => "off".to_string(),
        (Some(level), Some(_)) => format!("in a {level}, writing in their own directory only"),
        (Some(level), None) => format!("in a {level}, writing wherever this user can: no Landlock"),
    };
    let warnings: String = status.warnings.iter().map(|warning| format!("\nwarning   {warning}")).collect();
    let modes = [(status.read_only, "read-only"), (status.partitioned && !status.read_only, "partitioned")];
    let modes: Vec<&str> =
        modes.into_iter().chain([(status.draining, "draining")]).filter_map(|(is, mode)| is.then_some(mode)).collect();
    let mode = if modes.is_empty() { String::new() } else { format!("\nmode      {}", modes.join(", ")) };
    let room = if status.disk_has_room { "" } else { "\ndisk      nearly full: new tasks are refused" };
    format!(
        "node      {}\nnetwork   {}\nversion   {}\nready     {ready}\nmembers   {} reachable of {}{mode}\nholds     {} tasks, {} not ended\ndrives    {}\nqueued    {}\nrunning   {} of {} slots\ncommands  {commands}\noutbox    {}{room}{warnings}",
        status.node,
        status.network,
        status.version,
        status.reachable,
        status.members,
        status.held,
        status.held_live,
        status.driving,
        status.queued,
        status.running,
        status.slots,
        status.outbox,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_mended_is_shown_of_a_node_that_is_ready() {
        let status = NodeStatus { ready: true, warnings: vec!["too few".into()], ..NodeStatus::default() };
        let text = show(&status);
        assert!(text.contains("ready     yes\n") && text.ends_with("\nwarning   too few"), "{text}");
        assert!(!text.contains("mode"), "{text}");
    }

    #[test]
    fn what_it_does_not_do_for_now_is_shown() {
        let status = NodeStatus { read_only: true, partitioned: true, draining: true, ..NodeStatus::default() };
        assert!(show(&status).contains("\nmode      read-only, draining\n"), "{}", show(&status));
    }
}
