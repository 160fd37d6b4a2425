//! One place for a command: a guard, when it is up, and the job it has.

use crate::executor::protocol::{ToGuard, frame};
use mesh_proto::id::TaskId;
use std::io::{self, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// What a slot is busy with.
#[derive(Debug, Clone)]
pub struct Job {
    pub task: TaskId,
    pub attempt: u32,
    pub work: PathBuf,
    pub out: PathBuf,
}

pub struct Slot {
    state: Mutex<State>,
    /// For the keeper: there is a job and no guard, or bytes that the socket did not take at once.
    pub wake: Notify,
    mark: String,
}

#[derive(Default)]
struct State {
    /// The guard's socket, once it is ready. Does not block.
    socket: Option<UnixStream>,
    /// Not yet written. Bounded: one order, and small messages while a job is on.
    outgoing: Vec<u8>,
    job: Option<Job>,
}

impl Slot {
    pub fn new() -> Self {
        let mark = format!("MESH_GUARD={:032x}", rand::random::<u128>());
        Self { state: Mutex::default(), wake: Notify::new(), mark }
    }

    /// A variable in the environment of this slot's commands by which stray ones are known.
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// Gives the slot a job. Written to a guard that is up in the caller's thread: one hop less.
    pub fn begin(&self, job: Job, order: Vec<u8>) {
        let mut state = self.state();
        state.job = Some(job);
        state.outgoing.extend(order);
        state.flush();
        if state.socket.is_none() || !state.outgoing.is_empty() {
            self.wake.notify_one();
        }
    }

    /// Sends to the guard when its job is the one meant.
    pub fn tell_if(&self, meant: impl Fn(&Job) -> bool, message: &ToGuard) -> bool {
        let mut state = self.state();
        if !state.job.as_ref().is_some_and(meant) {
            return false;
        }
        // Behind an order that a starting or slow guard has not taken, renewals would pile up for nothing.
        if state.outgoing.is_empty() || matches!(message, ToGuard::Cancel) && state.outgoing.len() < MAX_OUTGOING {
            state.outgoing.extend(frame(message));
            state.flush();
        }
        if !state.outgoing.is_empty() {
            self.wake.notify_one();
        }
        true
    }

    pub fn connect(&self, socket: UnixStream) {
        let mut state = self.state();
        state.socket = Some(socket);
        state.flush();
    }

    /// Forgets the guard, closing this end of its socket.
    pub fn disconnect(&self) {
        let mut state = self.state();
        state.socket = None;
        state.outgoing.clear();
    }

    pub fn has_outgoing(&self) -> bool {
        !self.state().outgoing.is_empty()
    }

    /// Writes what waits; `WouldBlock` when the socket did not take it all.
    pub fn flush(&self) -> io::Result<()> {
        let mut state = self.state();
        state.flush();
        if state.outgoing.is_empty() { Ok(()) } else { Err(ErrorKind::WouldBlock.into()) }
    }

    pub fn job(&self) -> Option<Job> {
        self.state().job.clone()
    }

    pub fn take_job(&self) -> Option<Job> {
        self.state().job.take()
    }

    /// Nothing that can panic happens under the lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const MAX_OUTGOING: usize = 16 << 20;

impl State {
    /// Writes what the socket takes now. An error is the keeper's to find, when it reads.
    fn flush(&mut self) {
        let Some(mut socket) = self.socket.as_ref() else { return };
        while !self.outgoing.is_empty() {
            match socket.write(&self.outgoing) {
                Ok(written) => drop(self.outgoing.drain(..written)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => return self.outgoing.clear(),
            }
        }
    }
}
