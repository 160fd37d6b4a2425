//! Room in the queue of jobs.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread::Thread,
};

/// Lets the brain's thread wait for room in the queue of jobs and for other things at once.
#[derive(Clone, Default)]
pub struct Room(Arc<Wanted>);

#[derive(Default)]
struct Wanted {
    by: OnceLock<Thread>,
    is_wanted: AtomicBool,
}

impl Room {
    /// This thread is the one to wake.
    pub fn bind(&self) {
        self.0.by.get_or_init(std::thread::current);
    }

    /// From now on the next room that is made is told. Try again after this before waiting.
    pub fn want(&self) {
        self.0.is_wanted.store(true, Ordering::SeqCst);
    }

    /// There was room since it was wanted.
    pub fn is_there(&self) -> bool {
        !self.0.is_wanted.load(Ordering::SeqCst)
    }

    /// The queue was taken from.
    pub fn made(&self) {
        if self.0.is_wanted.swap(false, Ordering::SeqCst)
            && let Some(thread) = self.0.by.get()
        {
            thread.unpark();
        }
    }
}
