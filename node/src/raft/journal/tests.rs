//! An engine over the node's own log, on a disk that tears: whatever was answered is there behind any crash, once.

use super::*;
use crate::log::sim_disk::SimDisk;
use mesh_proto::{id::NodeId, pbft::Operations, task::Octets, time::Wall};
use mesh_raft::{
    CallError, Config, Engine, Machine, OrderError, Ordered, Request, Response, State, Stopped, Transport,
};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::time::{sleep, timeout};

const ME: NodeId = NodeId::from_bytes([1; 32]);

/// There is nobody else.
#[derive(Clone)]
struct Nobody;

impl Transport for Nobody {
    async fn call(&self, _: NodeId, _: Request, _: Duration) -> Result<Response, CallError> {
        Err(CallError::Unreachable)
    }
}

/// What was executed.
#[derive(Default)]
struct Tape(Mutex<Vec<Vec<u8>>>);

#[derive(Clone)]
struct Nothing;

impl State for Nothing {
    fn pieces(self) -> impl Iterator<Item = Vec<u8>> {
        std::iter::empty()
    }
}

impl Machine for Tape {
    type State = Nothing;

    async fn execute(&self, entries: Vec<Ordered>) -> Result<Vec<Vec<Octets>>, Stopped> {
        let mut lines = self.0.lock().unwrap();
        let outcomes = entries.into_iter().map(|entry| {
            let requests = entry.requests.iter();
            let said = requests.map(|request| request.iter().map(<[u8]>::to_vec).collect::<Vec<_>>().concat());
            let said: Vec<Vec<u8>> = said.collect();
            lines.extend(said.iter().cloned());
            said.into_iter().map(Octets::from).collect()
        });
        Ok(outcomes.collect())
    }

    fn state(&self) -> Nothing {
        Nothing
    }

    async fn install(&self, _: Vec<Vec<u8>>) -> Result<(), Stopped> {
        self.0.lock().unwrap().clear();
        Ok(())
    }
}

fn config() -> Config {
    let mut config = Config::new(|| Wall(1));
    config.heartbeat = Duration::from_millis(10);
    config.election = (Duration::from_millis(30), Duration::from_millis(60));
    config
}

fn log_config() -> LogConfig {
    LogConfig { segment_size: 16 * 1024, free_segments: 1 }
}

/// Says a line until it is ordered, or the engine has ended.
async fn say(engine: &Engine, line: &str) -> bool {
    let until = Instant::now() + Duration::from_secs(20);
    while Instant::now() < until {
        let operations = Operations::pack([line.as_bytes()]).unwrap();
        match timeout(Duration::from_secs(5), engine.order(operations)).await {
            Ok(Ok((_, outcome))) => {
                assert_eq!(&*outcome, line.as_bytes());
                return true;
            }
            Ok(Err(OrderError::Ended)) => return false,
            Ok(Err(_)) | Err(_) if engine.standing().ended.is_some() => return false,
            Ok(Err(_)) | Err(_) => sleep(Duration::from_millis(2)).await,
        }
    }
    panic!("{line} is not ordered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_is_there_behind_every_crash() {
    let mut cut = 0;
    for seed in 0..16u64 {
        let (disk, dir) = (SimDisk::new(), tempfile::tempdir().unwrap());
        let (mut answered, mut said) = (Vec::<String>::new(), 0);
        for life in 0..5u64 {
            let found = on(disk.mount(), &log_config(), StoreId(7)).unwrap().unwrap();
            assert_eq!(found.is_empty, life == 0, "seed {seed}, life {life}");
            let tape = Arc::new(Tape::default());
            let (raft, seats) = (dir.path().join("raft"), tokio::sync::watch::Sender::default().subscribe());
            let of = Engine::start(ME, config(), found.log, raft, Arc::clone(&tape), Nobody, seats);
            let engine = of.await.unwrap();
            engine.found().await.unwrap();
            assert!(say(&engine, &format!("life {life}")).await, "seed {seed}, life {life}: it does not go on");
            let lines: Vec<String> =
                tape.0.lock().unwrap().iter().map(|line| String::from_utf8(line.clone()).unwrap()).collect();
            let kept: Vec<String> = lines.iter().filter(|line| answered.contains(line)).cloned().collect();
            assert_eq!(kept, answered, "seed {seed}, life {life}");
            answered.push(format!("life {life}"));
            disk.lose_power_after(1 + (seed * 7 + life * 13) % 60);
            for _ in 0..40 {
                said += 1;
                let line = format!("line {said} of some length {}", "x".repeat((said % 9) * 100));
                if !say(&engine, &line).await {
                    cut += 1;
                    break;
                }
                answered.push(line);
            }
            engine.stop().await;
            engine.close().await;
            disk.crash(seed * 100 + life);
        }
    }
    assert!(cut > 40, "the power went {cut} times only");
}

#[test]
fn what_belongs_to_another_disk_or_is_half_gone_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("raft");
    assert!(open(&path, &log_config(), StoreId(1)).unwrap().is_empty);
    assert!(matches!(open(&path, &log_config(), StoreId(2)), Err(OpenError::Foreign { .. })));
    std::fs::write(path.join("snapshot"), "of something").unwrap();
    assert!(matches!(open(&path, &log_config(), StoreId(1)), Err(OpenError::Lost { .. })));
    let mut found = on(FileDisk::open(path.join("log")).unwrap(), &log_config(), StoreId(1)).unwrap().unwrap();
    found.log.append(b"a record").unwrap();
    found.log.commit().unwrap();
    drop(found);
    assert!(!open(&path, &log_config(), StoreId(1)).unwrap().is_empty);
}
