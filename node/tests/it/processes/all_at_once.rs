//! kill -9 of all nodes at once: what was acknowledged is on disks, and nothing that was told is told otherwise.

use super::{Mesh, PATIENCE, check_hashes, hashes};
use futures::{StreamExt as _, TryStreamExt as _};
use meshd::api::result::TaskResult;
use meshd::client::{Ask, ClientError};
use meshd::testnet::{Gateways, TestnetError, Tracker};
use std::collections::BTreeMap;
use std::time::Instant;

const COUNT: usize = 400;

#[tokio::test]
async fn no_acknowledged_task_is_lost_when_all_are_killed() {
    let mut mesh = Mesh::up(5).await;
    let mut job = hashes("all", COUNT);
    job.placed = true;
    let mut gateways = mesh.net.gateways(&[0, 1, 2, 3, 4]).unwrap();
    let mut tracker = Tracker::new(COUNT);
    let mut killed = false;
    let broken = job
        .attempt(&mut gateways, &mut tracker, &mut |tracker| {
            if killed || tracker.placed.len() * 2 < COUNT || tracker.ended * 10 < COUNT {
                return Ok(());
            }
            killed = true;
            mesh.net.kill_all()
        })
        .await;
    assert!(killed && matches!(broken, Err(TestnetError::Client(_))), "{broken:?}");
    let acknowledged = tracker.placed.clone();
    println!("{} were acknowledged and {} had ended when all were killed", acknowledged.len(), tracker.ended);

    let begun = Instant::now();
    for node in 0..5 {
        let started = mesh.net.start(node);
        mesh.check(started);
    }
    let whole = mesh.net.wait_whole().await;
    mesh.check(whole);
    println!("all were back after {:?}", begun.elapsed());

    // Before anything is submitted again: what was acknowledged ends, and what was told stands.
    let results = results(&gateways, &acknowledged).await.unwrap();
    for (index, result) in &results {
        if let Some(told) = &tracker.told()[usize::try_from(*index).unwrap()] {
            assert_eq!(told.result, *result, "item {index} was told otherwise before the crash");
        }
    }
    println!("all acknowledged had ended {:?} after the restart", begun.elapsed());

    let carried = job.carry(&mut gateways, &mut tracker, &mut |_| Ok(())).await;
    mesh.check(carried);
    check_hashes(&tracker);
    for (index, result) in results {
        let told = tracker.told()[usize::try_from(index).unwrap()].as_ref();
        assert_eq!(told.map(|told| &told.result), Some(&result), "item {index}");
    }
}

async fn results(gateways: &Gateways, tasks: &BTreeMap<u64, String>) -> Result<BTreeMap<u64, TaskResult>, ClientError> {
    let asked = tasks.iter().map(|(index, task)| async move {
        let ask = Ask::get(format!("/v1/tasks/{task}/result?wait={}s", PATIENCE.as_secs()));
        Ok((*index, gateways.client().ask(&ask).await?))
    });
    futures::stream::iter(asked).buffer_unordered(32).try_collect().await
}
