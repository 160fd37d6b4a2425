//! Measurements, for docs/performance.md:
//! `cargo test --release -p meshd --lib wasm::tests::figures -- --ignored --nocapture`.

use super::{Bench, SLOTS, arguments, example, text};
use crate::executor::wasm::engine::{self, Compiled, Engines};
use crate::executor::wasm::limiter::Tally;
use crate::executor::wasm::{sandbox, streams::Tap};
use crate::executor::{ExecutorEvent, Run, Source, Status};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const FILES: usize = 400;
const FILE_BYTES: usize = 256 << 10;
const STARTS: usize = 2_000;

/// A store and an instance, then the whole call, as often as there are files: nothing of a node but the engine.
fn bare(program: &Compiled, run: &Run, work: &Path) -> (Duration, Duration) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let begun = Instant::now();
        let taps = ["stdout", "stderr"].map(|name| Tap::new(name, work, 1 << 20));
        let store = sandbox::store(program.engine(), run, work, taps, &run.limits, std::sync::Arc::<Tally>::default());
        let mut store = store.unwrap();
        let started = program.start(&mut store).await.unwrap();
        let started_after = begun.elapsed();
        // Without `main` a start says little of a program's own beginnings, and those are not ours.
        assert_eq!(started.call(&mut store).await.map_err(|error| error.to_string()), Ok(0));
        (started_after, begun.elapsed())
    })
}

#[test]
#[ignore = "a measurement"]
fn a_start_and_the_words_of_many_files() {
    let mut bench = Bench::new();
    let here = tempfile::tempdir().unwrap();
    let words = "of many files the words are counted, one task for each of them\n";
    let content: String = words.chars().cycle().take(FILE_BYTES).collect();
    let files: Vec<PathBuf> = (0..FILES).map(|at| here.path().join(format!("{at}.txt"))).collect();
    files.iter().for_each(|file| std::fs::write(file, &content).unwrap());

    let code = engine::compile(&example("wc.wasm"), false).unwrap().unwrap();
    let program = Engines::new().unwrap().load(&code, false).unwrap();
    let run = bench.run_of(&example("wc.wasm"));
    let mut starts: Vec<Duration> = (0..STARTS).map(|_| bare(&program, &run, here.path()).0).collect();
    starts.sort_unstable();
    println!("a warm start: p50 {:?}, p99 {:?}", starts[STARTS / 2], starts[STARTS * 99 / 100]);

    let runs: Vec<Run> = (0..FILES)
        .map(|at| {
            let mut run = bench.run_of(&example("wc.wasm"));
            run.inputs = vec![(format!("{at}.txt"), Source::File(files[at].clone()))];
            arguments(&mut run, &[&format!("{at}.txt")]);
            run
        })
        .collect();
    let alone: Duration = runs.iter().map(|run| bare(&program, run, here.path()).1).sum();

    let begun = Instant::now();
    let (mut next, mut ended) = (runs.iter(), 0);
    for run in next.by_ref().take(SLOTS) {
        bench.begin(run.clone());
    }
    while ended < FILES {
        if let ExecutorEvent::Finished { outcome, .. } = bench.event() {
            assert_eq!(outcome.status, Status::Exit(0), "{}", text(&outcome.stderr));
            ended += 1;
            next.next().map(|run| bench.begin(run.clone()));
        }
    }
    let took = begun.elapsed();
    let cores = std::thread::available_parallelism().map_or(1, usize::from).min(SLOTS);
    let ideal = alone / u32::try_from(cores).unwrap();
    println!(
        "{FILES} files of {FILE_BYTES} bytes: {alone:?} by the engine alone, {took:?} by the executor on {cores}: {:.3} of \
         the ideal",
        ideal.as_secs_f64() / took.as_secs_f64()
    );
}
