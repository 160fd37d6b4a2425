//! What `map` refuses, and that it does so before anything is submitted or removed.

use super::verbs::{lines, meshd, run};
use super::{Mesh, until};
use std::process::Stdio;

#[tokio::test]
async fn nothing_of_the_user_s_is_in_danger_from_results() {
    let mesh = Mesh::up(3).await;
    let here = tempfile::tempdir().unwrap();
    let write = |path: &str| {
        let path = here.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "precious\n").unwrap();
    };
    let read = |path: &str| std::fs::read_to_string(here.path().join(path)).unwrap();
    ["src/a", "docs/b", "file", "done/exit_code"].into_iter().for_each(write);
    let ask = async |words: &str| run(meshd(&mesh, &[0, 1], here.path(), &words.split(' ').collect::<Vec<_>>())).await;

    for words in [
        "map --exec --in-place --out-dir . -- wc -l {} ::: src docs",
        "map --exec --in-place --out-dir . -- wc -l {} ::: done",
        "map --exec --out-dir . -- cat {} ::: file",
        "map --exec --out-dir file -- cat {} ::: src/a",
        "map --exec --out-dir file/below -- cat {} ::: src/a",
    ] {
        let (code, stdout, stderr) = ask(words).await;
        assert!(code == 2 && stderr.contains("nothing was submitted"), "{words}: {code} {stdout}{stderr}");
    }
    assert_eq!(ask("job list --output json").await.1, "");
    // What an earlier run left is replaced, whatever else is there.
    for _ in 0..2 {
        let (code, _, stderr) = ask("map --exec --out-dir out -- cat {} ::: src/a file").await;
        assert_eq!((code, stderr.as_str()), (0, ""));
    }
    assert_eq!(read("out/src/a/stdout"), "precious\n");
    // Its own inputs are not.
    let (code, _, stderr) = ask("map --exec --in-place --out-dir . -- wc -l {} ::: out/file").await;
    assert!(code == 2 && stderr.contains("an input is in it"), "{stderr}");
    for path in ["src/a", "docs/b", "file", "done/exit_code"] {
        assert_eq!(read(path), "precious\n", "{path}");
    }
}

#[tokio::test]
#[ignore = "drawn by the commit"]
async fn results_that_cannot_be_laid_out_any_more_are_not_lost() {
    let mesh = Mesh::up(1).await;
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("8"), "").unwrap();
    std::fs::write(here.path().join("0.1"), "").unwrap();
    let ask = async |words: &str| run(meshd(&mesh, &[0], here.path(), &words.split(' ').collect::<Vec<_>>())).await;
    let words = ["map", "--exec", "--out-dir", "out", "--", "sleep", ":::", "8"];
    let slow = meshd(&mesh, &[0], here.path(), &words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("the job runs", || async { mesh.net.status(0).await.is_ok_and(|status| status.running >= 1) }).await;
    // Another job's results go there meanwhile, and somebody lays something in the way.
    let (code, _, stderr) = ask("map --exec --out-dir out -- sleep ::: 0.1").await;
    assert_eq!((code, stderr.as_str()), (0, ""));
    std::fs::write(here.path().join("out/8"), "precious").unwrap();
    let output = tokio::task::spawn_blocking(move || slow.wait_with_output()).await.unwrap().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(70), "{stderr}");
    assert!(stderr.contains("out/8") && stderr.contains("--idempotency-key"), "{stderr}");
    let job = stderr.split("meshd job attach ").nth(1).expect(&stderr).split(';').next().unwrap().to_owned();
    assert_eq!(std::fs::read_to_string(here.path().join("out/8")).unwrap(), "precious");
    let (code, _, stderr) = ask(&format!("job result {job} --out-dir again")).await;
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(here.path().join("again/000000/exit_code").exists() && here.path().join("out/0.1/exit_code").exists());
}

#[tokio::test]
async fn a_variable_that_no_task_may_set_is_refused_before_anything_runs() {
    let mesh = Mesh::up(1).await;
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("a"), "").unwrap();
    let ask = async |words: &str| run(meshd(&mesh, &[0], here.path(), &words.split(' ').collect::<Vec<_>>())).await;
    for words in ["submit --exec --env PATH=/x -- true", "map --exec --env PATH=/x -- true ::: a"] {
        let (code, stdout, stderr) = ask(words).await;
        assert!(code == 2 && stderr.contains("`PATH` may not be set"), "{words}: {code} {stdout}{stderr}");
    }
    assert_eq!(ask("job list --output json").await.1, "");
    assert_eq!(ask("task list --output json").await.1, "");
}

#[tokio::test]
async fn what_was_refused_is_said_when_nobody_waits() {
    let mesh = Mesh::up(1).await;
    let here = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        std::fs::write(here.path().join(name), "").unwrap();
    }
    let ask = async |words: &str| run(meshd(&mesh, &[0], here.path(), &words.split(' ').collect::<Vec<_>>())).await;
    let (code, stdout, stderr) = ask("map --detach --exec --out ../x --output json -- true ::: a b").await;
    assert_eq!(code, 1, "{stdout}{stderr}");
    assert!(stderr.contains("a: refused") && stderr.contains("b: refused"), "{stderr}");
    let summary = &lines(&stdout)[0];
    assert_eq!((&summary["count"], &summary["failed"]), (&2.into(), &2.into()));
    let (code, stdout, stderr) = ask("map --detach --exec -- true ::: a b").await;
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    assert_eq!(ask(&format!("job attach {}", stdout.trim())).await.0, 0);
}
