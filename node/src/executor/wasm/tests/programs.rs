//! Programs as people write them.

use super::{Bench, arguments, example, of_wasi, text};
use crate::executor::{Failure, Fixed, Output, Program, Run, Source, Status, Stream};
use mesh_proto::id::TaskId;
use std::time::Duration;

#[test]
fn modules_and_components_read_standard_input_and_files() {
    let mut bench = Bench::new();
    let long = "a line of some words\n".repeat(100_000);
    let blob = bench.directory.path().join("blob");
    std::fs::write(&blob, &long).unwrap();
    for program in ["wc.wasm", "wc.component.wasm"] {
        let program = example(program);
        for (stdin, expected) in [
            (Source::Null, "0 0 0\n"),
            (Source::Inline("one two\nthree".into()), "1 3 13\n"),
            (Source::File(blob.clone()), "100000 500000 2100000\n"),
        ] {
            let mut run = bench.run_of(&program);
            run.stdin = stdin;
            let outcome = bench.finish(run);
            assert_eq!((&outcome.status, text(&outcome.stdout).as_str()), (&Status::Exit(0), expected), "{outcome:?}");
        }
        let mut run = bench.run_of(&program);
        run.inputs = vec![("data/a b".into(), Source::File(blob.clone()))];
        arguments(&mut run, &["data/a b"]);
        let outcome = bench.finish(run);
        assert_eq!(text(&outcome.stdout), "100000 500000 2100000 data/a b\n", "{outcome:?}");
        // A file that is not there is the program's own failure.
        let mut run = bench.run_of(&program);
        arguments(&mut run, &["gone"]);
        let outcome = bench.finish(run);
        assert_eq!(outcome.status, Status::Exit(1));
        assert!(text(&outcome.stderr).contains("Error"), "{}", text(&outcome.stderr));
    }
    bench.is_unharmed();
}

#[test]
fn outputs_come_back_by_name() {
    let mut bench = Bench::new();
    let mut picture = b"P5\n# a picture\n64 32\n255\n".to_vec();
    picture.extend((0..64 * 32).map(|at| if at % 64 < 32 { 10 } else { 200 }));
    let thumbnail = |bench: &mut Bench, outputs: &[&str]| {
        let mut run = bench.run_of(&example("thumbnail.wasm"));
        run.inputs = vec![("in.pgm".into(), Source::Inline(picture.clone().into()))];
        run.outputs = outputs.iter().map(ToString::to_string).collect();
        arguments(&mut run, &["in.pgm", "4", "out.pgm"]);
        bench.finish(run)
    };
    let outcome = thumbnail(&mut bench, &["out.pgm"]);
    assert_eq!((&outcome.status, text(&outcome.stdout).as_str()), (&Status::Exit(0), "4 x 2\n"), "{outcome:?}");
    let expected = b"P5\n4 2\n255\n\x0a\x0a\xc8\xc8\x0a\x0a\xc8\xc8";
    assert_eq!(outcome.files, vec![("out.pgm".to_owned(), Output::Inline(expected.to_vec().into()))]);
    let outcome = thumbnail(&mut bench, &["out.pgm", "more"]);
    assert_eq!(outcome.status, Status::Failed(Failure::OutputMissing { path: "more".into() }));
    drop(outcome);
    bench.is_unharmed();
}

#[test]
fn the_code_of_a_program_is_its_own() {
    let mut bench = Bench::new();
    for (code, expected) in [(0, Status::Exit(0)), (7, Status::Exit(7)), (125, Status::Exit(125))] {
        let run = bench.text(&of_wasi(&format!(r#"(func (export "_start") (call $exit (i32.const {code})))"#)));
        assert_eq!(bench.finish(run).status, expected);
    }
    let run = bench.text(&of_wasi(r#"(func (export "_start") (call $exit (i32.const 126)))"#));
    let failure = bench.failure_of(run);
    assert!(failure.to_string().contains("invalid exit status"), "{failure}");
}

#[test]
fn what_it_writes_can_be_followed() {
    let mut bench = Bench::new();
    let run = bench.text(&of_wasi(
        r#"(data (i32.const 64) "so far\n")
        (func (export "_start")
            (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 7))
            (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))
            (loop br 0))"#,
    ));
    let (task, attempt) = bench.started(run);
    let begun = std::time::Instant::now();
    loop {
        let chunk = bench.executors.logs(task, attempt, Stream::Stdout, 0, 100).unwrap();
        if chunk.bytes == b"so far\n" {
            assert!(chunk.running);
            break;
        }
        assert!(begun.elapsed() < super::PATIENCE, "{chunk:?}");
        std::thread::yield_now();
    }
    assert!(bench.executors.cancel(task, attempt));
    let outcome = bench.end_of((task, attempt));
    assert_eq!(text(&outcome.stdout), "so far\n");
    drop(outcome);
    bench.is_unharmed();
}

/// Writes sixteen random bytes, and both clocks.
fn chance() -> String {
    of_wasi(
        r#"(func (export "_start")
            (drop (call $random (i32.const 64) (i32.const 16)))
            (drop (call $clock (i32.const 0) (i64.const 0) (i32.const 80)))
            (drop (call $clock (i32.const 1) (i64.const 0) (i32.const 88)))
            (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 32))
            (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16))))"#,
    )
}

#[test]
fn a_deterministic_execution_comes_to_the_same_each_time() {
    let mut bench = Bench::new();
    let seeded = |run: &mut Run, seed| {
        let Program::Wasm { fixed, .. } = &mut run.program else { unreachable!("a program") };
        *fixed = Some(Fixed { task: TaskId::from_bytes([seed; 32]), born: Duration::from_secs(1_800_000_000) });
    };
    let mut told = Vec::new();
    for seed in [Some(1), Some(1), Some(2), None, None] {
        let mut run = bench.text(&chance());
        seed.into_iter().for_each(|seed| seeded(&mut run, seed));
        let outcome = bench.finish(run);
        assert_eq!((&outcome.status, outcome.stdout.len()), (&Status::Exit(0), 32));
        told.push(outcome.stdout);
    }
    assert_eq!(told[0], told[1]);
    assert!(told[1] != told[2] && told[2] != told[3] && told[3] != told[4]);

    // Two ways to a NaN have one form of it.
    let nan = of_wasi(
        r#"(func (export "_start")
            (f64.store (i32.const 64) (f64.div (f64.const 0) (f64.load (i32.const 1024))))
            (f64.store (i32.const 72) (f64.mul (f64.const nan:0x123) (f64.const -1)))
            (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 16))
            (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16))))"#,
    );
    let mut run = bench.text(&nan);
    seeded(&mut run, 1);
    let Output::Inline(bytes) = bench.finish(run).stdout else { panic!("sixteen bytes") };
    assert_eq!(bytes[..8], bytes[8..]);
}

/// Writes its environment, each variable with a NUL behind it.
fn environment() -> String {
    r#"(module
        (import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "environ_get" (func $environment (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "_start")
            (drop (call $sizes (i32.const 0) (i32.const 12)))
            (drop (call $environment (i32.const 1024) (i32.const 4096)))
            (i32.store (i32.const 8) (i32.const 4096))
            (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 16)))))"#
        .to_owned()
}

/// Each run has an id of its own, as each replica does.
#[test]
fn replicas_are_told_that_they_are_the_task_of_which_they_are() {
    let mut bench = Bench::new();
    let of = TaskId::from_bytes([7; 32]);
    let mut told = Vec::new();
    for _ in 0..2 {
        let mut run = bench.text(&environment());
        let own = format!("MESH_TASK={}\0", run.task);
        let Program::Wasm { fixed, .. } = &mut run.program else { unreachable!("a program") };
        *fixed = Some(Fixed { task: of, born: Duration::ZERO });
        let outcome = bench.finish(run);
        let variables = text(&outcome.stdout);
        assert!(variables.contains(&format!("MESH_TASK={of}\0")) && !variables.contains(&own), "{variables:?}");
        told.push(variables);
    }
    assert_eq!(told[0], told[1]);
}

#[test]
fn a_program_is_compiled_once_for_all() {
    let mut bench = Bench::new();
    let program = example("pi.wasm");
    let runs = (1..=6).map(|_| {
        let mut run = bench.run_of(&program);
        arguments(&mut run, &["1000", "7"]);
        run
    });
    let runs: Vec<Run> = runs.collect();
    for pair in runs.chunks(2) {
        for run in pair {
            bench.begin(run.clone());
        }
        let mut ended = 0;
        while ended < pair.len() {
            if let crate::executor::ExecutorEvent::Finished { outcome, .. } = bench.event() {
                assert!(text(&outcome.stdout).contains(" of 1000: 3."), "{outcome:?}");
                ended += 1;
            }
        }
    }
    let metrics = bench.executors.wasm_metrics();
    assert_eq!((metrics.compilations.get(), metrics.cached.get()), (1, 1));
    assert!(metrics.cache_hits.get() >= 4 && metrics.cached_bytes.get() > 0);
}

#[test]
fn what_was_not_used_for_longest_leaves_the_cache() {
    // Room for one or two of them.
    let mut bench = Bench::with(|config| config.cache_bytes = 100 << 10);
    for _ in 0..2 {
        for code in 0..8 {
            let run = bench.text(&of_wasi(&format!(r#"(func (export "_start") (call $exit (i32.const {code})))"#)));
            assert_eq!(bench.finish(run).status, Status::Exit(code));
        }
    }
    let metrics = bench.executors.wasm_metrics();
    assert!(metrics.cached_bytes.get() <= 100 << 10 && metrics.compilations.get() > 8, "{metrics:?}");
}

#[test]
fn a_blob_that_rotted_is_not_taken_for_the_program() {
    let mut bench = Bench::new();
    let run = bench.run_of(&example("pi.wasm"));
    let Program::Wasm { module, .. } = &run.program else { unreachable!("a program") };
    std::fs::write(module, example("wc.wasm")).unwrap();
    let failure = bench.failure_of(run.clone());
    assert!(matches!(failure, Failure::Prepare { .. }), "{failure}");
    // It is fetched again, and then it is.
    let Program::Wasm { module, .. } = &run.program else { unreachable!("a program") };
    std::fs::write(module, example("pi.wasm")).unwrap();
    let mut run = Run { attempt: 2, ..run };
    arguments(&mut run, &["10", "7"]);
    assert_eq!(bench.finish(run).status, Status::Exit(0));
}
