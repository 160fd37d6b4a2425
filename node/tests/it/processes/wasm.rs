//! WebAssembly programs on a mesh of real nodes, by the verbs that people use.

use super::verbs::{lines, meshd, run};
use super::{Mesh, until};
use std::path::{Path, PathBuf};

fn example(name: &str) -> String {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/wasm")).join(name).display().to_string()
}

/// Writes its environment, each variable with a NUL behind it, and ends with 5.
const ENVIRONMENT: &str = r#"(module
    (import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_get" (func $environment (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (func (export "_start")
        (drop (call $sizes (i32.const 0) (i32.const 12)))
        (drop (call $environment (i32.const 1024) (i32.const 4096)))
        (i32.store (i32.const 8) (i32.const 4096))
        (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 16)))
        (call $exit (i32.const 5))))"#;

fn write(here: &Path, name: &str, module: &str) {
    std::fs::write(here.join(name), wat::parse_str(module).unwrap()).unwrap();
}

#[tokio::test]
async fn words_of_many_files_are_counted_all_over_the_mesh() {
    let mesh = Mesh::up(3).await;
    let here = tempfile::tempdir().unwrap();
    let at = here.path();
    std::fs::create_dir(at.join("data")).unwrap();
    // Some in the record, some as blobs.
    let inputs: Vec<(String, usize)> = (0..24).map(|n| (format!("data/{n}.txt"), n * n * 100 + 1)).collect();
    for (name, count) in &inputs {
        std::fs::write(at.join(name), "three small words\n".repeat(*count)).unwrap();
    }
    let wc = example("wc.wasm");
    let names = inputs.iter().map(|(name, _)| name.as_str());
    let words: Vec<&str> =
        ["map", "--wasm", &wc, "--out-dir", "out", "--", ":::"].into_iter().chain(names.clone()).collect();
    let (code, stdout, stderr) = run(meshd(&mesh, &[0, 1], at, &words)).await;
    assert_eq!((code, stdout.as_str()), (0, ""), "{stderr}");
    for (name, count) in &inputs {
        let told = std::fs::read_to_string(at.join("out").join(name).join("stdout")).unwrap();
        assert_eq!(told, format!("{count} {} {} {name}\n", 3 * count, 18 * count));
    }

    // On standard input, by the component; printed in the order of the inputs.
    let component = example("wc.component.wasm");
    let map = ["map", "--stdin", "--wasm", &component, "--", ":::"];
    let words: Vec<&str> = map.into_iter().chain(names).collect();
    let (code, stdout, stderr) = run(meshd(&mesh, &[2], at, &words)).await;
    assert_eq!(code, 0, "{stderr}");
    let expected: Vec<String> =
        inputs.iter().map(|(_, count)| format!("{count} {} {}\n", 3 * count, 18 * count)).collect();
    assert_eq!(stdout, expected.concat());
}

#[tokio::test]
async fn a_program_has_its_arguments_its_environment_and_its_files_and_ends_with_its_code() {
    let mesh = Mesh::up(3).await;
    let here = tempfile::tempdir().unwrap();
    let at = here.path();
    let ask = async |words: &[&str]| run(meshd(&mesh, &[0, 1], at, words)).await;

    std::fs::write(at.join("a"), "one two\n").unwrap();
    let (wc, pi, thumbnail) = (example("wc.wasm"), example("pi.wasm"), example("thumbnail.wasm"));
    assert_eq!(ask(&["submit", "--wasm", &wc, "--stdin", "a"]).await, (0, "1 2 8\n".into(), String::new()));
    let (code, stdout, _) = ask(&["submit", "--wasm", &wc, "--file", "b=a", "--", "b", "b"]).await;
    assert_eq!((code, stdout.as_str()), (0, "1 2 8 b\n1 2 8 b\n"));
    let (code, stdout, _) = ask(&["submit", "--deterministic", "--wasm", &pi, "--", "1000000", "7"]).await;
    assert_eq!((code, stdout.as_str()), (0, "785871 of 1000000: 3.143484\n"));

    let picture: Vec<u8> = b"P5\n8 8\n255\n".iter().copied().chain([7; 64]).collect();
    std::fs::write(at.join("in.pgm"), picture).unwrap();
    let words = ["submit", "--wasm", &thumbnail, "--file", "in.pgm", "--out", "out.pgm", "--out-dir", "small"];
    let words: Vec<&str> = words.into_iter().chain(["--", "in.pgm", "2", "out.pgm"]).collect();
    let (code, _, stderr) = ask(&words).await;
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(std::fs::read(at.join("small/out.pgm")).unwrap(), b"P5\n2 2\n255\n\x07\x07\x07\x07");

    write(at, "environment.wasm", ENVIRONMENT);
    let (code, stdout, _) =
        ask(&["submit", "--wasm", "environment.wasm", "--env", "LEVEL=3", "--env", "LANG=de"]).await;
    let variables: Vec<&str> = stdout.split_terminator('\0').collect();
    assert_eq!(code, 5);
    for expected in ["LEVEL=3", "LANG=de", "HOME=/", "MESH_ATTEMPT=1"] {
        assert!(variables.contains(&expected), "{variables:?}");
    }
    assert_eq!(variables.len(), 8, "{variables:?}");

    write(at, "trap.wasm", r#"(module (func $broken (export "_start") unreachable))"#);
    write(at, "endless.wasm", r#"(module (func (export "_start") (loop br 0)))"#);
    write(at, "foreign.wasm", r#"(module (import "env" "system" (func)) (func (export "_start")))"#);
    for (words, code, said) in [
        ("submit --wasm trap.wasm", 1, "unreachable"),
        ("submit --wasm endless.wasm --time-limit 300ms", 1, "time limit of 300 ms"),
        ("submit --wasm endless.wasm --deadline 500ms", 124, "deadline_passed"),
        ("submit --wasm foreign.wasm", 1, "env::system"),
        ("submit --wasm a", 2, "a is no WebAssembly program"),
        ("submit --wasm trap.wasm --env PATH=/", 2, "PATH"),
        ("map --wasm a -- ::: a", 2, "a is no WebAssembly program"),
        ("map --wasm trap.wasm -- ::: a", 1, "unreachable"),
        ("map --echo -- x ::: a", 2, "only --exec, --wasm and --worker"),
        ("submit --echo x --deterministic", 2, "--wasm"),
    ] {
        let (is, stdout, stderr) = ask(&words.split(' ').collect::<Vec<_>>()).await;
        assert!(is == code && stderr.contains(said), "{words}: {is} {stdout}{stderr}");
    }
}

#[tokio::test]
async fn nodes_that_do_not_run_them_have_others_do_it() {
    let mut mesh = Mesh::up(3).await;
    let here = tempfile::tempdir().unwrap();
    for node in [0, 1] {
        let killed = mesh.net.kill(node);
        mesh.check(killed);
        let config = mesh.net.nodes()[node].data_dir.join("meshd.toml");
        let text = std::fs::read_to_string(&config).unwrap() + "\n[wasm]\nenabled = false\n";
        std::fs::write(&config, text).unwrap();
        let back = mesh.net.start(node);
        mesh.check(back);
        until("a node is back", || async { mesh.net.status(node).await.is_ok() }).await;
    }
    let pi = example("pi.wasm");
    for seed in ["1", "2", "3", "4"] {
        let words = ["--output", "json", "submit", "--wasm", &pi, "--", "1000", seed];
        let (code, stdout, stderr) = run(meshd(&mesh, &[0], here.path(), &words)).await;
        assert_eq!(code, 0, "{stderr}");
        assert_eq!(lines(&stdout)[0]["node"], mesh.net.nodes()[2].node.as_str(), "{stdout}");
    }
}

/// One function of two megabytes: for what is alive of a hundred variables behind each of many branches a compiler takes more than
/// twice the time for twice the length.
fn burden() -> Vec<u8> {
    let text = "(module (func (export \"_start\") (local i32)))";
    let small = wat::parse_str(text).unwrap();
    let body = [1, 1, 0x7f, 0x0b];
    let at = small.windows(body.len()).rposition(|bytes| bytes == body).expect("its only function");
    let steps = (0..150_000u32).flat_map(|at| {
        let [condition, one, other, to] = [at, at * 7, at * 13 + 1, at * 5 + 2].map(|local| (local % 100) as u8);
        [0x20, condition, 0x04, 0x40, 0x20, one, 0x20, other, 0x6c, 0x21, to, 0x0b]
    });
    let function: Vec<u8> = [1, 100, 0x7f].into_iter().chain(steps).chain([0x0b]).collect();
    let code = [&[1][..], &leb(function.len()), &function].concat();
    // The section of code begins with its number, its length, the count of functions and the length of the first.
    [&small[..at - 4], &[10], &leb(code.len()), &code].concat()
}

fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 0x7f {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// What compiles for this process, if anything does.
#[cfg(target_os = "linux")]
fn compiler_of(parent: u32) -> Option<String> {
    let is_it = |pid: &String| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        line.windows(9).any(|word| word == b"__compile") && status.contains(&format!("PPid:\t{parent}\n"))
    };
    let pids = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    pids.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())).find(is_it)
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_compiles_is_bounded_as_the_operator_says_and_dies_with_its_node() {
    let mut mesh = Mesh::up(1).await;
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("burden.wasm"), burden()).unwrap();
    let submit = ["submit", "--wasm", "burden.wasm"];
    let (code, id, stderr) = run(meshd(&mesh, &[0], here.path(), &[&submit[..], &["--detach"]].concat())).await;
    assert_eq!(code, 0, "{id}{stderr}");
    let node = mesh.net.nodes()[0].process.expect("it runs").pid;
    until("it is being compiled", || async { compiler_of(node).is_some() }).await;
    let compiler = compiler_of(node).expect("it compiles yet");
    let killed = mesh.net.kill(0);
    mesh.check(killed);
    let line = format!("/proc/{compiler}/cmdline");
    until("what compiled is gone", || async {
        std::fs::read(&line).is_ok_and(|line| line.is_empty()) || !Path::new(&line).exists()
    })
    .await;

    let config = mesh.net.nodes()[0].data_dir.join("meshd.toml");
    let text =
        std::fs::read_to_string(&config).unwrap() + "\n[wasm]\ncompiler_time = \"1s\"\ncompiler_memory = \"8GiB\"\n";
    std::fs::write(&config, text).unwrap();
    let back = mesh.net.start(0);
    mesh.check(back);
    until("the node is back", || async { mesh.net.status(0).await.is_ok() }).await;
    let (code, _, stderr) = run(meshd(&mesh, &[0], here.path(), &submit)).await;
    assert!(code == 1 && stderr.contains("`wasm.compiler_time`"), "{code}: {stderr}");
    // None of that is the node's: it is there, and runs the next.
    let wc = example("wc.wasm");
    let (code, stdout, stderr) = run(meshd(&mesh, &[0], here.path(), &["submit", "--wasm", &wc])).await;
    assert_eq!((code, stdout.as_str()), (0, "0 0 0\n"), "{stderr}");
}
