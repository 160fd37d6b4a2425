//! Snapshots by what a restart would have to execute again, and what of the log may go then.

use crate::{config::Config, log::LogStore, types::Raft};

/// Until the engine ends.
pub async fn run(raft: Raft, config: Config, log: LogStore) {
    let mut metrics = raft.metrics();
    let (mut asked, mut purged) = (None, None);
    loop {
        let (applied, snapshot) = {
            let metrics = metrics.borrow_and_update();
            if metrics.running_state.is_err() {
                return;
            }
            (metrics.last_applied.map(|log_id| log_id.index), metrics.snapshot.map(|log_id| log_id.index))
        };
        let behind = log.behind(snapshot);
        let is_much = behind.bytes >= config.snapshot_after.0 || behind.entries >= config.snapshot_after.1;
        // Not again until the one that was asked for is there.
        if is_much && applied > snapshot && asked.is_none_or(|asked| snapshot >= Some(asked)) {
            asked = applied;
            if raft.trigger().snapshot().await.is_err() {
                return;
            }
        }
        if let Some(upto) = snapshot.and_then(|snapshot| log.surplus(snapshot, config.kept_bytes))
            && purged < Some(upto)
        {
            purged = Some(upto);
            if raft.trigger().purge_log(upto).await.is_err() {
                return;
            }
        }
        if metrics.changed().await.is_err() {
            return;
        }
    }
}
