//! What makes compiled code look up: an epoch that moves on while something runs.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use wasmtime::{Engine, EngineWeak};

/// Between two looks of a program at whether it is to end. Each costs it a few microseconds.
const TICK: Duration = Duration::from_millis(10);

#[derive(Clone)]
pub struct Ticker(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    running: usize,
    closed: bool,
}

/// While it is there, time goes on.
pub struct Running(Ticker);

impl Ticker {
    /// Its thread ends with [`Ticker::close`].
    pub fn start(engines: &[&Engine]) -> std::io::Result<Self> {
        let ticker = Self(Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() }));
        let engines: Vec<EngineWeak> = engines.iter().map(|engine| engine.weak()).collect();
        let shared = Arc::clone(&ticker.0);
        std::thread::Builder::new().name("wasm-ticker".into()).spawn(move || shared.tick(&engines))?;
        Ok(ticker)
    }

    pub fn run(&self) -> Running {
        self.0.lock().running += 1;
        self.0.changed.notify_one();
        Running(self.clone())
    }

    pub fn close(&self) {
        self.0.lock().closed = true;
        self.0.changed.notify_one();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = self.0.0.lock();
        state.running = state.running.saturating_sub(1);
    }
}

impl Shared {
    fn tick(&self, engines: &[EngineWeak]) {
        let mut state = self.lock();
        // Closed with programs still on their way out: they need the ticks to see that.
        while !state.closed || state.running > 0 {
            let turned = match state.running {
                0 => self.changed.wait(state),
                _ => self.changed.wait_timeout(state, TICK).map(|(state, _)| state).map_err(|poisoned| {
                    let (state, _) = poisoned.into_inner();
                    PoisonError::new(state)
                }),
            };
            state = turned.unwrap_or_else(PoisonError::into_inner);
            for engine in engines.iter().filter_map(EngineWeak::upgrade) {
                engine.increment_epoch();
            }
        }
    }

    /// Nothing that can panic happens under the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
