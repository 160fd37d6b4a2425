//! `meshd testnet`: a mesh of several nodes on this machine.

use std::io::Write as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::Failure;
use super::output::Output;
use crate::api::node::NodeStatus;
use crate::testnet::{self, NodeState, Options};

#[derive(Debug, Subcommand)]
pub(super) enum Testnet {
    /// Start a mesh, wait until all nodes reach each other, and leave it running.
    Up(Up),
    /// End all nodes and remove what they wrote.
    Down(Where),
    /// Which nodes run, and what they say of themselves.
    Status(Where),
    /// Kill a node with -9.
    Kill(One),
    /// Freeze a node with SIGSTOP; `cont` or `restart` lets it go on.
    Stop(One),
    /// Let a frozen node go on.
    Cont(One),
    /// Start a node that was killed, or end one and start it again.
    Restart(One),
}

#[derive(Debug, Args)]
pub(super) struct Where {
    /// Where the testnet is. Default: meshd-testnet beside the default data directory.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct One {
    /// The node's number, from 0.
    node: usize,
    #[command(flatten)]
    place: Where,
}

#[derive(Debug, Args)]
pub(super) struct Up {
    /// How many nodes.
    #[arg(long, default_value = "5", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=200))]
    nodes: u16,
    /// A command that tasks may run, in place of a harmless choice; may be repeated.
    #[arg(long, value_name = "COMMAND")]
    allow: Vec<String>,
    /// Tasks that run at once on each node. Of several numbers the last is that of all further nodes: `8,2`.
    #[arg(long, value_name = "N", value_delimiter = ',')]
    slots: Vec<u32>,
    #[command(flatten)]
    place: Where,
}

/// A node as `status` shows it.
#[derive(Debug, Serialize)]
struct Row {
    node: usize,
    id: String,
    state: &'static str,
    pid: Option<u32>,
    api: String,
    members: u32,
    reachable: u32,
    held: u64,
    running: u64,
    data_dir: PathBuf,
    log: PathBuf,
}

impl Where {
    fn dir(&self) -> PathBuf {
        self.dir.clone().unwrap_or_else(testnet::default_dir)
    }

    fn open(&self) -> Result<testnet::Testnet, Failure> {
        Ok(testnet::Testnet::open(&self.dir())?)
    }
}

impl Testnet {
    pub(super) async fn run(&self, output: Output) -> Result<(), Failure> {
        match self {
            Self::Up(up) => up.run(output).await,
            Self::Down(place) => {
                let net = place.open()?;
                let count = net.nodes().len();
                net.down()?;
                (0..count).try_for_each(|node| changed(output, node, "down"))
            }
            Self::Status(place) => status(&place.open()?, output).await,
            Self::Kill(one) => {
                one.place.open()?.kill(one.node)?;
                changed(output, one.node, "down")
            }
            Self::Stop(one) => {
                one.place.open()?.stop(one.node)?;
                changed(output, one.node, "silent")
            }
            Self::Cont(one) => {
                let mut net = one.place.open()?;
                net.cont(one.node)?;
                if output.is_text() {
                    return Ok(());
                }
                changed(output, one.node, state(&net, one.node).await.0)
            }
            Self::Restart(one) => {
                let mut net = one.place.open()?;
                net.restart(one.node)?;
                net.wait_answers(one.node).await?;
                changed(output, one.node, state(&net, one.node).await.0)
            }
        }
    }
}

/// What became of a node: said to programs alone, as people see that it was done.
fn changed(output: Output, node: usize, state: &str) -> Result<(), Failure> {
    match output.is_text() {
        true => Ok(()),
        false => Ok(output.put(&serde_json::json!({ "node": node, "state": state }), |_| String::new())?),
    }
}

/// A node's state, and what it says of itself, if it says anything.
async fn state(net: &testnet::Testnet, number: usize) -> (&'static str, Option<NodeStatus>) {
    if !net.running().contains(&number) {
        return ("down", None);
    }
    match net.status(number).await {
        Ok(status) if status.ready => ("ready", Some(status)),
        Ok(status) => ("not ready", Some(status)),
        Err(_) => ("silent", None),
    }
}

impl Up {
    async fn run(&self, output: Output) -> Result<(), Failure> {
        let mut options = Options::new(std::env::current_exe()?);
        if !self.allow.is_empty() {
            options.allow.clone_from(&self.allow);
        }
        options.slots.clone_from(&self.slots);
        options.detached = true;
        let dir = std::path::absolute(self.place.dir())?;
        let net = testnet::Testnet::up(&dir, usize::from(self.nodes), &options).await?;
        if output.is_text() {
            return Ok(writeln!(std::io::stdout(), "{}", how_to_use(&net)?)?);
        }
        status(&net, output).await
    }
}

/// What to type to play with a testnet.
pub(super) fn how_to_use(net: &testnet::Testnet) -> Result<String, Failure> {
    let program = std::env::current_exe()?;
    let (program, dir) = (program.display(), net.dir().display());
    let apis: Vec<String> = net.nodes().iter().map(NodeState::api).collect();
    let (count, up) = (net.nodes().len(), net.running());
    let up = match (0..count).find(|node| !up.contains(node)) {
        None => format!("{count} nodes are up in {dir}."),
        Some(down) => format!("{} of {count} nodes are up in {dir}, and not node {down}.", up.len()),
    };
    // What is tried first must work: one that is up is killed.
    let victim = net.running().last().copied().unwrap_or_default();
    Ok(format!(
        "{up} For all verbs to find them:\n\n\
         \x20 export MESHD_API={apis}\n\
         \x20 export MESHD_TOKEN_FILE={token}\n\n\
         Then try:\n\n\
         \x20 {program} status\n\
         \x20 {program} submit --exec -- sha256sum /etc/hostname\n\
         \x20 {program} map --exec --in-place --out-dir out -- wc -l {{}} ::: /etc/*.conf\n\
         \x20 {program} task list\n\n\
         And break it:\n\n\
         \x20 {program} testnet status --dir {dir}\n\
         \x20 {program} testnet kill {victim} --dir {dir}\n\
         \x20 {program} testnet restart {victim} --dir {dir}\n\
         \x20 {program} testnet down --dir {dir}",
        apis = apis.join(","),
        token = net.token_file().display(),
    ))
}

async fn status(net: &testnet::Testnet, output: Output) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for (number, node) in net.nodes().iter().enumerate() {
        let (state, answer) = state(net, number).await;
        let said = answer.unwrap_or_default();
        rows.push(Row {
            node: number,
            id: node.node.clone(),
            state,
            pid: node.process.filter(|process| process.is_alive()).map(|process| process.pid),
            api: node.api(),
            members: said.members,
            reachable: said.reachable,
            held: said.held,
            running: said.running,
            data_dir: node.data_dir.clone(),
            log: node.log.clone(),
        });
    }
    let head = ["node", "state", "pid", "reaches", "records", "running", "api", "id"];
    Ok(output.rows(head, &rows, |row| {
        [
            row.node.to_string(),
            row.state.to_string(),
            row.pid.map_or_else(String::new, |pid| pid.to_string()),
            said(row, format!("{} of {}", row.reachable, row.members)),
            said(row, row.held.to_string()),
            said(row, row.running.to_string()),
            row.api.clone(),
            row.id.clone(),
        ]
    })?)
}

/// What a node says of itself, if it says anything.
fn said(row: &Row, what: String) -> String {
    match row.state {
        "down" | "silent" => String::new(),
        _ => what,
    }
}
