//! Engines that talk to each other in one process, over journals that forget what was not committed.

use super::{journal::Paper, machine::Tape};
use crate::{CallError, Config, Engine, Request, Response, Transport};
use mesh_proto::{id::NodeId, pbft::Operations, time::Wall};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{sync::watch, time::timeout};

/// Who runs.
type Running = Arc<Mutex<BTreeMap<NodeId, Arc<Engine>>>>;

#[derive(Clone)]
struct Hall {
    me: NodeId,
    running: Running,
}

impl Transport for Hall {
    async fn call(&self, to: NodeId, request: Request, within: Duration) -> Result<Response, CallError> {
        // Who is down is not heard either.
        let engine = {
            let running = self.running.lock().unwrap();
            running.get(&self.me).and_then(|_| running.get(&to).cloned())
        };
        let engine = engine.ok_or(CallError::Unreachable)?;
        let request = Request::decode(&request.encode()).map_err(|error| CallError::Malformed(error.to_string()))?;
        let response = timeout(within, engine.answer(self.me, request)).await.map_err(|_| CallError::Late)?;
        Response::decode(&response.encode()).map_err(|error| CallError::Malformed(error.to_string()))
    }
}

struct Node {
    id: NodeId,
    paper: Paper,
    dir: TempDir,
    tape: Arc<Tape>,
    seats: watch::Sender<BTreeSet<NodeId>>,
}

struct Cluster {
    running: Running,
    nodes: Vec<Node>,
}

fn config() -> Config {
    let mut config = Config::new(|| Wall(1));
    config.heartbeat = Duration::from_millis(60);
    config.election = (Duration::from_millis(120), Duration::from_millis(200));
    config
}

impl Cluster {
    async fn of(count: u8, config: &Config) -> Self {
        let nodes = (0..count).map(|number| Node {
            id: NodeId::from_bytes([number + 1; 32]),
            paper: Paper::default(),
            dir: tempfile::tempdir().unwrap(),
            tape: Arc::default(),
            seats: watch::Sender::default(),
        });
        let mut cluster = Self { running: Running::default(), nodes: nodes.collect() };
        for at in 0..cluster.nodes.len() {
            cluster.start(at, config).await;
        }
        cluster.engine(0).found().await.unwrap();
        cluster
    }

    fn hall(&self, at: usize) -> Hall {
        Hall { me: self.nodes[at].id, running: Arc::clone(&self.running) }
    }

    fn engine(&self, at: usize) -> Arc<Engine> {
        Arc::clone(&self.running.lock().unwrap()[&self.nodes[at].id])
    }

    async fn start(&mut self, at: usize, config: &Config) {
        let hall = self.hall(at);
        let node = &mut self.nodes[at];
        node.tape = Arc::default();
        let (paper, dir, tape) = (node.paper.clone(), node.dir.path().join("raft"), Arc::clone(&node.tape));
        let seats = node.seats.subscribe();
        let engine = Engine::start(node.id, config.clone(), paper, dir, tape, hall, seats).await.unwrap();
        self.running.lock().unwrap().insert(node.id, Arc::new(engine));
    }

    /// Without a word, with what it had committed.
    async fn kill(&mut self, at: usize) {
        let mut engine = self.running.lock().unwrap().remove(&self.nodes[at].id).unwrap();
        engine.stop().await;
        // Who asks it something has it for a moment. What it writes ends with it: its next life has the directory alone.
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            match Arc::try_unwrap(engine) {
                Ok(engine) => break engine.close().await,
                Err(shared) => engine = shared,
            }
            assert!(Instant::now() < until, "somebody holds on to an engine that was stopped");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let paper = self.nodes[at].paper.crashed();
        self.nodes[at].paper = paper;
    }

    fn seat(&self, seats: &[usize]) {
        let seats: BTreeSet<NodeId> = seats.iter().map(|at| self.nodes[*at].id).collect();
        self.nodes.iter().for_each(|node| drop(node.seats.send_replace(seats.clone())));
    }

    /// Says a line through whoever leads, until it is ordered.
    async fn say(&self, line: &str) -> u64 {
        let operations = Operations::pack([line.as_bytes()]).unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        while Instant::now() < until {
            let engines: Vec<_> = self.running.lock().unwrap().values().cloned().collect();
            for engine in engines {
                let ordered = timeout(Duration::from_secs(2), engine.order(operations.clone())).await;
                if let Ok(Ok((index, outcome))) = ordered {
                    assert_eq!(&*outcome, line.as_bytes());
                    return index;
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{line} is not ordered");
    }

    async fn leader(&self) -> usize {
        let mut found = None;
        self.until("somebody leads", || {
            let running = self.running.lock().unwrap();
            found = running.values().find_map(|engine| {
                let leader = engine.standing().leader?;
                running.contains_key(&leader).then_some(leader)
            });
            found.is_some()
        })
        .await;
        self.nodes.iter().position(|node| Some(node.id) == found).unwrap()
    }

    async fn until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let until = Instant::now() + Duration::from_secs(20);
        while !is_so() {
            assert!(Instant::now() < until, "{what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn all_say(&self, at: &[usize], lines: &[String]) {
        for at in at {
            let tape = Arc::clone(&self.nodes[*at].tape);
            self.until(&format!("{at} has all lines"), || distinct(tape.said()) == lines).await;
        }
    }

    async fn three(config: &Config) -> Self {
        let cluster = Self::of(3, config).await;
        for at in [1, 2] {
            let joined = cluster.engine(at);
            let (hall, of) = (cluster.hall(at), [cluster.nodes[0].id]);
            let until = Instant::now() + Duration::from_secs(10);
            while !joined.join(&hall, &of).await {
                assert!(Instant::now() < until, "nobody has it learn");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        cluster.seat(&[0, 1, 2]);
        cluster.until("all three vote", || (0..3).all(|at| cluster.engine(at).standing().is_voter)).await;
        cluster
    }
}

/// A line that was said again when its answer was lost counts once: what executes them knows their ids.
fn distinct(mut lines: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    lines.retain(|line| seen.insert(line.clone()));
    lines
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_alone_orders_at_once_and_goes_on_where_it_was() {
    let config = config();
    let mut cluster = Cluster::of(1, &config).await;
    cluster.seat(&[0]);
    let mut lines = Vec::new();
    for number in 0..20 {
        lines.push(format!("line {number}"));
        cluster.say(&lines[number]).await;
    }
    cluster.kill(0).await;
    cluster.start(0, &config).await;
    assert!(!cluster.engine(0).is_pristine());
    cluster.all_say(&[0], &lines).await;
    lines.push("after".into());
    cluster.say("after").await;
    cluster.all_say(&[0], &lines).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_survives_the_leader_and_then_everybody() {
    let config = config();
    let mut cluster = Cluster::three(&config).await;
    let mut lines = Vec::new();
    for round in 0..3 {
        for number in 0..10 {
            lines.push(format!("{round}/{number}"));
            cluster.say(lines.last().unwrap()).await;
        }
        let leader = cluster.leader().await;
        cluster.kill(leader).await;
        lines.push(format!("{round} without it"));
        cluster.say(lines.last().unwrap()).await;
        cluster.start(leader, &config).await;
        cluster.seat(&[0, 1, 2]);
    }
    cluster.all_say(&[0, 1, 2], &lines).await;
    for at in 0..3 {
        cluster.kill(at).await;
    }
    for at in 0..3 {
        cluster.start(at, &config).await;
    }
    cluster.seat(&[0, 1, 2]);
    cluster.all_say(&[0, 1, 2], &lines).await;
    // One order for all.
    assert_eq!(cluster.nodes[0].tape.lines(), cluster.nodes[1].tape.lines());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_was_away_for_long_gets_a_snapshot() {
    let mut config = config();
    (config.snapshot_after, config.kept_bytes, config.piece_bytes) = ((1 << 30, 40), 2_000, 1_000);
    let mut cluster = Cluster::three(&config).await;
    let leader = cluster.leader().await;
    let away = (leader + 1) % 3;
    cluster.kill(away).await;
    let mut lines = Vec::new();
    for number in 0..200 {
        lines.push(format!("line {number} of which there are many"));
        cluster.say(&lines[number]).await;
    }
    let engine = cluster.engine(leader);
    let paper = cluster.nodes[leader].paper.clone();
    cluster.until("the log is cut", || engine.standing().snapshot > 100 && paper.records() < 120).await;
    drop(engine);
    cluster.start(away, &config).await;
    cluster.seat(&[0, 1, 2]);
    cluster.all_say(&[0, 1, 2], &lines).await;
    let executed = cluster.nodes[away].tape.executed();
    assert!(executed < 150, "it came by entries: {executed}");
    // From its own disk, too: the snapshot, and the log behind it.
    cluster.kill(away).await;
    cluster.start(away, &config).await;
    cluster.seat(&[0, 1, 2]);
    cluster.all_say(&[away], &lines).await;
    assert!(cluster.nodes[away].paper.records() < 150, "{}", cluster.nodes[away].paper.records());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_configuration_follows_the_seats_and_who_is_out_hears_of_it() {
    let config = config();
    let mut cluster = Cluster::three(&config).await;
    cluster.say("three").await;
    // Whoever leads is the one that goes.
    let leader = cluster.leader().await;
    let stay: Vec<usize> = (0..3).filter(|at| *at != leader).collect();
    assert!(!cluster.engine(leader).is_out(&cluster.hall(leader), &[], true).await);
    cluster.seat(&stay);
    let (gone, ids) = (cluster.engine(leader), stay.iter().map(|at| cluster.nodes[*at].id).collect::<Vec<_>>());
    gone.stand(false);
    let until = Instant::now() + Duration::from_secs(20);
    while !gone.is_out(&cluster.hall(leader), &ids, true).await {
        assert!(Instant::now() < until, "it never hears of it");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(gone);
    cluster.kill(leader).await;
    // Both are needed now, and they are enough.
    cluster.say("two").await;
    // To one: the other's vote is needed until it is out.
    let (last, other) = (stay[0], stay[1]);
    cluster.seat(&[last]);
    let id = [cluster.nodes[last].id];
    let (engine, hall) = (cluster.engine(other), cluster.hall(other));
    let until = Instant::now() + Duration::from_secs(20);
    while !engine.is_out(&hall, &id, true).await {
        assert!(Instant::now() < until, "the second never hears of it");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(engine);
    cluster.kill(other).await;
    cluster.say("one").await;
    cluster.all_say(&[last], &["three".into(), "two".into(), "one".into()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_quorum_nothing_is_answered_and_nobody_is_taken_for_the_leader() {
    let config = config();
    let mut cluster = Cluster::three(&config).await;
    cluster.say("before").await;
    let leader = cluster.leader().await;
    for at in (0..3).filter(|at| *at != leader) {
        cluster.kill(at).await;
    }
    let engine = cluster.engine(leader);
    let operations = Operations::pack([&b"never"[..]]).unwrap();
    assert!(timeout(Duration::from_millis(700), engine.order(operations)).await.is_err(), "it is answered");
    cluster.until("it says that nobody leads", || engine.standing().leader.is_none()).await;
}
