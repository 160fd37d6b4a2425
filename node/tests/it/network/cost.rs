//! What a round trip of small frames costs. Measured, not asserted: run by hand with `--ignored --nocapture`.

use super::harness::{Network, QUIC, TCP, within};
use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use mesh_proto::id::NodeId;
use meshd::network::{Class, FrameHandler, NetworkHandle, SendError, Violation};
use rustix::time::{ClockId, clock_gettime};
use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// Frames on their way at one time.
const WINDOW: u64 = 512;
const ROUND_TRIPS: u64 = 400_000;

/// Sends each frame back.
#[derive(Default)]
struct Echo(OnceLock<NetworkHandle>);

impl FrameHandler for Echo {
    fn frame(&self, from: NodeId, class: Class, frame: Bytes) -> BoxFuture<'_, Result<(), Violation>> {
        async move {
            self.0.get().expect("set before frames come").send(from, class, frame).expect("room for the window");
            Ok(())
        }
        .boxed()
    }
}

#[derive(Default)]
struct Count {
    returned: AtomicU64,
    progress: Notify,
}

impl FrameHandler for Count {
    fn frame(&self, _: NodeId, _: Class, _: Bytes) -> BoxFuture<'_, Result<(), Violation>> {
        let returned = self.returned.fetch_add(1, Ordering::Relaxed) + 1;
        if returned.is_multiple_of(WINDOW / 2) || returned == ROUND_TRIPS {
            self.progress.notify_one();
        }
        futures::future::ready(Ok(())).boxed()
    }
}

async fn measure(transport: &str) {
    let network = Network::new("cost");
    let (echo, count) = (Arc::new(Echo::default()), Arc::new(Count::default()));
    let mut server = network.member().handler(echo.clone()).listen(transport).start().await;
    echo.0.set(server.handle.clone()).unwrap();
    let mut client = network.member().handler(count.clone()).bootstrap(&server.address()).start().await;
    client.up().await;
    server.up().await;
    let frame = Bytes::from(vec![7; 64]);
    let (start, cpu) = (Instant::now(), cpu_time());
    let mut sent = 0;
    while count.returned.load(Ordering::Relaxed) < ROUND_TRIPS {
        while sent < ROUND_TRIPS && sent - count.returned.load(Ordering::Relaxed) < WINDOW {
            match client.handle.send(server.node, Class::Task, frame.clone()) {
                Ok(()) => sent += 1,
                Err(SendError::Full) => break,
                Err(error) => panic!("{error}"),
            }
        }
        within(Duration::from_secs(10), count.progress.notified()).await;
    }
    let (took, cpu) = (start.elapsed(), cpu_time() - cpu);
    println!(
        "{transport}: {:.2} CPU-µs a round trip, {:.0} round trips a second",
        cpu.as_secs_f64() * 1e6 / ROUND_TRIPS as f64,
        ROUND_TRIPS as f64 / took.as_secs_f64()
    );
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn of_a_round_trip() {
    for transport in [TCP, QUIC, "/memory/6999"] {
        measure(transport).await;
    }
}
