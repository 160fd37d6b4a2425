//! The leader's way in: requests that wait become one entry, while others are under way.

use crate::{
    config::Config,
    types::{Batch, Member, Raft},
};
use mesh_proto::{id::NodeId, pbft::Operations, task::Octets};
use openraft::{
    ServerState,
    error::{ClientWriteError, RaftError},
};
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Why a request was not ordered, or not for sure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    #[error("another node leads")]
    Elsewhere(Option<NodeId>),
    #[error("too much waits")]
    Busy,
    #[error("a request that no entry of the log could hold")]
    TooLarge,
    #[error("the engine has ended")]
    Ended,
}

pub type Outcome = Result<(u64, Octets), OrderError>;

pub struct Waiting {
    pub operations: Operations,
    pub answer: oneshot::Sender<Outcome>,
}

/// Until the engine is dropped.
pub async fn run(raft: Raft, config: Config, mut waiting: mpsc::Receiver<Waiting>) {
    let under_way = Arc::new(Semaphore::new(config.pipeline.max(1)));
    let mut next = None;
    loop {
        let first = match next.take() {
            Some(first) => first,
            None => match waiting.recv().await {
                Some(first) => first,
                None => return,
            },
        };
        // What comes meanwhile goes along. Held until the entry is executed: a leader without a quorum takes no more.
        let Ok(place) = Arc::clone(&under_way).acquire_owned().await else { return };
        let mut bytes = first.operations.as_bytes().len();
        let mut batch = vec![first];
        while let Ok(more) = waiting.try_recv() {
            bytes += more.operations.as_bytes().len() + 8;
            if bytes > config.batch_bytes {
                next = Some(more);
                break;
            }
            batch.push(more);
        }
        let (raft, clock) = (raft.clone(), config.clock);
        tokio::spawn(async move {
            write(&raft, clock, batch).await;
            drop(place);
        });
    }
}

async fn write(raft: &Raft, clock: fn() -> mesh_proto::time::Wall, batch: Vec<Waiting>) {
    let (requests, answers): (Vec<_>, Vec<_>) =
        batch.into_iter().map(|waiting| (waiting.operations, waiting.answer)).unzip();
    // Who leads no more may never hear what came of it: whoever waits asks the next one.
    let mut metrics = raft.metrics();
    let written = tokio::select! {
        written = raft.client_write(Batch { time: clock(), requests }) => written,
        _ = metrics.wait_for(|metrics| metrics.state != ServerState::Leader) => {
            return answers.into_iter().for_each(|answer| say(answer, Err(OrderError::Elsewhere(None))));
        }
    };
    let outcomes: Vec<Outcome> = match written {
        Ok(written) => {
            let index = written.log_id.index;
            written.data.outcomes.into_iter().map(|outcome| Ok((index, outcome))).collect()
        }
        Err(error) => vec![Err(refusal(error)); answers.len()],
    };
    for (answer, outcome) in answers.into_iter().zip(outcomes) {
        say(answer, outcome);
    }
}

fn say(answer: oneshot::Sender<Outcome>, outcome: Outcome) {
    if answer.send(outcome).is_err() {
        tracing::trace!("a gateway no longer waits");
    }
}

fn refusal(error: RaftError<Member, ClientWriteError<Member, openraft::EmptyNode>>) -> OrderError {
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(forward)) => {
            OrderError::Elsewhere(forward.leader_id.map(|Member(leader)| leader))
        }
        RaftError::APIError(ClientWriteError::ChangeMembershipError(_)) => OrderError::Busy,
        RaftError::Fatal(_) => OrderError::Ended,
    }
}
