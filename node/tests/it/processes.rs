//! Faults on real processes, with real syncs. The nodes are the real binary.
//!
//! One test at a time: each starts a mesh of its own, and what is measured or timed out must not be another's work.

mod after;
mod aggregated;
mod agreement;
mod all_at_once;
mod benches;
mod blobs;
mod deployed;
mod drain;
mod drawn;
mod forgotten;
mod frozen;
mod full_disk;
mod in_place;
mod interrupted;
mod lan;
mod ledger;
mod locks;
mod lost_node;
mod many;
mod names;
mod one_dies;
mod orphans;
mod out_dir;
mod placing;
mod ports;
mod raft;
mod redundant;
mod requirements;
mod revoked;
mod tryout;
mod unique;
mod verbs;
#[cfg(feature = "wasm")]
mod wasm;
mod workers;

use meshd::api::jobs::submit::JobHeader;
use meshd::api::result::TaskResult;
use meshd::api::submission::{Command, Item, ProgramSpec};
use meshd::api::terms::Terms;
use meshd::testnet::{Job, Options, Testnet, Tracker};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};

pub static TURN: Mutex<()> = Mutex::const_new(());

/// Long enough for a loaded machine; a test that reaches it has failed.
const PATIENCE: Duration = Duration::from_secs(90);

/// A mesh, and the turn to use the machine. Dropped in this order: the nodes end before their directory goes.
struct Mesh {
    net: Testnet,
    _dir: Option<TempDir>,
    _turn: Option<MutexGuard<'static, ()>>,
}

impl Mesh {
    async fn up(nodes: usize) -> Self {
        Self::up_with(nodes, |_| {}).await
    }

    async fn up_with(nodes: usize, change: impl FnOnce(&mut Options)) -> Self {
        let turn = TURN.lock().await;
        let dir = tempfile::tempdir().expect("a directory");
        let mesh = Self::up_in(dir.path(), nodes, change).await;
        Self { _dir: Some(dir), _turn: Some(turn), ..mesh }
    }

    /// In a directory of the caller's, who has the turn.
    async fn up_in(dir: &Path, nodes: usize, change: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options::new(PathBuf::from(env!("CARGO_BIN_EXE_meshd")));
        // Each node talks to each.
        options.patience = PATIENCE.max(Duration::from_secs(4) * u32::try_from(nodes).unwrap_or(u32::MAX));
        change(&mut options);
        let begun = Instant::now();
        let net = match Testnet::up(&dir.join("net"), nodes, &options).await {
            Ok(net) => net,
            Err(error) => panic!("{error}"),
        };
        println!("{nodes} nodes were up after {:?}", begun.elapsed());
        Self { net, _dir: None, _turn: None }
    }

    /// Ends well, or shows what the nodes said.
    #[track_caller]
    fn check<T>(&self, what: Result<T, meshd::testnet::TestnetError>) -> T {
        what.unwrap_or_else(|error| {
            for node in 0..self.net.nodes().len() {
                println!("== node {node}:\n{}", self.net.log_tail(node));
            }
            panic!("{error}");
        })
    }
}

/// A job of `count` items that each hash a text of their own.
fn hashes(name: &str, count: usize) -> Job {
    let command = Command { argv: vec!["sha256sum".into()], ..Command::default() };
    job(name, ProgramSpec::Exec(command), count)
}

fn job(name: &str, program: ProgramSpec, count: usize) -> Job {
    let terms = Terms { born: Some(jiff::Timestamp::now().to_string()), ..Terms::default() };
    let key = format!("{name}-{:x}", rand::random::<u64>());
    let header =
        JobHeader { name: name.into(), key: Some(key), program, terms, count: Some(count as u64), after: Vec::new() };
    let items = (0..count).map(|at| Item { stdin: Some(text(at)), ..Item::default() }).collect();
    Job { header, items, rate: None, placed: false, patience: PATIENCE }
}

fn text(at: usize) -> String {
    format!("the text of item {at}\n")
}

/// Every item has the one result that its program gives.
#[track_caller]
fn check_hashes(tracker: &Tracker) {
    assert_eq!(tracker.contradictions, Vec::<String>::new());
    assert_eq!(tracker.open(), 0);
    for (at, told) in tracker.told().iter().enumerate() {
        let result = &told.as_ref().expect("none is open").result;
        assert_eq!(result.stdout.as_deref(), Some(hash_line(&text(at)).as_str()), "item {at}: {result:?}");
    }
}

fn hash_line(text: &str) -> String {
    use sha2::Digest as _;
    format!("{}  -\n", data_encoding::HEXLOWER.encode(&sha2::Sha256::digest(text)))
}

fn is_done(result: &TaskResult) -> bool {
    result.state == "done" && result.exit_code.is_none_or(|code| code == 0)
}

/// Waits until something holds.
pub async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
