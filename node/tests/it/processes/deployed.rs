//! What `deploy/` rests on: a mesh begins without hands, health is told by an exit code, and what alerts and dashboards watch
//! is what a node exports.

mod watched;

use super::verbs::run;
use super::{TURN, until};
use meshd::client::{Ask, Client, piece};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A verb on a data directory, as a script that starts over has it.
fn meshd(data_dir: &Path, words: &[&str]) -> Command {
    let mut meshd = Command::new(env!("CARGO_BIN_EXE_meshd"));
    meshd.arg("--data-dir").arg(data_dir).args(words).stdin(Stdio::null());
    meshd
}

async fn code(data_dir: &Path, words: &[&str]) -> i32 {
    run(meshd(data_dir, words)).await.0
}

/// A running node, which ends with the test.
struct Node(Child);

impl Node {
    fn start(data_dir: &Path, words: &[&str]) -> Self {
        let common = ["run", "--mdns=false", "--api-listen", "127.0.0.1:0"];
        let mut meshd = meshd(data_dir, &[&common, words].concat());
        Self(meshd.stderr(Stdio::null()).spawn().expect("it starts"))
    }

    fn stop(mut self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it is there");
        assert_eq!(self.0.wait().expect("it ends").code(), Some(0), "to be told to stop is no failure");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).map(drop).unwrap_or_default();
    }
}

/// What Prometheus would read.
pub async fn scrape(data_dir: &Path) -> String {
    let address = std::fs::read_to_string(data_dir.join(meshd::run::API_ADDRESS))
        .expect("a running node writes where it is asked");
    let client = Client::new(vec![address.trim().to_owned()], String::new());
    let mut response = client.send(&Ask::get("/metrics")).await.expect("metrics");
    let mut text = Vec::new();
    while let Some(bytes) = piece(&mut response).await.expect("to its end") {
        text.extend_from_slice(&bytes);
    }
    String::from_utf8(text).expect("text")
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

#[tokio::test]
async fn a_mesh_begins_without_hands_and_exports_what_is_watched() {
    let _turn = TURN.lock().await;
    let here = tempfile::tempdir().unwrap();
    let [maker, joiner] = ["maker", "joiner"].map(|name| here.path().join(name));
    let token = here.path().join("token");
    let listen = format!("/ip4/127.0.0.1/tcp/{}", free_port());

    let init = ["init", "--if-needed", "--name", "deployed"];
    let (made, first, stderr) = run(meshd(&maker, &init)).await;
    assert_eq!(made, 0, "{stderr}");
    assert_eq!(run(meshd(&maker, &init)).await, (0, first.clone(), String::new()), "it is done already");
    assert_eq!(code(&maker, &["init", "--name", "deployed"]).await, 2);
    assert_eq!(code(&maker, &["init", "--if-needed", "--name", "other"]).await, 2, "that is not this one");
    assert_eq!(code(&maker, &["init", "--if-needed", "--name", "deployed", "--engine", "raft"]).await, 2);

    let invite = ["invite", "--role", "full", "--address", &listen, "--out", token.to_str().unwrap()];
    let (invited, said, stderr) = run(meshd(&maker, &invite)).await;
    let written = std::fs::read_to_string(&token).unwrap();
    assert_eq!((invited, said.trim()), (0, token.to_str().unwrap()), "{stderr}");
    assert!(!written.trim().is_empty() && !said.contains(written.trim()));
    assert_eq!(std::fs::metadata(&token).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(code(&maker, &invite).await, 0);
    assert_ne!(std::fs::read_to_string(&token).unwrap(), written, "a new one is in its place");
    assert_eq!(std::fs::read_dir(here.path()).unwrap().count(), 2, "and nothing beside it");
    let nowhere = here.path().join("no directory/token");
    assert_eq!(code(&maker, &["invite", "--address", &listen, "--out", nowhere.to_str().unwrap()]).await, 70);

    let making = Node::start(&maker, &["--listen", &listen]);
    let missing: PathBuf = here.path().join("missing");
    let by =
        |file: &Path| ["--listen", "/ip4/127.0.0.1/tcp/0", "--invitation", file.to_str().unwrap()].map(str::to_owned);
    let words = by(&missing);
    let refused = [vec!["run"], words.iter().map(String::as_str).collect()].concat();
    let (ended, _, stderr) = run(meshd(&joiner, &refused)).await;
    assert!(ended == 2 && stderr.contains("missing"), "{stderr}");
    let words = by(&token);
    let joining = Node::start(&joiner, &words.each_ref().map(String::as_str));
    for node in [&maker, &joiner] {
        until("it is ready", || async { code(node, &["health"]).await == 0 }).await;
    }
    assert_eq!(run(meshd(&maker, &init)).await, (0, first, String::new()), "also while it runs");

    assert_eq!(code(&joiner, &["submit", "--echo", "hello"]).await, 0);
    assert_eq!(code(&joiner, &["memory", "put", "--namespace", "deployed", "key", "value"]).await, 0);
    let exported = [scrape(&maker).await, scrape(&joiner).await].concat();
    assert_eq!(watched::findings(&exported), Vec::<String>::new());

    // Who has joined does not look for the invitation again.
    joining.stop();
    assert_eq!(code(&joiner, &["health"]).await, 69);
    let words = by(&missing);
    let _joined = Node::start(&joiner, &words.each_ref().map(String::as_str));
    until("it is ready again", || async { code(&joiner, &["health"]).await == 0 }).await;

    making.stop();
    until("it misses the other", || async { code(&joiner, &["health"]).await == 75 }).await;
    let (_, said, _) = run(meshd(&joiner, &["health", "--output", "json"])).await;
    assert!(said.contains("\"ok\":false") && said.contains("0 of 1"), "{said}");
    assert_eq!(run(meshd(&joiner, &["health", "--live"])).await, (0, "alive\n".to_owned(), String::new()));
}

/// The scrape configuration, the rules and their tests, by Prometheus's own tool.
#[test]
fn prometheus_understands_its_rules_and_they_do_what_their_tests_say() {
    let at = watched::deploy().join("prometheus");
    if !Command::new("promtool").arg("--version").output().is_ok_and(|output| output.status.success()) {
        println!("SKIPPED: there is no promtool here (Debian's package `prometheus` has it): rules were NOT checked");
        return;
    }
    for words in [
        ["check", "config", "prometheus.yml"].as_slice(),
        &["check", "rules", "rules/recording.yml", "rules/alerts.yml"],
        &["test", "rules", "tests/recording.yml", "tests/alerts.yml"],
    ] {
        let output = Command::new("promtool").args(words).current_dir(&at).output().expect("it runs");
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert!(output.status.success(), "promtool {words:?}:\n{said}");
    }
}
