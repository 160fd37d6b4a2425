//! The gateways' processes, as the bench sees them.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::net::unix::pipe;

use super::wire::{Load, Order, Report, Word};
use crate::testnet::{NodeState, Process, Testnet, TestnetError, Usage};

/// All gateways. Those that run are killed when this is dropped.
pub struct Gateways(Vec<Gateway>);

struct Gateway {
    /// Its number in the testnet.
    node: usize,
    child: Child,
    process: Option<Process>,
    orders: ChildStdin,
    words: Lines<BufReader<pipe::Receiver>>,
    log: PathBuf,
}

impl Gateways {
    /// Starts one for each node from `first` on.
    pub fn start(binary: &Path, net: &Testnet, first: usize) -> Result<Self, TestnetError> {
        let nodes = net.nodes().iter().enumerate().skip(first);
        nodes.map(|(number, node)| Gateway::start(binary, number, node)).collect::<Result<_, _>>().map(Self)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Processor time of all together.
    pub fn cpu(&self) -> Duration {
        let processes: Vec<_> = self.0.iter().map(|gateway| gateway.process).collect();
        Usage::of(&processes).iter().map(|usage| usage.cpu).sum()
    }

    /// Waits until each is answered by so many of so many members.
    pub async fn reach(&mut self, members: usize, answering: usize, patience: Duration) -> Result<(), TestnetError> {
        self.tell(|_| Order::Reach { members, answering })?;
        for gateway in &mut self.0 {
            match gateway.word(patience).await? {
                Word::Reached => {}
                word => return Err(gateway.odd(&word)),
            }
        }
        Ok(())
    }

    /// Has each offer its part of a load, which begins where the load says.
    pub fn offer(&mut self, load: &Load) -> Result<(), TestnetError> {
        self.tell(|gateway| Order::Offer(Load { gateway, ..load.clone() }))
    }

    /// What they measured.
    pub async fn reports(&mut self, patience: Duration) -> Result<Vec<Report>, TestnetError> {
        let mut reports = Vec::with_capacity(self.0.len());
        for gateway in &mut self.0 {
            match gateway.word(patience).await? {
                Word::Offered(report) => reports.push(*report),
                word => return Err(gateway.odd(&word)),
            }
        }
        Ok(reports)
    }

    /// Has all that was answered covered by a checkpoint, and says by which at the latest; under Raft by a batch.
    pub async fn settle(&mut self, patience: Duration) -> Result<u64, TestnetError> {
        let Some(gateway) = self.0.first_mut() else { return Ok(0) };
        gateway.tell(&Order::Settle)?;
        match gateway.word(patience).await? {
            Word::Settled { index } => Ok(index),
            word => Err(gateway.odd(&word)),
        }
    }

    fn tell(&mut self, order: impl Fn(usize) -> Order) -> Result<(), TestnetError> {
        self.0.iter_mut().enumerate().try_for_each(|(number, gateway)| gateway.tell(&order(number)))
    }
}

impl Gateway {
    fn start(binary: &Path, number: usize, node: &NodeState) -> Result<Self, TestnetError> {
        let log = File::options().create(true).append(true).open(&node.log);
        let log = log.map_err(TestnetError::io("open the log", &node.log))?;
        let mut command = Command::new(binary);
        // As for the other nodes: their meshd.toml says it all.
        let inherited =
            std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(|name| name.starts_with("MESHD_")));
        inherited.for_each(|(name, _)| {
            command.env_remove(name);
        });
        command.arg("--data-dir").arg(&node.data_dir).args(["bench", "gateway"]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(TestnetError::io("start", binary))?;
        match pipes(&mut child) {
            Ok((orders, words)) => {
                let process = Process::of(child.id());
                let words = BufReader::new(words).lines();
                Ok(Self { node: number, child, process, orders, words, log: node.log.clone() })
            }
            Err(error) => {
                end(&mut child);
                Err(TestnetError::io("talk to", binary)(error))
            }
        }
    }

    fn tell(&mut self, order: &Order) -> Result<(), TestnetError> {
        let line = serde_json::to_string(order).map_err(std::io::Error::other);
        let said = line.and_then(|line| writeln!(self.orders, "{line}"));
        match said {
            Ok(()) => Ok(()),
            Err(error) => Err(self.ended(error.to_string())),
        }
    }

    async fn word(&mut self, patience: Duration) -> Result<Word, TestnetError> {
        let line = match tokio::time::timeout(patience, self.words.next_line()).await {
            Err(_) => {
                let why = "the gateway said nothing".to_owned();
                let log = self.tail();
                return Err(TestnetError::TimedOut { node: self.node, seconds: patience.as_secs(), why, log });
            }
            Ok(Err(error)) => return Err(self.ended(error.to_string())),
            Ok(Ok(None)) => {
                let status = self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
                return Err(self.ended(status));
            }
            Ok(Ok(Some(line))) => line,
        };
        serde_json::from_str(&line).map_err(|error| self.ended(error.to_string()))
    }

    /// Why it does not go on.
    fn odd(&self, word: &Word) -> TestnetError {
        match word {
            Word::Failed { why } => self.ended(why.clone()),
            Word::Reached | Word::Offered(_) | Word::Settled { .. } => self.ended(format!("it said {word:?}")),
        }
    }

    fn ended(&self, status: String) -> TestnetError {
        TestnetError::Ended { node: self.node, status, log: self.tail() }
    }

    fn tail(&self) -> String {
        crate::testnet::log_tail(&self.log)
    }
}

fn pipes(child: &mut Child) -> std::io::Result<(ChildStdin, pipe::Receiver)> {
    let missing = || std::io::Error::from(std::io::ErrorKind::BrokenPipe);
    let orders = child.stdin.take().ok_or_else(missing)?;
    let words = OwnedFd::from(child.stdout.take().ok_or_else(missing)?);
    Ok((orders, pipe::Receiver::from_owned_fd(words)?))
}

/// Kills a process and waits for it: its files are removed next.
fn end(child: &mut Child) {
    if let Err(error) = child.kill().and_then(|()| child.wait()) {
        tracing::warn!(%error, "a gateway did not end");
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}
