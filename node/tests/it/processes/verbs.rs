//! The command line as its user has it: the real binary against real nodes, by its exit codes and what it prints.

use super::{Mesh, until};
use serde_json::Value;
use std::ffi::OsStr;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// A verb for all nodes in `order`, in a directory of the test's.
pub fn meshd(mesh: &Mesh, order: &[usize], here: &Path, words: &[&str]) -> Command {
    let mut meshd = Command::new(env!("CARGO_BIN_EXE_meshd"));
    let apis: Vec<String> = order.iter().map(|node| mesh.net.nodes()[*node].api()).collect();
    meshd.args(words).current_dir(here).stdin(Stdio::null());
    meshd.env("MESHD_API", apis.join(",")).env("MESHD_TOKEN_FILE", mesh.net.token_file()).env_remove("NO_COLOR");
    meshd
}

/// Runs a verb to its end, beside the test's runtime.
pub async fn run(mut meshd: Command) -> (i32, String, String) {
    let output: Output = tokio::task::spawn_blocking(move || meshd.output()).await.unwrap().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

pub fn lines(stdout: &str) -> Vec<Value> {
    stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[tokio::test]
async fn verbs_end_with_the_code_that_says_why() {
    let mesh = Mesh::up(3).await;
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("a"), "a\n").unwrap();
    std::fs::write(here.path().join("token"), "wrong\n").unwrap();
    let ask = async |words: &str| run(meshd(&mesh, &[0, 1], here.path(), &words.split(' ').collect::<Vec<_>>())).await;

    for (words, code, said) in [
        ("submit --echo hi", 0, "hi"),
        ("submit --exec --file a -- sha256sum a", 0, "  a\n"),
        ("submit --exec -- false", 1, ""),
        ("submit --echo hi --idempotency-key k --key-born 2026-01-01T00:00:00Z", 2, "what the mesh remembers"),
        ("map --echo --idempotency-key k --key-born 2026-01-01T00:00:00Z -- ::: a", 2, "what the mesh remembers"),
        ("submit --exec -- rm x", 1, "not allowed"),
        ("submit --exec -- sha256sum gone", 1, "gone"),
        ("submit --exec --deadline 300ms -- sleep 60", 124, "deadline_passed"),
        ("submit --exec --time-limit 200ms -- sleep 60", 1, "time limit of 200 ms"),
        ("submit --exec --out never -- true", 1, "never"),
        ("map --exec --fail-fast -- sha256sum {} x ::: a", 1, "a: exit code 1"),
        ("map --exec -- sha256sum {} ::: a gone", 2, "nothing was submitted"),
        ("map --exec --out stdout -- true ::: a", 2, "--out stdout"),
        ("map --exec -- true ::: a ./a", 2, "would both go to a"),
        ("map --exec -- true ::: .", 2, "names no file"),
        ("task show 00000000", 2, "00000000"),
        ("task show zz", 2, "first 8"),
        ("member forget 12D3Koo", 2, "peer id"),
        ("submit --echo x --token-file token", 2, "0600"),
        ("status --api http://127.0.0.1:1", 69, "meshd run"),
        ("submit --echo x --api http://127.0.0.1:1", 69, "meshd run"),
    ] {
        let (ended, stdout, stderr) = ask(words).await;
        assert_eq!(ended, code, "{words}: {stdout}{stderr}");
        assert!(stdout.contains(said) || stderr.contains(said), "{words}: {stdout}{stderr}");
    }
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(here.path().join("token"), mode).unwrap();
    assert_eq!(ask("submit --echo x --token-file token").await.0, 77);
    assert_eq!(ask("task result 00000000").await.0, 2);
    let (_, id, _) = ask("submit --exec --detach -- sleep 60").await;
    assert_eq!(ask(&format!("task result {}", &id[..8])).await.0, 75, "it has not ended");
    assert_eq!(ask(&format!("task cancel {}", &id[..8])).await.0, 0);
    assert_eq!(ask(&format!("task result --wait {}", &id[..8])).await.0, 1);
}

/// A terminal's end that a program has, and the other, with which it lasts.
fn terminal() -> (OwnedFd, OwnedFd) {
    let (mut ours, mut theirs) = (-1, -1);
    use std::ptr::null_mut;
    // SAFETY: both numbers live through the call, and the rest may be null; what it opened nobody else has.
    unsafe {
        assert_eq!(libc::openpty(&raw mut ours, &raw mut theirs, null_mut(), null_mut(), null_mut()), 0);
        (OwnedFd::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs))
    }
}

#[tokio::test]
async fn a_dash_is_standard_input_and_no_terminal() {
    let mesh = Mesh::up(3).await;
    let here = tempfile::tempdir().unwrap();
    let piped = async |content: Vec<u8>, words: &[&str]| {
        let mut meshd = meshd(&mesh, &[0, 1], here.path(), words);
        let (read, mut write) = std::io::pipe().unwrap();
        meshd.stdin(read);
        let fed = std::thread::spawn(move || std::io::Write::write_all(&mut write, &content));
        let ended = run(meshd).await;
        fed.join().unwrap().unwrap();
        ended
    };
    let sum = |content: &[u8]| data_encoding::HEXLOWER.encode(&<sha2::Sha256 as sha2::Digest>::digest(content));
    // In the record, at the edge of what fits into it, and as a blob that comes in many pieces.
    for len in [0, 5, 16 << 10, (16 << 10) + 1, 3_000_000] {
        let content: Vec<u8> = (0..len).map(|at: u32| (at % 251) as u8).collect();
        let expected = (0, format!("{}  -\n", sum(&content)));
        let (code, stdout, stderr) =
            piped(content.clone(), &["submit", "--exec", "--stdin", "-", "--", "sha256sum"]).await;
        assert_eq!((code, stdout), expected, "{len}: {stderr}");
        let (code, stdout, stderr) = piped(content, &["submit", "--sha256", "-"]).await;
        assert!(code == 0 && expected.1.contains(stdout.trim()), "{len}: {stdout}{stderr}");
    }

    let (ours, theirs) = terminal();
    let mut meshd = meshd(&mesh, &[0], here.path(), &["submit", "--exec", "--stdin", "-", "--", "sha256sum"]);
    meshd.stdin(theirs);
    let (code, stdout, stderr) = run(meshd).await;
    assert!(code == 2 && stdout.is_empty() && stderr.contains("terminal"), "{code}: {stderr}");
    drop(ours);
}

#[tokio::test]
async fn json_is_an_object_a_line_and_keys_repeat_through_any_node() {
    let named =
        |options: &mut meshd::testnet::Options| options.more = "[node]\nname = 'mill'\nzone = 'rack-7'\n".into();
    let mesh = Mesh::up_with(3, named).await;
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("a"), "a\n").unwrap();
    std::fs::write(here.path().join("b"), "b\n").unwrap();
    let ask = async |node: usize, words: &str| {
        let words: Vec<&str> = words.split(' ').chain(["--output", "json"]).collect();
        let at = words.iter().position(|word| *word == "--").unwrap_or(words.len() - 2);
        let ordered = [&words[..at], &words[words.len() - 2..], &words[at..words.len() - 2]].concat();
        let (code, stdout, stderr) = run(meshd(&mesh, &[node], here.path(), &ordered)).await;
        assert_eq!(code, 0, "{ordered:?}: {stderr}");
        lines(&stdout)
    };
    let submit = "submit --idempotency-key once --deadline 1h --exec -- sha256sum /dev/null";
    let (first, second) = (ask(0, submit).await, ask(2, submit).await);
    assert_eq!(first, second, "the same task, whichever node is asked");
    assert_eq!(first[0]["exit_code"], 0);
    let task = first[0]["task"].as_str().unwrap().to_owned();
    let (code, _, stderr) =
        run(meshd(&mesh, &[1], here.path(), &["submit", "--idempotency-key", "once", "--echo", "other"])).await;
    assert_eq!(code, 2, "{stderr}");

    let map = "map --idempotency-key twice --deadline 1h --exec -- sha256sum {} ::: a b";
    let (first, second) = (ask(0, map).await, ask(1, map).await);
    assert_eq!(first, second);
    let summary = first.last().unwrap();
    assert_eq!((&summary["done"], &summary["failed"], &summary["count"]), (&2.into(), &0.into(), &2.into()));
    let job = summary["job"].as_str().unwrap().to_owned();

    for (words, key) in [
        ("status".to_owned(), "ready"),
        ("task list".to_owned(), "task"),
        (format!("task list --job {job}"), "state"),
        (format!("task show {}", &task[..8]), "story"),
        (format!("task result {}", &task[..8]), "exit_code"),
        ("job list".to_owned(), "job"),
        (format!("job show {}", &job[..8]), "states"),
        (format!("job result {}", &job[..8]), "stdout"),
        ("peer list".to_owned(), "address"),
        ("member list".to_owned(), "state"),
        ("blob add a".to_owned(), "id"),
        ("blob ls".to_owned(), "size"),
        ("config show".to_owned(), "origin"),
    ] {
        let said = ask(1, &words).await;
        assert!(said.iter().all(Value::is_object) && said[0].get(key).is_some(), "{words}: {said:?}");
    }
    for member in ask(1, "member list").await {
        assert_eq!((&member["name"], &member["zone"]), (&"mill".into(), &"rack-7".into()), "{member}");
    }
    let status = ask(0, "status").await;
    assert!(status[0]["containment"].is_string(), "{status:?}");
    assert_eq!(ask(0, "task list --state running").await, Vec::<Value>::new());
}

#[tokio::test]
async fn results_lie_below_the_given_paths_whatever_their_names() {
    let mesh = Mesh::up(3).await;
    let here = tempfile::tempdir().unwrap();
    let below = here.path().join("d");
    std::fs::create_dir(&below).unwrap();
    for name in ["plain", "a b", "-dash", "ünï", ".hidden", "new\nline", "empty", "{}", "q'uo\"te"] {
        std::fs::write(below.join(name), if name == "empty" { "" } else { name }).unwrap();
    }
    let odd = below.join(OsStr::from_bytes(b"not\xffutf8"));
    std::fs::write(&odd, "odd").unwrap();

    let list = Command::new("find").args([".", "-type", "f", "-print0"]).current_dir(&below).output().unwrap().stdout;
    std::fs::write(here.path().join("list"), list).unwrap();
    // By standard input their names do not matter.
    let words = ["map", "--exec", "--stdin", "--null", "--out-dir", "../out", "--", "sha256sum", "::::", "../list"];
    let (code, _, stderr) = run(meshd(&mesh, &[0], &below, &words)).await;
    assert_eq!((code, stderr.as_str()), (0, ""));
    for file in std::fs::read_dir(&below).unwrap() {
        let file = file.unwrap();
        let result = here.path().join("out").join(file.file_name());
        let hash = std::fs::read_to_string(result.join("stdout")).unwrap();
        assert_eq!(hash, super::hash_line(&String::from_utf8(std::fs::read(file.path()).unwrap()).unwrap()));
        assert_eq!(std::fs::read_to_string(result.join("exit_code")).unwrap(), "0\n");
        assert_eq!(std::fs::read_to_string(result.join("stderr")).unwrap(), "");
    }
    // As files in the task's directory they must be text; then all is as a local run has it.
    let words = ["map", "--exec", "--null", "--out-dir", "../out2", "--", "sha256sum", "{}", "::::", "../list"];
    let (code, _, stderr) = run(meshd(&mesh, &[0], &below, &words)).await;
    assert!(code == 2 && stderr.contains("UTF-8") && !here.path().join("out2").exists(), "{stderr}");
    std::fs::remove_file(&odd).unwrap();
    let list = Command::new("find").args([".", "-type", "f", "-print0"]).current_dir(&below).output().unwrap().stdout;
    std::fs::write(here.path().join("list"), &list).unwrap();
    let (code, _, stderr) = run(meshd(&mesh, &[0], &below, &words)).await;
    assert_eq!((code, stderr.as_str()), (0, ""));
    for name in list.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let name = OsStr::from_bytes(name);
        let local = Command::new("sha256sum").arg(name).current_dir(&below).output().unwrap().stdout;
        assert_eq!(std::fs::read(here.path().join("out2").join(name).join("stdout")).unwrap(), local, "{name:?}");
    }
    // What leads outside is stripped.
    let absolute = below.join("plain").display().to_string();
    let words = ["map", "--exec", "--out-dir", "../out3", "--", "cat", ":::", &absolute, "../d/a b"];
    assert_eq!(run(meshd(&mesh, &[0], &below, &words)).await.0, 0);
    assert!(here.path().join("out3").join(absolute.trim_start_matches('/')).join("stdout").exists());
    assert!(here.path().join("out3/d/a b/stdout").exists() && !here.path().join("out3/.partial").exists());
    // None at all is no error.
    let (code, stdout, stderr) = run(meshd(&mesh, &[0], &below, &["map", "--exec", "--", "cat"])).await;
    assert!(code == 0 && stdout.is_empty() && stderr.contains("no inputs"), "{stderr}");
}

#[tokio::test]
async fn ctrl_c_detaches_and_says_how_to_go_on() {
    let mesh = Mesh::up(3).await;
    let here = tempfile::tempdir().unwrap();
    for name in ["1", "2", "3", "4"] {
        std::fs::write(here.path().join(name), name).unwrap();
    }
    let words = ["map", "--exec", "--", "sleep", ":::", "1", "2", "3", "4"];
    let mut map = meshd(&mesh, &[0, 1], here.path(), &words);
    let child = map.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    until("the job runs", || async { mesh.net.status(0).await.is_ok_and(|status| status.following >= 4) }).await;
    let (code, stderr) = interrupt(child).await;
    assert_eq!(code, 130, "{stderr}");
    let attach = stderr.split("meshd job attach ").nth(1).expect(&stderr).split(';').next().unwrap().to_owned();
    assert!(stderr.contains("meshd job cancel"), "{stderr}");
    // From another node, to its end.
    assert_eq!(run(meshd(&mesh, &[2], here.path(), &["job", "attach", &attach])).await.0, 0);
    assert_eq!(run(meshd(&mesh, &[2], here.path(), &["job", "result", &attach])).await.0, 0);

    let mut submit = meshd(&mesh, &[0], here.path(), &["submit", "--exec", "--", "sleep", "60"]);
    let child = submit.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    until("the task runs", || async { mesh.net.status(0).await.is_ok_and(|status| status.following >= 1) }).await;
    let (code, stderr) = interrupt(child).await;
    assert!(code == 130 && stderr.contains("detached"), "{code} {stderr}");
    // Off a terminal, too, where the one answer that is waited for comes with the end.
    let task = stderr.split("meshd task cancel ").nth(1).expect(&stderr).trim().to_owned();
    assert!(stderr.contains(&format!("meshd task result {task} --wait;")), "{stderr}");
    assert_eq!(run(meshd(&mesh, &[1], here.path(), &["task", "result", &task])).await.0, 75, "it goes on");
    assert_eq!(run(meshd(&mesh, &[2], here.path(), &["task", "cancel", &task])).await.0, 0);
    assert_eq!(run(meshd(&mesh, &[1], here.path(), &["task", "result", "--wait", &task])).await.0, 1);

    // Before anything is submitted: the input is a pipe that nobody writes to.
    let pipe = here.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut submit = meshd(&mesh, &[0], here.path(), &["submit", "--sha256", "pipe"]);
    let child = submit.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    // Once it reads, a writer is let in.
    let opened = tokio::task::spawn_blocking(move || std::fs::OpenOptions::new().write(true).open(pipe));
    let _writer = opened.await.unwrap().unwrap();
    let (code, stderr) = interrupt(child).await;
    assert!(code == 130 && stderr.contains("nothing was submitted"), "{code} {stderr}");
}

#[tokio::test]
async fn ctrl_c_on_a_locked_command_is_told_as_such() {
    let mesh = Mesh::up(1).await;
    let here = tempfile::tempdir().unwrap();
    let words = ["lock", "nightly", "--", "sh", "-c", "echo > held; sleep 60"];
    let mut lock = meshd(&mesh, &[0], here.path(), &words);
    let child = lock.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    until("the lock is held", || async { here.path().join("held").exists() }).await;
    let (code, stderr) = interrupt(child).await;
    assert_eq!((code, stderr.as_str()), (130, ""));
    // And it is free again.
    assert_eq!(run(meshd(&mesh, &[0], here.path(), &["lock", "nightly", "--wait", "0s", "--", "true"])).await.0, 0);
}

#[tokio::test]
async fn a_job_says_why_its_items_failed_and_the_same_only_once() {
    let mesh = Mesh::up(1).await;
    let here = tempfile::tempdir().unwrap();
    for name in ["a", "b", "c", "d"] {
        std::fs::write(here.path().join(name), name).unwrap();
    }
    let ask = async |words: &str| run(meshd(&mesh, &[0], here.path(), &words.split(' ').collect::<Vec<_>>())).await;
    let (code, _, stderr) = ask("map --exec --out-dir out -- sha256sum gone {} ::: a b c d").await;
    assert_eq!(code, 1, "{stderr}");
    let said: Vec<&str> = stderr.lines().collect();
    assert!(said[0].starts_with("meshd: 4 items, such as ") && said[0].ends_with(": exit code 1"), "{stderr}");
    assert!(said[1].starts_with("meshd:   | sha256sum: gone: "), "{stderr}");
    assert!(said[2].starts_with("meshd: 0 done, 4 failed, in ") && said[2].ends_with("results are in out"), "{stderr}");
    assert_eq!(said.len(), 3, "{stderr}");
    // What is too long for the record is a blob, and its end is fetched.
    let long = format!("map --exec -- sha256sum {} {{}} ::: a", ["gone"; 1_000].join(" "));
    let (_, stdout, stderr) = ask(&long).await;
    let said: Vec<&str> = stderr.lines().collect();
    assert_eq!((stdout.lines().count(), said.len(), said[0]), (1, 4, "meshd: a: exit code 1"), "{stderr}");
    assert!(said[1..].iter().all(|line| line.starts_with("meshd:   | sha256sum: gone: ")), "{stderr}");

    let (code, stdout, _) = ask("map --exec --output json -- sha256sum gone {} ::: a b c d").await;
    let said = lines(&stdout);
    let failures = said.last().unwrap()["failures"].as_array().unwrap();
    let of = |failure: &Value| (failure["input"].as_str().unwrap().to_owned(), failure["index"].as_u64().unwrap());
    let mut inputs: Vec<(String, u64)> = failures.iter().map(of).collect();
    inputs.sort();
    assert_eq!((code, inputs), (1, (0..).zip(["a", "b", "c", "d"]).map(|(at, name)| (name.into(), at)).collect()));
}

#[tokio::test]
async fn verbs_that_need_a_node_say_how_to_start_it() {
    let mut mesh = Mesh::up(2).await;
    let here = tempfile::tempdir().unwrap();
    let dir = mesh.net.nodes()[1].data_dir.display().to_string();
    let killed = mesh.net.kill(1);
    mesh.check(killed);
    for verb in [
        "status",
        "task list",
        "job list",
        "peer list",
        "member list",
        "blob ls",
        "submit --echo x",
        "memory list --namespace n",
        "proposal list",
        "committee list",
        "consensus status",
        "lock a -- true",
        "map --echo -- ::: /dev/null",
    ] {
        let (verb, rest) = verb.split_once(" -- ").unwrap_or((verb, ""));
        let mut words: Vec<&str> = verb.split(' ').chain(["--data-dir", &dir]).collect();
        if !rest.is_empty() {
            words.push("--");
            words.extend(rest.split(' '));
        }
        let (code, stdout, stderr) = run(meshd(&mesh, &[0], here.path(), &words)).await;
        assert_eq!((code, stdout.as_str()), (69, ""), "{words:?}: {stderr}");
        let start = format!("`meshd run --data-dir {dir}` starts");
        assert!(stderr.contains(&start) && stderr.lines().count() == 1, "{words:?}: {stderr}");
    }
}

pub async fn interrupt(child: Child) -> (i32, String) {
    end_with(rustix::process::Signal::INT, child).await
}

pub async fn end_with(signal: rustix::process::Signal, child: Child) -> (i32, String) {
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, signal).unwrap();
    let output = tokio::task::spawn_blocking(move || child.wait_with_output()).await.unwrap().unwrap();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test]
async fn progress_and_colour_are_for_terminals() {
    let mesh = Mesh::up(1).await;
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("a"), "a").unwrap();
    let words = ["map", "--sleep", "10ms", "--", ":::", "a"];
    let (code, stdout, stderr) = run(meshd(&mesh, &[0], here.path(), &words)).await;
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (0, "", ""));
    let on_terminal = |verb: &str, colour: bool| {
        let line = format!("{} {verb}", env!("CARGO_BIN_EXE_meshd"));
        let mut script = meshd(&mesh, &[0], here.path(), &[]);
        let mut terminal = Command::new("script");
        terminal.args(["-qec", &line, "/dev/null"]).current_dir(here.path()).stdin(Stdio::null());
        terminal.envs(script.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("TERM", "xterm");
        if !colour {
            terminal.env("NO_COLOR", "1");
        }
        script = terminal;
        script
    };
    if Command::new("script").arg("--version").output().is_err() {
        println!("SKIPPED: no `script` to make a terminal with");
        return;
    }
    let map = "map --sleep 1500ms -- ::: a";
    let (code, plain, _) = run(on_terminal(map, false)).await;
    assert!(code == 0 && plain.contains("1 running") && !plain.contains("\u{1b}[32m"), "{plain:?}");
    let (code, coloured, _) = run(on_terminal(map, true)).await;
    assert!(code == 0 && coloured.contains("\u{1b}[32m"), "{coloured:?}");
    // A summary is for who watches, unless something failed.
    let (code, laid, _) = run(on_terminal("map --sha256 --out-dir out -- ::: a", false)).await;
    assert!(code == 0 && laid.contains("1 done, 0 failed, in ") && laid.contains("results are in out"), "{laid:?}");
    let (code, watched, _) = run(on_terminal("submit --sleep 2500ms", false)).await;
    assert!(code == 0 && watched.contains("submitting") && watched.contains("running for"), "{watched:?}");
}
