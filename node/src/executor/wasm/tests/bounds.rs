//! Whatever a program does, it ends, soon and with the reason, and the next one runs.

use super::{Bench, of_wasi, text};
use crate::executor::wasm::engine;
use crate::executor::{Failure, Output, Status};
use std::time::{Duration, Instant};

/// From the order to end to the end, on a loaded machine.
const SOON: Duration = Duration::from_secs(5);
const LIMIT: Duration = Duration::from_millis(200);

/// Compiled and run for ever: in a loop, in the code that a module says is to run first, in host calls, in a sleep.
fn endless() -> [(&'static str, String); 5] {
    let sleep = r#"
        (data (i32.const 0) "\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\01\00\00\00\00\00\00\00")
        (func (export "_start")
            (i64.store (i32.const 24) (i64.const 3600000000000000))
            (drop (call $poll (i32.const 0) (i32.const 256) (i32.const 1) (i32.const 512))))"#;
    [
        ("loop", r#"(module (func (export "_start") (loop br 0)))"#.into()),
        ("start", r#"(module (func $first (loop br 0)) (start $first) (func (export "_start")))"#.into()),
        (
            "random",
            of_wasi(r#"(func (export "_start") (loop (drop (call $random (i32.const 0) (i32.const 1))) br 0))"#),
        ),
        (
            "clock",
            of_wasi(
                r#"(func (export "_start") (loop (drop (call $clock (i32.const 0) (i64.const 0) (i32.const 0))) br 0))"#,
            ),
        ),
        ("sleep", of_wasi(sleep)),
    ]
}

/// A program that a compiler takes at least so long for.
pub fn takes_to_compile(time: Duration) -> Vec<u8> {
    let program = |functions: usize| {
        let sum = "(i32.add (i32.mul (local.get 0) (i32.const 7)) (i32.xor (local.get 0) (i32.const 9)))";
        let function = format!("(func (param i32) (result i32) (local.set 0 {sum}) (local.set 0 {sum}) {sum})");
        let text = format!("(module {} (func (export \"_start\")))", function.repeat(functions));
        wat::parse_str(text).unwrap()
    };
    let takes_long = |functions: &usize| {
        let begun = Instant::now();
        engine::compile(&program(*functions), false).unwrap();
        begun.elapsed() > time
    };
    let functions = (10..20).map(|power| 1 << power).find(takes_long).expect("a program that takes long to compile");
    program(functions)
}

/// It did not run yet.
#[test]
fn the_time_in_which_a_program_is_compiled_is_not_its_own() {
    let limit = Duration::from_millis(300);
    let program = takes_to_compile(limit * 4);
    let mut bench = Bench::new();
    let mut run = bench.run_of(&program);
    run.time_limit = limit;
    assert_eq!(bench.finish(run).status, Status::Exit(0));
}

#[test]
fn what_never_ends_is_ended_by_its_time_limit() {
    let mut bench = Bench::new();
    for (what, module) in endless() {
        let mut run = bench.text(&module);
        run.time_limit = LIMIT;
        let begun = Instant::now();
        assert_eq!(bench.failure_of(run), Failure::TimeLimit { limit_ms: 200 }, "{what}");
        assert!(begun.elapsed() < LIMIT + SOON, "{what}: {:?}", begun.elapsed());
    }
}

#[test]
fn what_never_ends_is_ended_by_a_cancellation() {
    let mut bench = Bench::new();
    for (what, module) in endless() {
        let run = bench.text(&module);
        let key = bench.started(run);
        let begun = Instant::now();
        assert!(bench.executors.cancel(key.0, key.1), "{what}");
        assert_eq!(bench.end_of(key).status, Status::Failed(Failure::Cancelled), "{what}");
        assert!(begun.elapsed() < SOON, "{what}: {:?}", begun.elapsed());
        bench.is_unharmed();
    }
}

#[test]
fn processor_time_is_bounded_where_the_operator_says_so() {
    let mut bench = Bench::with(|config| config.limits.cpu_seconds = Some(1));
    let run = bench.text(&endless()[0].1);
    assert_eq!(bench.failure_of(run), Failure::CpuLimit { limit_s: 1 });
}

#[test]
fn memory_and_tables_are_bounded_together() {
    let mut bench = Bench::new();
    let limit = 64 << 20;
    for module in [
        // Grows until it gets none, and stops over it as allocators do.
        r#"(module (memory 1) (func (export "_start")
            (loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable))"#,
        r#"(module (memory 2000) (func (export "_start")))"#,
        r#"(module (memory 1) (memory 1000) (table 500000 funcref) (func (export "_start")))"#,
        r#"(module (table 9000000 funcref) (func (export "_start")))"#,
        r#"(module (table 1 funcref) (func (export "_start")
            (loop (br_if 0 (i32.ne (table.grow (ref.null func) (i32.const 100000)) (i32.const -1)))) unreachable))"#,
    ] {
        let run = bench.text(module);
        let failure = bench.failure_of(run);
        assert!(
            matches!(failure, Failure::MemoryLimit { limit: is, seen } if is == limit && seen > limit),
            "{failure}"
        );
    }
    // Who copes with less is not stopped.
    let run = bench.text(r#"(module (memory 1) (func (export "_start") (drop (memory.grow (i32.const 60000)))))"#);
    assert_eq!(bench.finish(run).status, Status::Exit(0));
    let many = "(memory 0)".repeat(17);
    let run = bench.text(&format!(r#"(module {many} (func (export "_start")))"#));
    let failure = bench.failure_of(run);
    assert!(matches!(failure, Failure::Trap { .. }), "{failure}");
}

#[test]
fn output_is_bounded() {
    let mut bench = Bench::with(|config| config.limits.output_bytes = 1 << 20);
    for (stream, number) in [("stdout", 1), ("stderr", 2)] {
        let run = bench.text(&of_wasi(&format!(
            r#"(func (export "_start")
                (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 65536))
                (loop (drop (call $fd_write (i32.const {number}) (i32.const 0) (i32.const 1) (i32.const 16))) br 0))"#
        )));
        let outcome = bench.finish(run);
        let failure = Failure::OutputTooLarge { stream: stream.into(), limit: 1 << 20 };
        assert_eq!(outcome.status, Status::Failed(failure));
        let kept = if number == 1 { &outcome.stdout } else { &outcome.stderr };
        assert!(matches!(kept, Output::File { len, truncated: true, .. } if *len == 1 << 20), "{kept:?}");
        drop(outcome);
        bench.is_unharmed();
    }
}

/// Opens a file by the name at 64 and writes to it for ever.
const FILLER: &str = r#"
    (data (i32.const 64) "file")
    (func (export "_start")
        (drop (call $path_open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 4) (i32.const 1)
            (i64.const 0x1fffffff) (i64.const 0x1fffffff) (i32.const 0) (i32.const 32)))
        (i32.store (i32.const 0) (i32.const 128)) (i32.store (i32.const 4) (i32.const 65536))
        (loop (drop (call $fd_write (i32.load (i32.const 32)) (i32.const 0) (i32.const 1) (i32.const 16))) br 0))"#;

#[test]
fn files_are_bounded() {
    let mut bench = Bench::with(|config| config.limits.file_bytes = 1 << 20);
    let run = bench.text(&of_wasi(FILLER));
    assert_eq!(bench.failure_of(run), Failure::FileTooLarge { limit: 1 << 20 });
    let mut bench = Bench::with(|config| config.limits.total_file_bytes = 1 << 20);
    let run = bench.text(&of_wasi(FILLER));
    let failure = bench.failure_of(run);
    assert!(matches!(failure, Failure::FilesTooLarge { limit, .. } if limit == 1 << 20), "{failure}");
}

/// Below where a path from the root leads no limit of files could be kept: nobody could look there.
#[test]
fn directories_are_not_nested_out_of_sight() {
    let mut bench = Bench::new();
    let name = "d".repeat(200);
    let run = bench.text(&of_wasi(&format!(
        r#"(data (i32.const 64) "{name}")
        (func (export "_start") (local $directory i32) (local $depth i32)
            (local.set $directory (i32.const 3))
            (loop
                (if (i32.lt_u (local.get $depth) (i32.const 40)) (then
                    (if (call $mkdir (local.get $directory) (i32.const 64) (i32.const 200))
                        (then (call $exit (i32.const 1))))
                    (if (call $path_open (local.get $directory) (i32.const 0) (i32.const 64) (i32.const 200)
                            (i32.const 2) (i64.const 0x6200) (i64.const 0x6200) (i32.const 0) (i32.const 32))
                        (then (call $exit (i32.const 2))))
                    (local.set $directory (i32.load (i32.const 32)))
                    (local.set $depth (i32.add (local.get $depth) (i32.const 1)))))
                br 0))"#
    )));
    assert_eq!(bench.failure_of(run), Failure::TreeTooDeep);
}

/// Each of its descriptors is one of ours.
#[test]
fn descriptors_are_bounded() {
    let mut bench = Bench::with(|config| config.limits.open_files = 50);
    let run = bench.text(&of_wasi(
        r#"(data (i32.const 64) "file")
        (func (export "_start") (local $opened i32)
            (loop
                (if (call $path_open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 4) (i32.const 1)
                        (i64.const 0x1fffffff) (i64.const 0x1fffffff) (i32.const 0) (i32.const 32))
                    (then (call $exit (local.get $opened))))
                (local.set $opened (i32.add (local.get $opened) (i32.const 1)))
                (br_if 0 (i32.lt_u (local.get $opened) (i32.const 100)))))"#,
    ));
    let status = bench.finish(run).status;
    let is_bounded = match &status {
        Status::Exit(opened) => (1..50).contains(opened),
        Status::Failed(Failure::Trap { .. }) => true,
        Status::Signal(_) | Status::Failed(_) => false,
    };
    assert!(is_bounded, "{status:?}");
    bench.is_unharmed();
}

#[test]
fn a_trap_is_told_with_its_place() {
    let mut bench = Bench::new();
    let run = bench
        .text(r#"(module (func $inner unreachable) (func $outer call $inner) (func (export "_start") call $outer))"#);
    let outcome = bench.finish(run);
    let what = "unreachable` instruction executed, in inner < outer < function 2";
    assert!(matches!(&outcome.status, Status::Failed(Failure::Trap { what: is }) if is.ends_with(what)), "{outcome:?}");
    assert!(text(&outcome.stderr).contains("wasm backtrace"), "{}", text(&outcome.stderr));

    let deep = r#"(module (func $deeper (export "_start") call $deeper))"#;
    let run = bench.text(deep);
    let failure = bench.failure_of(run);
    assert!(failure.to_string().contains("stack exhausted"), "{failure}");
    let run = bench.text(r#"(module (memory 1) (func (export "_start") (drop (i32.load (i32.const -8)))))"#);
    let failure = bench.failure_of(run);
    assert!(failure.to_string().contains("out of bounds"), "{failure}");
    assert!(failure.to_string().chars().count() <= 170, "it goes into the record: {failure}");
}

#[test]
fn a_request_for_more_randomness_than_is_given_is_a_trap() {
    let mut bench = Bench::with(|config| config.limits.memory_bytes = Some(1 << 30));
    let run = bench.text(
        r#"(module (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
            (memory (export "memory") 1000)
            (func (export "_start") (drop (call $random (i32.const 0) (i32.const 60000000)))))"#,
    );
    let failure = bench.failure_of(run);
    assert!(matches!(failure, Failure::Trap { .. }), "{failure}");
}

#[test]
fn what_is_no_program_is_refused_for_what_it_is() {
    let mut bench = Bench::with(|config| config.module_bytes = 1 << 20);
    let module = |body: &str| wat::parse_str(format!("(module {body})")).unwrap();
    let mut garbage = b"\0asm\x01\0\0\0".to_vec();
    garbage.extend((0..1_000_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).take(900_000));
    for (bytes, why) in [
        (b"\x7fELF\x02\x01\x01\0 and so on".to_vec(), "does not begin as one"),
        (b"(module)".to_vec(), "does not begin as one"),
        (Vec::new(), "does not begin as one"),
        (garbage, "offset"),
        (module(""), "exports no function `_start`"),
        (module(r#"(memory (export "_start") 1)"#), "exports no function `_start`"),
        (module(r#"(import "env" "system" (func)) (func (export "_start"))"#), "env::system"),
        (wat::parse_str("(component)").unwrap(), "wasi:cli/run"),
    ] {
        let run = bench.run_of(&bytes);
        let failure = bench.failure_of(run);
        assert!(matches!(&failure, Failure::NotAProgram { why: is } if is.contains(why)), "{failure}, not: {why}");
    }
    let run = bench.run_of(&vec![0; 100 << 20]);
    assert_eq!(bench.failure_of(run), Failure::ProgramTooLarge { bytes: 100 << 20, limit: 1 << 20 });
}
