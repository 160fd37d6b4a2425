//! The brain's thread and the commit pipeline behind it.
//!
//! Inputs come through the [`Inbox`]. The brain's thread lets the coordinator handle what has arrived and hands each
//! turn's facts and effects to the commit thread, which makes one append and one sync for all that waits and only then
//! carries out what rested on it. The brain goes on meanwhile.

mod answers;
mod backlog;
pub mod clock;
mod commit;
mod frames;
mod hands;
mod inbox;
mod reserve;
mod restore;
mod room;
mod snapshot;
mod thread;
mod trail;

pub use answers::{BrainHandle, Waiting};
pub use commit::LogState;
pub use frames::{Doors, Frames};
pub use hands::Hands;
pub use inbox::{Gone, Inbox, Outbox, inbox};
pub use restore::{RestoreError, Restored, restore};

use crate::{api::Pulse, directory::Directory, log::Disk};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::sync_channel,
    },
    thread::JoinHandle,
    time::Duration,
};

/// The three threads.
pub struct Running {
    brain: JoinHandle<()>,
    commit: JoinHandle<()>,
    store: JoinHandle<()>,
    stop: Arc<AtomicBool>,
}

impl Running {
    /// Lets the brain give back what it has not done, makes what it said durable, and waits for the end.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Release);
        self.brain.thread().unpark();
        self.store.thread().unpark();
        for (name, thread) in [("brain", self.brain), ("store", self.store), ("commit", self.commit)] {
            if thread.join().is_err() {
                tracing::error!(name, "a thread ended by a panic");
            }
        }
    }
}

/// Starts the threads. A panic in any of them ends the process.
pub fn start<D: Disk + 'static>(
    restored: Restored<D>,
    outbox: Outbox,
    hands: Hands,
    directory: Directory,
    state: LogState,
    pulse: Pulse,
    pause: Duration,
) -> std::io::Result<Running> {
    let Restored { coordinator, log, store } = restored;
    let hands = Arc::new(hands);
    let stop = Arc::new(AtomicBool::new(false));
    let (commits, jobs) = sync_channel(commit::WAITING);
    let (snapshots, store) = snapshot::Snapshots::start(store, commits.clone(), state.clone(), Arc::clone(&stop))?;
    let room = room::Room::default();
    let commit = std::thread::Builder::new().name("commit".into()).spawn({
        let (hands, snapshots) = (Arc::clone(&hands), snapshots.clone());
        let (state, room, pulse) = (state.clone(), room.clone(), pulse.clone());
        move || commit::run(log, &jobs, &hands, &snapshots, &state, &room, &pulse)
    })?;
    let brain = std::thread::Builder::new().name("brain".into()).spawn({
        let stop = Arc::clone(&stop);
        move || {
            let log = state;
            let held = thread::Held::default();
            let trail = trail::Trail::new(directory.network());
            let thread = thread::Thread {
                coordinator,
                outbox,
                commits,
                held,
                room,
                hands,
                directory,
                snapshots,
                log,
                pulse,
                stop,
                pause,
                trail,
            };
            thread.run();
        }
    })?;
    Ok(Running { brain, commit, store, stop })
}

/// What must not go on, stops: with a line that says why, and exit code 70.
pub fn fatal(why: &str) -> ! {
    tracing::error!("{why}: the node stops, so that nothing is said that is not on disk");
    eprintln!("meshd: {why}: the node stops, so that nothing is said that is not on disk");
    std::process::exit(70);
}
