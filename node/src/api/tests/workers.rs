use super::{Scripted, api_with, ask, bytes, request, send};
use crate::{
    api::{Api, Limits},
    executor::{
        ExecutorConfig, ExecutorEvent, Executors, Limits as ExecLimits, Outcome, Output, Program, Run, Source, Status,
        WorkersConfig,
    },
};
use axum::http::StatusCode;
use mesh_proto::id::TaskId;
use serde_json::{Value, json};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::mpsc;

struct Node {
    api: Api,
    executors: Executors,
    events: mpsc::Receiver<ExecutorEvent>,
    directory: TempDir,
}

const TASK: TaskId = TaskId::from_bytes([7; 32]);

impl Node {
    fn new(config: WorkersConfig) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (sender, events) = mpsc::channel(64);
        let tasks = directory.path().join("tasks");
        let config = ExecutorConfig { slots: 2, workers: Some(config), ..ExecutorConfig::new(tasks) };
        let executors = Executors::start(config, sender).unwrap();
        let workers = executors.workers().clone();
        let api = api_with(Scripted::new(), Limits::default(), |ports| ports.workers = workers);
        Self { api, executors, events, directory }
    }

    async fn ask(&self, method: &str, path: &str, body: impl Into<axum::body::Body>) -> (u16, Value) {
        let (status, value) = ask(&self.api, request(method, path, body)).await;
        (status.as_u16(), value)
    }

    async fn attach(&self, kinds: Value) -> String {
        let (status, attached) =
            self.ask("POST", "/v1/workers", json!({ "name": "w", "kinds": kinds }).to_string()).await;
        assert_eq!((status, attached["lease_ms"].as_u64()), (201, Some(10_000)), "{attached}");
        attached["worker"].as_str().unwrap().to_owned()
    }

    /// A task with an input that lies on the disk.
    fn give(&self) {
        let large = self.directory.path().join("large");
        std::fs::write(&large, "large").unwrap();
        let run = Run {
            task: TASK,
            attempt: 3,
            fence: 3,
            program: Program::Worker { kind: "x".parse().unwrap(), argv: vec!["a b".into()] },
            stdin: Source::File(large),
            inputs: vec![
                ("data/a b".into(), Source::Inline("\u{fc}".into())),
                ("raw".into(), Source::Inline(vec![0xff].into())),
                ("none".into(), Source::Null),
            ],
            outputs: vec!["out/c".into()],
            time_limit: Duration::from_secs(60),
            limits: ExecLimits::default(),
        };
        assert!(self.executors.run(run).unwrap().is_none());
    }

    async fn ended(&mut self) -> Outcome {
        match self.events.recv().await.unwrap() {
            ExecutorEvent::Finished { outcome, .. } => outcome,
            started @ ExecutorEvent::Started { .. } => panic!("{started:?}"),
        }
    }
}

#[tokio::test]
async fn a_worker_is_attached_given_a_task_and_brings_what_came_of_it() {
    let mut node = Node::new(WorkersConfig::default());
    let worker = node.attach(json!(["x", "y"])).await;
    let home = format!("/v1/workers/{worker}");
    assert_eq!(node.ask("POST", &format!("{home}/take?wait=1ms"), "").await, (204, Value::Null));
    node.give();
    let (status, order) = node.ask("POST", &format!("{home}/take"), "").await;
    assert_eq!(status, 200);
    let of_task = format!("{home}/tasks/{TASK}");
    let expected = json!({
        "task": TASK.to_string(), "attempt": 3, "fence": 3, "kind": "x", "argv": ["a b"],
        "stdin": { "url": format!("{of_task}/input?attempt=3") },
        "files": [{ "name": "data/a b", "text": "\u{fc}" }, { "name": "raw", "b64": "/w==" }, { "name": "none" }],
        "outputs": ["out/c"], "time_limit_ms": 60_000,
    });
    assert_eq!(order, expected);
    for (path, content) in
        [("input?attempt=3", &b"large"[..]), ("input", b"large"), ("files/data%2Fa%20b", "\u{fc}".as_bytes())]
    {
        let response = send(&node.api, request("GET", &format!("{of_task}/{path}"), "")).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(bytes(response).await, content, "{path}");
    }
    for (path, body, status) in [
        ("logs", "words\n", 204),
        ("logs?stream=stdout&attempt=3", "out\n", 204),
        ("progress", r#"{"percent":12.5,"text":"some"}"#, 204),
        ("progress", "{}", 204),
        ("progress", r#"{"percent":12.5}"#, 204),
    ] {
        let told = node.ask("POST", &format!("{of_task}/{path}"), body).await;
        assert_eq!(told.0, status, "{path}: {told:?}");
    }
    let (_, rows) = node.ask("GET", "/v1/workers", "").await;
    let row = &rows[0];
    assert_eq!((&row["worker"], &row["kinds"], &row["taken"]), (&json!(worker), &json!(["x", "y"]), &json!(1)));
    assert_eq!((&row["tasks"][0]["percent"], &row["tasks"][0]["cancelled"]), (&json!(12.5), &json!(false)));
    let (status, heard) =
        node.ask("POST", &format!("{home}/heartbeat"), json!({ "tasks": [TASK.to_string()] }).to_string()).await;
    assert_eq!((status, heard), (200, json!({ "lease_ms": 10_000, "cancelled": [] })));
    assert_eq!(node.ask("PUT", &format!("{of_task}/files/out%2Fc"), "content").await.0, 204);
    let (status, problem) =
        node.ask("POST", &format!("{of_task}/result"), json!({ "cpu_us": u64::MAX }).to_string()).await;
    assert_eq!((status, &problem["code"]), (400, &json!("malformed")), "it is no time that anything takes");
    let result = r#"{"exit_code":4,"stdout_b64":"/w==","stderr":"more\n","cpu_us":5}"#;
    for _ in 0..2 {
        assert_eq!(node.ask("POST", &format!("{of_task}/result?attempt=3"), result).await.0, 204);
    }
    let outcome = node.ended().await;
    assert_eq!((outcome.status, outcome.cpu), (Status::Exit(4), Duration::from_micros(5)));
    assert_eq!(outcome.stdout, Output::Inline((&b"out\n\xff"[..]).into()));
    assert_eq!(outcome.stderr, Output::Inline("words\nmore\n".into()));
    assert_eq!(outcome.files, [("out/c".into(), Output::Inline("content".into()))]);
    // Nothing more of it is wanted.
    let (status, problem) = node.ask("POST", &format!("{of_task}/logs"), "late").await;
    assert_eq!((status, &problem["code"]), (409, &json!("not_held")));
    assert_eq!(node.ask("DELETE", &home, "").await.0, 204);
    let (status, problem) = node.ask("POST", &format!("{home}/heartbeat"), "").await;
    assert_eq!((status, &problem["code"]), (410, &json!("gone")));
}

#[tokio::test]
async fn what_is_cancelled_is_told_in_each_answer_about_it() {
    let mut node = Node::new(WorkersConfig::default());
    let worker = node.attach(json!(["x"])).await;
    let of_task = format!("/v1/workers/{worker}/tasks/{TASK}");
    node.give();
    assert_eq!(node.ask("POST", &format!("/v1/workers/{worker}/take"), "").await.0, 200);
    assert!(node.executors.cancel(TASK, 3));
    drop(node.ended().await);
    let (_, heard) = node.ask("POST", &format!("/v1/workers/{worker}/heartbeat"), "").await;
    assert_eq!(heard["cancelled"], json!([TASK.to_string()]));
    for (path, body) in [("logs", "x"), ("progress", "{}"), ("result", "{}")] {
        let (status, problem) = node.ask("POST", &format!("{of_task}/{path}"), body).await;
        assert_eq!((status, &problem["code"]), (409, &json!("cancelled")), "{path}: {problem}");
    }
    let (_, heard) = node.ask("POST", &format!("/v1/workers/{worker}/heartbeat"), "").await;
    assert_eq!(heard["cancelled"], json!([]));
}

#[tokio::test]
async fn every_refusal_of_a_worker_is_a_problem_with_its_code() {
    let node = Node::new(WorkersConfig { most: 1, ..WorkersConfig::default() });
    let worker = node.attach(json!(["x"])).await;
    node.give();
    let (nobody, of_task) = ("0".repeat(32), format!("/v1/workers/{worker}/tasks/{TASK}"));
    let other = format!("/v1/workers/{worker}/tasks/{}", TaskId::from_bytes([8; 32]));
    let home = format!("/v1/workers/{worker}");
    let attach = |body: Value| ("POST", "/v1/workers".to_owned(), body.to_string());
    let at = |method, path: &str, body: &str| (method, path.to_owned(), body.to_owned());
    for ((method, path, body), status, code) in [
        (attach(json!({ "name": "w", "kinds": ["x"] })), 503, "too_many"),
        (attach(json!({ "name": "w", "kinds": [] })), 400, "malformed"),
        (attach(json!({ "name": "w", "kinds": ["X"] })), 400, "malformed"),
        (attach(json!({ "name": "", "kinds": ["x"] })), 400, "malformed"),
        (attach(json!({ "name": "w", "kinds": ["y"], "capabilities": ["tool:sort"] })), 400, "malformed"),
        (attach(json!({ "name": "w", "kinds": ["y"], "capabilities": ["a=>"] })), 400, "malformed"),
        (attach(json!({ "name": "w", "kinds": ["x"], "capabilities": ["gpu=1"] })), 409, "conflict"),
        (attach(json!({ "name": "w", "kinds": ["y"], "concurrency": 0 })), 400, "malformed"),
        (attach(json!({ "name": "w", "kinds": ["y"], "concurrency": -1 })), 400, "malformed"),
        (attach(json!({ "name": "w", "kinds": ["y"], "more": 1 })), 400, "malformed"),
        (at("POST", "/v1/workers", ""), 400, "malformed"),
        (at("DELETE", &format!("/v1/workers/{nobody}"), ""), 404, "not_found"),
        (at("DELETE", "/v1/workers/x", ""), 404, "not_found"),
        (at("POST", &format!("/v1/workers/{nobody}/heartbeat"), ""), 404, "not_found"),
        (at("POST", &format!("{home}/heartbeat"), "{"), 400, "malformed"),
        (at("POST", &format!("{home}/heartbeat"), r#"{"tasks":["x"]}"#), 400, "malformed"),
        (at("POST", &format!("/v1/workers/{nobody}/take?wait=1h"), ""), 404, "not_found"),
        (at("POST", &format!("{home}/take?wait=soon"), ""), 400, "malformed"),
        // Nobody has taken it.
        (at("POST", &format!("{of_task}/logs"), "x"), 409, "not_held"),
        (at("POST", &format!("{of_task}/result"), "{}"), 409, "not_held"),
        (at("POST", &format!("{of_task}/release"), ""), 409, "not_held"),
        (at("GET", &format!("{of_task}/input"), ""), 409, "not_held"),
    ] {
        let (told, problem) = node.ask(method, &path, body.clone()).await;
        assert_eq!((told, &problem["code"]), (status, &json!(code)), "{method} {path} {body}: {problem}");
    }
    assert_eq!(node.ask("POST", &format!("{home}/take"), "").await.0, 200);
    let long = "x".repeat((1 << 20) + 1);
    for (method, path, body, status, code) in [
        ("POST", format!("{other}/logs"), "x", 409, "not_held"),
        ("POST", format!("/v1/workers/{nobody}/tasks/{TASK}/logs"), "x", 404, "not_found"),
        ("POST", format!("/v1/workers/{worker}/tasks/x/logs"), "x", 400, "malformed"),
        ("POST", format!("{of_task}/logs?attempt=2"), "x", 409, "not_held"),
        ("POST", format!("{of_task}/logs?attempt=x"), "x", 400, "malformed"),
        ("POST", format!("{of_task}/logs?stream=stdin"), "x", 400, "malformed"),
        ("POST", format!("{of_task}/logs"), &long, 413, "too_large"),
        ("POST", format!("{of_task}/progress"), r#"{"percent":101}"#, 400, "malformed"),
        ("POST", format!("{of_task}/progress"), r#"{"percent":-1}"#, 400, "malformed"),
        ("POST", format!("{of_task}/progress"), r#"{"text":"\u0007"}"#, 400, "malformed"),
        ("POST", format!("{of_task}/progress"), "", 400, "malformed"),
        ("POST", format!("{of_task}/result"), r#"{"exit_code":256}"#, 400, "malformed"),
        ("POST", format!("{of_task}/result"), r#"{"stdout":"a","stdout_b64":"YQ=="}"#, 400, "malformed"),
        ("POST", format!("{of_task}/result"), r#"{"stdout_b64":"*"}"#, 400, "malformed"),
        ("POST", format!("{of_task}/release"), "[", 400, "malformed"),
        ("GET", format!("{of_task}/files/gone"), "", 404, "not_found"),
        ("PUT", format!("{of_task}/files/other"), "x", 400, "malformed"),
        ("PUT", format!("{of_task}/files/..%2Fx"), "x", 400, "malformed"),
    ] {
        let (told, problem) = node.ask(method, &path, body.to_owned()).await;
        let shown = &body[..body.len().min(40)];
        assert_eq!((told, &problem["code"]), (status, &json!(code)), "{method} {path} {shown}: {problem}");
    }
    // None of that has cost it the task.
    assert_eq!(node.ask("POST", &format!("{of_task}/progress"), "{}").await.0, 204);
}

#[tokio::test]
async fn a_node_that_lets_none_in_says_so() {
    let api = super::api(Scripted::new(), Limits::default());
    let (status, problem) = ask(&api, request("POST", "/v1/workers", r#"{"name":"w","kinds":["x"]}"#)).await;
    assert_eq!((status, &problem["code"]), (StatusCode::FORBIDDEN, &json!("forbidden")));
    assert_eq!(ask(&api, request("GET", "/v1/workers", "")).await, (StatusCode::OK, json!([])));
}
