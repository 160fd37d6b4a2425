//! A program sees its own directory and nothing beyond.

use super::{Bench, arguments, example, of_wasi, text};
use crate::executor::{Failure, Source, Status};

/// Ends with 0 if it can open what is named, else with the error's number.
fn opening(path: &str) -> String {
    let (length, before) = (path.len(), "");
    linked(before, path, length)
}

/// The same after a symbolic link `link` was made to `target`, if that is not empty.
fn linked(target: &str, path: &str, length: usize) -> String {
    let link = match target.len() {
        0 => String::new(),
        length => format!(
            r#"(if (call $symlink (i32.const 1024) (i32.const {length}) (i32.const 3) (i32.const 2048) (i32.const 4))
                (then (call $exit (i32.const 99))))"#
        ),
    };
    of_wasi(&format!(
        r#"(data (i32.const 64) "{path}") (data (i32.const 1024) "{target}") (data (i32.const 2048) "link")
        (func (export "_start")
            {link}
            (call $exit (call $path_open (i32.const 3) (i32.const 1) (i32.const 64) (i32.const {length}) (i32.const 0)
                (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 32))))"#
    ))
}

#[test]
fn paths_that_lead_out_are_refused() {
    let mut bench = Bench::new();
    std::fs::write(bench.directory.path().join("secret"), "of the node").unwrap();
    let inside = |bench: &mut Bench, module: &str| {
        let mut run = bench.text(module);
        run.inputs = vec![("data/a".into(), Source::Inline("inside".into()))];
        let status = bench.finish(run).status;
        let Status::Exit(code) = status else { panic!("{status:?}") };
        code
    };
    for path in ["data/a", "./data/a", "data/../data/a"] {
        assert_eq!(inside(&mut bench, &opening(path)), 0, "{path}");
    }
    for path in
        ["../secret", "../../secret", "data/../../../secret", "/etc/passwd", "/proc/self/environ", "..", "/", "\\00"]
    {
        assert_ne!(inside(&mut bench, &opening(path)), 0, "{path}");
    }
    let secret = bench.directory.path().join("secret").display().to_string();
    assert_ne!(inside(&mut bench, &opening(&secret)), 0);
    for target in ["../../secret", "..", "/", "/etc/passwd", "/proc/self/root", &secret] {
        for path in ["link", "link/secret", "link/etc/passwd", "link/../secret"] {
            assert_ne!(inside(&mut bench, &linked(target, path, path.len())), 0, "{path}, link to {target}");
        }
    }
    assert_eq!(inside(&mut bench, &linked("data/a", "link", 4)), 0, "a link may lead inside");
    bench.is_unharmed();
}

/// Whatever a program puts in the place of an output, nothing of the node leaves by it.
#[test]
fn an_output_that_is_a_link_out_is_refused() {
    let mut bench = Bench::new();
    std::fs::write(bench.directory.path().join("tasks").join("secret"), "of the node").unwrap();
    let module = of_wasi(
        r#"(data (i32.const 1024) "../secret") (data (i32.const 2048) "link")
        (func (export "_start")
            (drop (call $symlink (i32.const 1024) (i32.const 9) (i32.const 3) (i32.const 2048) (i32.const 4))))"#,
    );
    let mut run = bench.text(&module);
    run.outputs = vec!["link".into()];
    let status = bench.finish(run).status;
    let refused = matches!(status, Status::Failed(Failure::OutputRefused { .. } | Failure::OutputMissing { .. }));
    assert!(refused, "{status:?}");
}

#[test]
fn an_input_is_a_copy_and_the_environment_is_its_own() {
    let mut bench = Bench::new();
    let blob = bench.directory.path().join("blob");
    std::fs::write(&blob, "one two\nthree\n").unwrap();
    let mut run = bench.run_of(&example("wc.wasm"));
    run.inputs = vec![("data/a".into(), Source::File(blob.clone()))];
    arguments(&mut run, &["data/a", "/data/a", "./data/a"]);
    let outcome = bench.finish(run);
    assert_eq!(text(&outcome.stdout), "2 3 14 data/a\n2 3 14 /data/a\n2 3 14 ./data/a\n", "{outcome:?}");
    assert_eq!(std::fs::read_to_string(blob).unwrap(), "one two\nthree\n");
}
