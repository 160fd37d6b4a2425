//! What a program finds around it: its arguments, its environment, its directory, and nothing else.

use super::clocks::{CountedMonotonic, CountedWall};
use super::limiter::{Limiter, Tally};
use super::streams::{self, Tap};
use crate::executor::run::{Fixed, Limits, Program, Run};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng as _;
use std::io;
use std::path::Path;
use std::sync::Arc;
use wasmtime::{Engine, Store};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder, WasiCtxView, WasiView};

/// What an instance has of the host.
pub struct State {
    wasi: WasiP1Ctx,
    limiter: Limiter,
}

/// Bytes of randomness in one call. It is made before it is copied.
const MOST_RANDOM: u64 = 1 << 20;
/// Bytes that one call has the host copy for itself.
const CALL_BYTES: usize = 64 << 20;
/// By both names: what is built for the first preview takes relative paths to be below `.`, some that is older or in
/// another language everything to be below `/`.
const NAMES: [&str; 2] = [".", "/"];

impl State {
    pub fn first_preview(&mut self) -> &mut WasiP1Ctx {
        &mut self.wasi
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.wasi.ctx()
    }
}

/// A place for one instance of a program, whose directory is `work`.
pub fn store(
    engine: &Engine,
    run: &Run,
    work: &Path,
    [stdout, stderr]: [Tap; 2],
    limits: &Limits,
    tally: Arc<Tally>,
) -> io::Result<Store<State>> {
    let Program::Wasm { argv, env, fixed, .. } = &run.program else {
        return Err(io::Error::other("no WebAssembly program"));
    };
    let mut context = WasiCtxBuilder::new();
    context.args(argv).envs(&environment(run, env, fixed.as_ref()));
    streams::set_input(&mut context, run.stdin.clone())?;
    context.stdout(stdout).stderr(stderr);
    for name in NAMES {
        context.preopened_dir(work, name, FsPerms::ReadWrite).map_err(io::Error::other)?;
    }
    // As by default; said again because it is what the sandbox promises. A call that blocks its thread, as a sleep of the
    // first preview would, could not be ended.
    context.allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false);
    context.allow_blocking_current_thread(false);
    context.max_random_size(MOST_RANDOM);
    if let Some(fixed) = fixed {
        settle(&mut context, fixed);
    }
    let mut wasi = context.build_p1();
    // Each descriptor of a program is one of ours.
    wasi.ctx().table.set_max_capacity(usize::try_from(limits.open_files).unwrap_or(usize::MAX));
    let limiter = Limiter::new(limits.memory_bytes.unwrap_or(u64::MAX), tally);
    let mut store = Store::new(engine, State { wasi, limiter });
    store.limiter(|state| &mut state.limiter);
    store.set_hostcall_fuel(CALL_BYTES);
    store.set_epoch_deadline(1);
    store.epoch_deadline_async_yield_and_update(1);
    Ok(store)
}

/// As a command has it, with the task's directory as the root. What differs between attempts, or between replicas, is not for
/// those whose results are compared.
fn environment(run: &Run, given: &[(String, String)], fixed: Option<&Fixed>) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> =
        [("HOME", "/"), ("TMPDIR", "/"), ("PWD", "/"), ("LANG", "C.UTF-8")].map(|(a, b)| (a.into(), b.into())).into();
    let task = fixed.map_or(run.task, |fixed| fixed.task);
    all.push(("MESH_TASK".into(), task.to_string()));
    if fixed.is_none() {
        all.push(("MESH_ATTEMPT".into(), run.attempt.to_string()));
        all.push(("MESH_FENCE".into(), run.fence.to_string()));
    }
    all.retain(|(ours, _)| !given.iter().any(|(name, _)| name == ours));
    all.extend_from_slice(given);
    all
}

fn settle(context: &mut WasiCtxBuilder, fixed: &Fixed) {
    let seed = *fixed.task.as_bytes();
    let [random, insecure] = [0, 1].map(|stream| {
        let mut generator = ChaCha12Rng::from_seed(seed);
        generator.set_stream(stream);
        generator
    });
    let (seed, _) = seed.split_first_chunk().unwrap_or((&[0; 16], &[]));
    context.secure_random(random).insecure_random(insecure).insecure_random_seed(u128::from_le_bytes(*seed));
    context.wall_clock(CountedWall::new(fixed.born)).monotonic_clock(CountedMonotonic::default());
}
