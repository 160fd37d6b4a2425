//! A program that is a burden to compile is one to the process that compiles it, and to nobody else.

use super::{Bench, of_wasi};
use crate::executor::wasm::compiler::{self, Compilers, Sizes};
use crate::executor::{Compilation, Compiler, ExecutorEvent, Failure, Status};
use mesh_proto::id::BlobId;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// This binary, run again with the one ignored test below.
pub fn of_this_binary() -> Compiler {
    let arguments = ["--exact", "executor::wasm::tests::compiler::as_a_compiler", "--ignored", "--nocapture"];
    Compiler { program: std::env::current_exe().unwrap(), arguments: arguments.map(Into::into).into() }
}

/// Not a test of its own: without a socket it does nothing.
#[test]
#[ignore = "started by other tests"]
fn as_a_compiler() {
    if compiler::serve() != 0 {
        eprintln!("nobody asked for anything to be compiled");
    }
}

/// One function of two megabytes: for what is alive of a hundred variables behind each of many branches a compiler takes more than
/// twice the time for twice the length.
fn burden() -> Vec<u8> {
    let steps = (0..150_000u32).flat_map(|at| {
        let [condition, one, other, to] = [at, at * 7, at * 13 + 1, at * 5 + 2].map(|local| (local % 100) as u8);
        [0x20, condition, 0x04, 0x40, 0x20, one, 0x20, other, 0x6c, 0x21, to, 0x0b]
    });
    let function: Vec<u8> = [1, 100, 0x7f].into_iter().chain(steps).chain([0x0b]).collect();
    let section = |id: u8, content: Vec<u8>| [vec![id], leb(content.len()), content].concat();
    let code = [vec![1], leb(function.len()), function].concat();
    [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, vec![1, 0x60, 0, 0]),
        section(3, vec![1, 0]),
        section(7, b"\x01\x06_start\0\0".to_vec()),
        section(10, code),
    ]
    .concat()
}

fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// With bounds for what compiles.
fn bounded(memory_bytes: u64, cpu_seconds: u64) -> Bench {
    Bench::with(|config| config.compilation = Compilation::new(memory_bytes, cpu_seconds))
}

#[test]
#[cfg(target_os = "linux")]
fn memory_of_a_compiler_is_bounded_and_the_next_program_runs() {
    let limit = 64 << 20;
    let mut bench = bounded(limit, 60);
    let run = bench.run_of(&burden());
    let failure = bench.failure_of(run);
    assert_eq!(failure, Failure::CompilerMemory { limit });
    assert!(failure.to_string().contains("`wasm.compiler_memory`"), "{failure}");
    // Who asks for it again is told so, without another try.
    let before = bench.executors.wasm_metrics().compilations.get();
    let run = bench.run_of(&burden());
    assert_eq!(bench.failure_of(run), failure);
    assert_eq!(bench.executors.wasm_metrics().compilations.get(), before);
}

#[test]
fn processor_time_of_a_compiler_is_bounded_and_the_next_program_runs() {
    let mut bench = bounded(8 << 30, 1);
    let run = bench.run_of(&burden());
    let failure = bench.failure_of(run);
    assert_eq!(failure, Failure::CompilerTime { limit_s: 1 });
    assert!(failure.to_string().contains("`wasm.compiler_time`"), "{failure}");
}

#[test]
fn what_a_compiler_makes_is_bounded() {
    let program = wat::parse_str(r#"(module (func (export "_start")))"#).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &program).unwrap();
    let id = BlobId::from_bytes(*blake3::hash(&program).as_bytes());
    let made_within = |code_bytes| {
        let sizes = Sizes { module_bytes: 1 << 20, code_bytes };
        let compilers = Compilers::new(of_this_binary(), Compilation::new(8 << 30, 600), sizes);
        compilers.compile(id, false, file.path())
    };
    let bytes = made_within(64 << 20).unwrap().as_bytes().len() as u64;
    assert_eq!(made_within(bytes).unwrap().as_bytes().len() as u64, bytes);
    let failure = made_within(bytes - 1).err().map(|uncompiled| uncompiled.failure);
    assert_eq!(failure, Some(Failure::CodeTooLarge { bytes, limit: bytes - 1 }));
}

#[test]
fn where_no_compiler_can_be_started_a_task_is_told_so() {
    for (program, why) in [("/no/such/compiler", "cannot be started"), ("/bin/true", "without an answer")] {
        let mut bench = Bench::with(|config| config.compiler.program = PathBuf::from(program));
        let run = bench.text(r#"(module (func (export "_start")))"#);
        let outcome = bench.finish(run);
        let told = format!("{:?}", outcome.status);
        assert!(told.contains("the compiler") && told.contains(why), "{program}: {told}");
        assert!(told.contains("Prepare"), "it is this node's to mend: {told}");
        assert_eq!((bench.left(), bench.executors.running()), (Vec::new(), 0));
    }
}

/// Processes with this word among their arguments.
fn with_argument(word: &str) -> usize {
    let has = |path: &Path| {
        let line = std::fs::read(path.join("cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|argument| argument == word.as_bytes())
    };
    std::fs::read_dir("/proc").unwrap().flatten().filter(|entry| has(&entry.path())).count()
}

#[test]
#[cfg(target_os = "linux")]
fn a_compiler_ends_with_the_executors_that_wait_for_it() {
    // No test has this name: it is for who looks.
    let mark = format!("{:032x}", rand::random::<u128>());
    let mut bench = Bench::with(|config| {
        config.compilation = Compilation::new(8 << 30, 600);
        config.compiler.arguments.push(mark.clone().into());
    });
    let run = bench.run_of(&burden());
    bench.begin(run);
    let until = |what: &str, count: usize| {
        let begun = Instant::now();
        while with_argument(&mark) != count {
            assert!(begun.elapsed() < super::PATIENCE, "waited in vain: {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    until("it compiles", 1);
    let Bench { executors, runtime, .. } = bench;
    drop(executors);
    until("it is gone", 0);
    drop(runtime);
}

/// As this binary, so many seconds later.
fn slow(seconds: u64) -> Compiler {
    let Compiler { program, arguments } = of_this_binary();
    let line = [format!("sleep {seconds}; exec \"$0\" \"$@\"").into(), program.into_os_string()];
    let arguments = ["-c".into()].into_iter().chain(line).chain(arguments).collect();
    Compiler { program: PathBuf::from("/bin/sh"), arguments }
}

/// Two compile at a time. The third waits for one of them, and then as long for its own.
#[test]
fn the_time_in_which_others_are_compiled_is_not_a_programs_own() {
    let mut bench = Bench::with_slots(3, |config| {
        config.compiler = slow(5);
        config.compilation.patience = Duration::from_secs(8);
    });
    let begun = Instant::now();
    for code in 0..3 {
        let exit = format!("(call $exit (i32.const {code}))");
        let run = bench.text(&of_wasi(&format!(r#"(func (export "_start") {exit})"#)));
        bench.begin(run);
    }
    let mut ended = Vec::new();
    while ended.len() < 3 {
        if let ExecutorEvent::Finished { outcome, .. } = bench.event() {
            ended.push(outcome.status);
        }
    }
    ended.sort_by_key(|status| format!("{status:?}"));
    assert_eq!(ended, [0, 1, 2].map(Status::Exit));
    assert!(begun.elapsed() > Duration::from_secs(8), "it waited for less than its patience: nothing is shown");
}
