//! A disk that stalls for longer than every time-out. Its node goes on saying that it is there, since what rests on no
//! record leaves all the same; nobody takes it for dead, and what waited is done when the disk is back.

use super::{
    Inside,
    seam::{Between, Seam},
};
use crate::processes::{TURN, until};
use meshd::{
    api::{node::NodeStatus, submission::ProgramSpec, tasks::submit::Submitted},
    client::Ask,
};
use std::{
    io,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// Holds syncs back.
#[derive(Default)]
struct Gate {
    is_closed: Mutex<bool>,
    opened: Condvar,
    somebody_waits: AtomicBool,
}

impl Gate {
    fn set(&self, closed: bool) {
        *self.is_closed.lock().unwrap() = closed;
        self.opened.notify_all();
    }

    fn pass(&self) {
        let closed = self.is_closed.lock().unwrap();
        self.somebody_waits.store(*closed, Ordering::Relaxed);
        drop(self.opened.wait_while(closed, |closed| *closed).unwrap());
    }
}

impl Between for Gate {
    fn sync(&self) -> io::Result<()> {
        self.pass();
        Ok(())
    }
}

/// Longer than the log may stand still before the probes say so.
const STALLED: Duration = Duration::from_secs(5);

/// What rests on no record is answered, with the reason why the rest is not.
async fn says_what_it_waits_for(slow: &Inside) {
    let within = async |what: &str, path: &str| {
        let asked = tokio::time::timeout(STALLED, slow.client.send(&Ask::get(path))).await;
        asked.unwrap_or_else(|_| panic!("{what} says nothing"))
    };
    let status: NodeStatus =
        tokio::time::timeout(STALLED, slow.client.ask(&Ask::get("/v1/status"))).await.expect("an answer").unwrap();
    assert_eq!((status.node.as_str(), status.ready), (slow.id.as_str(), false));
    let says = |text: &str| status.reasons.iter().any(|reason| reason.contains(text));
    assert!(says("the log has not turned") && says("what it said last"), "{:?}", status.reasons);
    for probe in ["/livez", "/readyz"] {
        // 503, and what it says is no problem document.
        let said = within(probe, probe).await.map(|response| response.status()).unwrap_err().to_string();
        assert!(said.contains("503"), "{probe}: {said}");
    }
    let metrics = within("/metrics", "/metrics").await.unwrap();
    assert!(metrics.status().is_success());
}

/// Heartbeats come each 3 s, and who says nothing for 10 s counts as silent.
const HEARTBEATS: usize = 7;

const TASKS: usize = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_stalls_is_not_taken_for_death() {
    let _turn = TURN.lock().await;
    let gate = Arc::new(Gate::default());
    let first = Inside::maker(|disk| disk).await;
    let slow = first.member(|inner| Seam { inner, between: gate.clone() }).await;
    let third = first.member(|disk| disk).await;
    for node in [&first, &slow, &third] {
        until("each reaches the two others", || node.reaches(2)).await;
    }

    gate.set(true);
    // Each its own turn of the slow node's brain and a batch for its disk: more than may wait for it.
    let mut submissions = Vec::new();
    for at in 0..TASKS {
        let request = serde_json::json!({ "program": ProgramSpec::Echo, "stdin": format!("task {at}") });
        let ask = Ask::post("/v1/tasks?wait=60s").json(&request);
        let client = if at % 2 == 0 { first.client.clone() } else { third.client.clone() };
        submissions.push(tokio::spawn(async move { client.ask::<Submitted>(&ask).await }));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    until("the slow disk is waited for", || async { gate.somebody_waits.load(Ordering::Relaxed) }).await;

    let (begun, mut heard, mut last) = (Instant::now(), [0; 2], [u64::MAX; 2]);
    while heard.iter().any(|heard| *heard < HEARTBEATS) {
        for (at, node) in [&first, &third].into_iter().enumerate() {
            let row = node.members().await.into_iter().find(|row| row.node == slow.id).unwrap();
            assert_eq!(row.state, "alive", "after {:?} and {heard:?} heartbeats", begun.elapsed());
            let age = row.heard_ms.unwrap();
            heard[at] += usize::from(age < last[at]);
            last[at] = age;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // What it says rests on its disk, so it says nothing to users.
    let asked = tokio::time::timeout(Duration::from_millis(200), slow.members()).await;
    assert!(asked.is_err(), "{asked:?}");
    says_what_it_waits_for(&slow).await;
    println!("{HEARTBEATS} heartbeats were heard from the slow node in {:?}", begun.elapsed());

    gate.set(false);
    for submission in submissions {
        let result = submission.await.unwrap().unwrap().result.expect("it has ended");
        assert_eq!(result.state, "done", "{result:?}");
    }
    // It has not taken the others for gone either, and takes new work.
    assert!(slow.reaches(2).await, "{:?}", slow.members().await);
    let ask = Ask::post("/v1/tasks?wait=60s").json(&serde_json::json!({ "program": ProgramSpec::Echo }));
    assert!(slow.client.ask::<Submitted>(&ask).await.unwrap().result.is_some());
    for node in [first, slow, third] {
        node.stop().await;
    }
}
