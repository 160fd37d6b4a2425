use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use mesh_proto::genesis::Engine;
use rustix::process::Signal;

use super::state::{NodeState, State};
use super::{Gateways, Process, TestnetError, Usage, layout, process, scratch, state, wait};
use crate::api::node::NodeStatus;

/// How a testnet is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// The program that the nodes run.
    pub binary: PathBuf,
    /// Commands that tasks may run. Default: those of a fixed list that this machine has.
    pub allow: Vec<String>,
    /// Tasks may read files by path. Default: true, since all nodes are on this machine.
    pub in_place: bool,
    /// Commands that run at once on each node; the last number is that of all further nodes. Default: the nodes' own.
    pub slots: Vec<u32>,
    /// What the nodes log, as `tracing.filter` has it. Default: the nodes' own.
    pub log: Option<String>,
    /// More of every node's `meshd.toml`: whole sections that are none of `network`, `api`, `exec` and `tracing`.
    pub more: String,
    /// How their committee agrees. Default: pBFT.
    pub engine: Engine,
    /// How long to wait for the nodes to find each other. Default: 60 s.
    pub patience: Duration,
    /// The nodes outlive this process. Default: false.
    pub detached: bool,
    /// So many nodes, the last ones, are made and not started: the caller runs them in processes of its own. Default: 0.
    pub held_back: usize,
}

/// Harmless commands for trying out.
const COMMANDS: [&str; 16] = [
    "true",
    "false",
    "cat",
    "gzip",
    "bzip2",
    "xz",
    "sha256sum",
    "md5sum",
    "wc",
    "sort",
    "head",
    "tail",
    "sleep",
    "date",
    "grep",
    "tr",
];

impl Options {
    /// The defaults, with `binary` for the nodes to run.
    pub fn new(binary: PathBuf) -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let there = |name: &str| std::env::split_paths(&path).any(|dir| dir.join(name).is_file());
        Self {
            binary,
            allow: COMMANDS.iter().filter(|name| there(name)).map(ToString::to_string).collect(),
            in_place: true,
            slots: Vec::new(),
            log: None,
            more: String::new(),
            engine: Engine::Pbft,
            patience: Duration::from_secs(60),
            detached: false,
            held_back: 0,
        }
    }
}

/// A mesh of real processes on this machine. What is not detached is killed when this is dropped.
///
/// On Linux a node that is not detached dies with the thread that started it: use this from a thread that lives as long
/// as the testnet, such as the main one under a current-thread runtime.
#[derive(Debug)]
pub struct Testnet {
    dir: PathBuf,
    state: State,
    /// Those that this process started, to be waited for.
    children: BTreeMap<usize, Child>,
    /// Nodes are started so that they outlive this process.
    detached: bool,
    /// They are not killed when this is dropped.
    left: bool,
    patience: Duration,
}

impl Testnet {
    /// Makes `count` nodes in `dir`, which must be empty or not there, starts them and waits until each reaches all.
    pub async fn up(dir: &Path, count: usize, options: &Options) -> Result<Self, TestnetError> {
        // What `down` removes must be the testnet's own.
        if std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(TestnetError::Exists { path: dir.into() });
        }
        let state = layout::make(dir, count, options)?;
        let (detached, patience) = (options.detached, options.patience);
        let mut net = Self { dir: dir.into(), state, children: BTreeMap::new(), detached, left: false, patience };
        for node in 0..count.saturating_sub(options.held_back) {
            net.start(node)?;
        }
        net.wait_whole().await?;
        // One that does not come up is not left behind.
        net.left = detached;
        Ok(net)
    }

    /// Whether its nodes stay when this is dropped, which those of a detached one do. They must be detached for that.
    pub fn leave(&mut self, left: bool) {
        self.left = left;
    }

    /// The testnet that another process started in `dir`. Its nodes stay when this is dropped.
    pub fn open(dir: &Path) -> Result<Self, TestnetError> {
        let state = State::read(dir)?;
        let patience = Duration::from_secs(60);
        Ok(Self { dir: dir.into(), state, children: BTreeMap::new(), detached: true, left: true, patience })
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether what the nodes sync survives a loss of power: not where files live in memory.
    pub fn is_on_disk(&self) -> bool {
        scratch::is_on_disk(&self.dir)
    }

    /// The file with the token of all nodes' APIs.
    pub fn token_file(&self) -> PathBuf {
        self.dir.join(layout::TOKEN)
    }

    /// The token of all nodes' APIs.
    pub fn token(&self) -> Result<String, TestnetError> {
        layout::read_token(&self.dir)
    }

    /// Its nodes, by their number.
    pub fn nodes(&self) -> &[NodeState] {
        &self.state.nodes
    }

    /// Those whose processes are there, stopped ones included.
    pub fn running(&self) -> Vec<usize> {
        (0..self.state.nodes.len()).filter(|node| self.state.nodes[*node].is_running()).collect()
    }

    /// The number of the node with this peer id.
    pub fn number_of(&self, node: &str) -> Option<usize> {
        self.state.nodes.iter().position(|other| other.node == node)
    }

    /// A client that turns to these nodes, the first of them first.
    pub fn gateways(&self, order: &[usize]) -> Result<Gateways, TestnetError> {
        let nodes: Result<Vec<_>, TestnetError> = order.iter().map(|node| Ok(self.node(*node)?.api())).collect();
        Ok(Gateways::new(&nodes?, &self.token()?))
    }

    /// Starts a node that does not run. Returns before it is ready: see [`Self::wait_whole`].
    pub fn start(&mut self, node: usize) -> Result<(), TestnetError> {
        if self.node(node)?.is_running() {
            return Ok(());
        }
        let (child, process) = process::start(&self.state.binary, &self.state.nodes[node], self.detached)?;
        self.state.nodes[node].process = Some(process);
        self.children.insert(node, child);
        self.state.write(&self.dir)
    }

    /// kill -9. The process is gone when this returns.
    pub fn kill(&mut self, node: usize) -> Result<(), TestnetError> {
        self.signal(node, Signal::KILL)?;
        self.reap(node, Duration::from_secs(10))
    }

    /// kill -9 of all that run, before any of them is waited for.
    pub fn kill_all(&mut self) -> Result<(), TestnetError> {
        let running = self.running();
        for node in &running {
            self.signal(*node, Signal::KILL)?;
        }
        running.into_iter().try_for_each(|node| self.reap(node, Duration::from_secs(10)))
    }

    /// Asks a node to stop, and waits until it has.
    pub fn terminate(&mut self, node: usize) -> Result<(), TestnetError> {
        self.signal(node, Signal::TERM)?;
        // One that is stopped hears nothing before it goes on; another may have ended by now.
        match self.signal(node, Signal::CONT) {
            Err(TestnetError::NotRunning { .. }) => {}
            went_on => went_on?,
        }
        self.reap(node, Duration::from_secs(20))
    }

    /// Freezes a node: it neither runs nor closes its connections.
    pub fn stop(&mut self, node: usize) -> Result<(), TestnetError> {
        self.signal(node, Signal::STOP)
    }

    /// Lets a frozen node go on.
    pub fn cont(&mut self, node: usize) -> Result<(), TestnetError> {
        self.signal(node, Signal::CONT)
    }

    /// Starts a node again, after ending it if it runs; lets a frozen one go on first.
    pub fn restart(&mut self, node: usize) -> Result<(), TestnetError> {
        if self.node(node)?.is_running() {
            self.terminate(node)?;
        }
        self.start(node)
    }

    /// Removes the data directory of a node that does not run: its disk is lost.
    pub fn lose_disk(&mut self, node: usize) -> Result<(), TestnetError> {
        let dir = &self.node(node)?.data_dir;
        std::fs::remove_dir_all(dir).map_err(TestnetError::io("remove", dir))
    }

    /// Ends all nodes and removes what [`Self::up`] made, and the directory if nothing else is in it.
    pub fn down(mut self) -> Result<(), TestnetError> {
        self.kill_all()?;
        for node in &self.state.nodes {
            absent_or(std::fs::remove_dir_all(&node.data_dir)).map_err(TestnetError::io("remove", &node.data_dir))?;
            absent_or(std::fs::remove_file(&node.log)).map_err(TestnetError::io("remove", &node.log))?;
        }
        for name in [layout::TOKEN, state::STATE] {
            let path = self.dir.join(name);
            absent_or(std::fs::remove_file(&path)).map_err(TestnetError::io("remove", &path))?;
        }
        match std::fs::remove_dir(&self.dir) {
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => Ok(()),
            removed => removed.map_err(TestnetError::io("remove", &self.dir)),
        }
    }

    /// Waits until every running node is ready and reaches all running ones.
    pub async fn wait_whole(&mut self) -> Result<(), TestnetError> {
        let running = self.running();
        // A node that should run and has ended is an error, not one less to wait for.
        let started: Vec<usize> = (0..self.state.nodes.len())
            .filter(|node| running.contains(node) || self.children.contains_key(node))
            .collect();
        if started.is_empty() {
            return Ok(());
        }
        let until = Instant::now() + self.patience;
        let gateways = self.gateways(&started)?;
        for (at, node) in started.iter().enumerate() {
            let wanted = u32::try_from(started.len()).unwrap_or(u32::MAX);
            wait::whole(&gateways, at, *node, wanted, until, self.patience, &mut |node| self.ended(node)).await?;
        }
        Ok(())
    }

    /// Waits until a node answers, whomever it reaches.
    pub async fn wait_answers(&mut self, node: usize) -> Result<(), TestnetError> {
        let gateways = self.gateways(&[node])?;
        let until = Instant::now() + self.patience;
        wait::answers(&gateways, node, until, self.patience, &mut |node| self.ended(node)).await
    }

    /// What a node says of itself.
    pub async fn status(&self, node: usize) -> Result<NodeStatus, TestnetError> {
        Ok(self.gateways(&[node])?.status(0).await?)
    }

    /// What each node and its tasks use.
    pub fn usage(&self) -> Vec<Usage> {
        let processes: Vec<_> = self.state.nodes.iter().map(|node| node.process).collect();
        Usage::of(&processes)
    }

    /// The end of a node's log.
    pub fn log_tail(&self, node: usize) -> String {
        self.state.nodes.get(node).map_or_else(String::new, |node| wait::tail(&node.log))
    }

    /// How a node that this process started ended, if it has and was not told to.
    pub fn exit_of(&mut self, node: usize) -> Option<ExitStatus> {
        self.children.get_mut(&node).and_then(|child| child.try_wait().ok().flatten())
    }

    /// How a node that this process started ended, if it has, and the end of its log.
    fn ended(&mut self, node: usize) -> (Option<String>, String) {
        let ended = self.exit_of(node);
        (ended.map(|status| status.to_string()), self.log_tail(node))
    }

    fn node(&self, node: usize) -> Result<&NodeState, TestnetError> {
        let last = self.state.nodes.len().saturating_sub(1);
        self.state.nodes.get(node).ok_or(TestnetError::NoSuchNode { node, last })
    }

    fn signal(&mut self, node: usize, signal: Signal) -> Result<(), TestnetError> {
        let process: Process = self.node(node)?.process.ok_or(TestnetError::NotRunning { node })?;
        match process.signal(signal) {
            true => Ok(()),
            false => Err(TestnetError::NotRunning { node }),
        }
    }

    /// Waits until a node that was told to end is gone.
    fn reap(&mut self, node: usize, patience: Duration) -> Result<(), TestnetError> {
        let until = Instant::now() + patience;
        let process = self.node(node)?.process;
        while process.is_some_and(|process| process.is_alive()) {
            if Instant::now() > until {
                let why = "it was told to end and has not".to_string();
                return Err(TestnetError::TimedOut {
                    node,
                    seconds: patience.as_secs(),
                    why,
                    log: self.log_tail(node),
                });
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        if let Some(mut child) = self.children.remove(&node) {
            child.wait().map_err(TestnetError::io("wait for", &self.state.binary))?;
        }
        self.state.nodes[node].process = None;
        self.state.write(&self.dir)
    }
}

/// What is gone already is removed, too.
fn absent_or(removed: std::io::Result<()>) -> std::io::Result<()> {
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

impl Drop for Testnet {
    fn drop(&mut self) {
        if self.left {
            return;
        }
        for (node, child) in &mut self.children {
            // What is left has nobody to tell but the log: a node that cannot be killed has died already.
            if let Err(error) = child.kill().and_then(|()| child.wait()) {
                tracing::warn!(node, %error, "a node of the testnet did not end");
            }
        }
    }
}
