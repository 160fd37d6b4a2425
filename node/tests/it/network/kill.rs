//! A process that is killed says nothing; its peers must notice all the same.

use super::harness::{Network, QUIC, TCP};
use meshd::network::Config;
use std::{
    env,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const MAKER: [u8; 32] = [42; 32];
const LISTEN: &str = "MESHD_TEST_VICTIM_LISTENS_ON";

/// Not a test: the process that is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by the other tests of this module"]
async fn victim() {
    let Ok(listen) = env::var(LISTEN) else { return };
    let node = Network::of_maker(&MAKER, "kill").member().listen(&listen).start().await;
    println!("\nvictim {}", node.address());
    tokio::time::sleep(Duration::from_secs(60)).await;
}

/// How long it takes to notice.
async fn notice(listen: &str) -> Duration {
    let mut victim = Command::new(env::current_exe().unwrap())
        .args(["--exact", "network::kill::victim", "--ignored", "--nocapture"])
        .env(LISTEN, listen)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(victim.stdout.take().unwrap());
    let address = said.lines().map_while(Result::ok).find_map(|line| line.strip_prefix("victim ").map(str::to_owned));
    let address = address.expect("the victim says where it listens").parse().unwrap();
    let mut survivor = Network::of_maker(&MAKER, "kill").member().bootstrap(&address).start().await;
    let node = survivor.up().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let start = Instant::now();
    victim.kill().unwrap();
    assert_eq!(survivor.down().await, node);
    let took = start.elapsed();
    victim.wait().unwrap();
    println!("{listen}: noticed after {took:?}");
    took
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tcp_notices_a_killed_process_at_once() {
    let took = notice(TCP).await;
    // At once, and not by its silence.
    assert!(took < Config::default().quic_idle_timeout, "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quic_notices_a_killed_process_by_its_silence() {
    let took = notice(QUIC).await;
    assert!(took < Config::default().quic_idle_timeout + Duration::from_secs(3), "{took:?}");
}
