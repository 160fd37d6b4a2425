//! A gateway's process: an ordinary node, and beside it what does as the bench says.

use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use mesh_coordinator::agreement::AgreementView;
use mesh_coordinator::{Answer, Command};
use mesh_proto::genesis::Engine;
use mesh_proto::ledger::Index;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::net::unix::pipe;

use super::load::{LoadError, Loader, PATIENCE, one};
use super::operations::Operations;
use super::wire::{Order, Word};
use crate::api::brain::{Brain, BrainGone};

/// Between two looks at the committee.
const LOOK: Duration = Duration::from_millis(100);

/// What the bench says.
pub struct Orders(Lines<BufReader<pipe::Receiver>>);

impl Orders {
    /// From standard input, which must be a pipe. To be called on a runtime.
    pub fn read() -> io::Result<Self> {
        let input = pipe::Receiver::from_owned_fd(io::stdin().as_fd().try_clone_to_owned()?)?;
        Ok(Self(BufReader::new(input).lines()))
    }
}

/// Does what is said until the bench ends, however it ends.
pub async fn serve(Orders(mut orders): Orders, brain: &impl Brain) -> io::Result<()> {
    let mut line = orders.next_line().await?;
    while let Some(order) = line {
        let order: Order = serde_json::from_str(&order)?;
        tokio::select! {
            word = carry_out(brain, order) => tell(&word)?,
            // Nothing is said while an order is carried out: this is the end.
            _ = orders.next_line() => return Ok(()),
        }
        line = orders.next_line().await?;
    }
    Ok(())
}

fn tell(word: &Word) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(word)?)?;
    out.flush()
}

async fn carry_out(brain: &impl Brain, order: Order) -> Word {
    let done = match order {
        Order::Reach { members, answering } => reach(brain, members, answering).await.map(|()| Word::Reached),
        Order::Offer(load) => {
            async {
                let born = known(brain).await?;
                let report = Loader::new(brain, &load, born)?.run().await?;
                Ok(Word::Offered(Box::new(report)))
            }
            .await
        }
        Order::Settle => settle(brain).await.map(|index| Word::Settled { index: index.0 }),
    };
    done.unwrap_or_else(|error: LoadError| Word::Failed { why: error.to_string() })
}

/// Waits until the committee is as it shall be and answers this node.
async fn reach(brain: &impl Brain, members: usize, answering: usize) -> Result<(), LoadError> {
    let until = Instant::now() + PATIENCE;
    loop {
        let view = agreement(brain).await?;
        let answered = view.members.iter().filter(|(_, standing)| standing.is_some()).count();
        if view.epoch.members.len() == members && answered >= answering {
            break;
        }
        if Instant::now() > until {
            let known = view.epoch.members.len();
            let what = format!("this node knows {known} of {members} members, of which {answered} answer");
            return Err(LoadError::Late { what });
        }
        tokio::time::sleep(LOOK).await;
    }
    // With this the node knows what is executed.
    known(brain).await.map(drop)
}

async fn agreement(brain: &impl Brain) -> Result<Box<AgreementView>, LoadError> {
    match brain.ask(Command::Agreement).await?.one().await.ok_or(BrainGone)? {
        Answer::Agreement(view) => Ok(view),
        answer => Err(LoadError::Answer(format!("{answer:?}"))),
    }
}

/// What is executed now, by a write of its own.
async fn known(brain: &impl Brain) -> Result<Index, LoadError> {
    write(brain, &Operations::new(0)?, 0, Index::GENESIS).await
}

/// Writes once, whatever comes of it. The batch that it ran in.
async fn write(brain: &impl Brain, operations: &Operations, number: u64, born: Index) -> Result<Index, LoadError> {
    match one(brain, operations.put(number, born)?).await? {
        Answer::Ordered { at, .. } => Ok(at),
        answer => Err(LoadError::Answer(format!("{answer:?}"))),
    }
}

/// Writes one at a time, which makes a batch of each, until the last is at a checkpoint's boundary. Under Raft, which has
/// no checkpoints, one is behind all that was answered.
async fn settle(brain: &impl Brain) -> Result<Index, LoadError> {
    let interval = mesh_ledger::Rules::default().checkpoint_interval;
    let operations = Operations::new(0)?;
    let mut at = known(brain).await?;
    if agreement(brain).await?.engine == Engine::Raft {
        return Ok(at);
    }
    let boundary = at.0.next_multiple_of(interval);
    let mut number = 0;
    while at.0 < boundary {
        at = write(brain, &operations, number, at).await?;
        number += 1;
    }
    Ok(Index(boundary))
}
