//! A thread that checks signatures inside the commands of requests, beside those that check who said what: a frame may hold
//! a thousand of the former, and votes of the committee are not to wait behind them.

use crate::brain::Inbox;
use mesh_coordinator::{Input, agreement::Judge};
use mesh_pbft::Verified;
use mesh_proto::genesis::Genesis;
use std::{
    io,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
};

/// Messages that wait for it. What finds no room is checked on the brain's thread: who floods gains no more than that.
const WAITING: usize = 64;

/// Where messages go whose requests may hold signatures.
#[derive(Clone)]
pub struct Judging(SyncSender<Verified>);

impl Judging {
    /// Starts the thread, which ends when the last of this is dropped.
    pub fn start(genesis: Arc<Genesis>, inbox: &Inbox) -> io::Result<Self> {
        let (sender, waiting) = sync_channel(WAITING);
        let inbox = inbox.clone();
        thread::Builder::new().name("judge".into()).spawn(move || run(Judge::new(genesis), &waiting, &inbox))?;
        Ok(Self(sender))
    }

    /// Never waits.
    pub fn offer(&self, verified: &Verified) {
        if verified.requests().is_empty() {
            return;
        }
        match self.0.try_send(verified.clone()) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => tracing::trace!("signatures in a request are left to the brain"),
            Err(TrySendError::Disconnected(_)) => tracing::debug!("the brain has ended"),
        }
    }
}

fn run(mut judge: Judge, waiting: &Receiver<Verified>, inbox: &Inbox) {
    for verified in waiting {
        let verdicts = judge.requests(&verified);
        if !verdicts.is_empty() && inbox.consensus(Input::Judged(verdicts)).is_err() {
            return;
        }
    }
}
