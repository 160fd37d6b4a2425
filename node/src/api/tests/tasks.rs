use super::{Scripted, api, ask, request, send};
use crate::api::{Limits, tasks::submit::IDEMPOTENCY_KEY};
use axum::{
    body::Body,
    http::{HeaderValue, Request, StatusCode, header},
};
use mesh_coordinator::{Answer, Command, Refusal, Side, TaskView};
use mesh_proto::{
    id::{BlobId, TaskId},
    task::{
        Attempt, Ballot, BlobRef, Ending, How, Octets, Outcome, Payload, Program, Register, Spec, State, Status,
        TaskKey, Version,
    },
    time::Wall,
};

fn keyed(body: &str, key: &'static str) -> Request<Body> {
    let mut request = request("POST", "/v1/tasks?wait=5s", body.to_string());
    request.headers_mut().insert(IDEMPOTENCY_KEY, HeaderValue::from_static(key));
    request
}

#[tokio::test]
async fn a_task_comes_back_with_its_bytes() {
    let api = api(Scripted::new(), Limits::default());
    for (given, text, b64) in [(r#""stdin":"hi\n""#, Some("hi\n"), None), (r#""stdin_b64":"/wA=""#, None, Some("/wA="))]
    {
        let body = format!(r#"{{"program":"echo",{given}}}"#);
        let (status, json) = ask(&api, request("POST", "/v1/tasks?wait=5s", body)).await;
        assert_eq!(status, StatusCode::CREATED);
        assert_eq!(json["result"]["stdout"].as_str(), text);
        assert_eq!(json["result"]["stdout_b64"].as_str(), b64);
        assert_eq!(json["result"]["exit_code"], 0);
        assert_eq!(json["copies"], 3);
    }
}

#[tokio::test]
async fn a_repeat_is_the_same_task_and_another_task_under_its_key_a_conflict() {
    let brain = Scripted::new();
    let api = api(brain.clone(), Limits::default());
    let body = r#"{"program":"echo","stdin":"a","terms":{"born":"2026-01-01T00:00:00Z"}}"#;
    let (status, first) = ask(&api, keyed(body, "k")).await;
    assert_eq!(status, StatusCode::CREATED);
    let (status, second) = ask(&api, keyed(body, "k")).await;
    assert_eq!((status, &second["task"], &second["existing"]), (StatusCode::OK, &first["task"], &true.into()));
    let other = body.replace("\"a\"", "\"b\"");
    let (status, problem) = ask(&api, keyed(&other, "k")).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &"conflict".into()));
    assert_eq!(brain.specs()[0].key, TaskKey::Own(b"k".to_vec()));
}

#[tokio::test]
async fn a_task_that_takes_longer_than_the_wait_is_accepted() {
    let brain = Scripted::new();
    let api = api(brain.clone(), Limits::default());
    let body = r#"{"program":{"sleep":{"ms":99999}}}"#;
    let (status, json) = ask(&api, request("POST", "/v1/tasks?wait=20ms", body)).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert!(json["result"].is_null());
    assert_eq!(brain.left.load(std::sync::atomic::Ordering::Relaxed), 1, "the brain is told that nobody waits");
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    for (why, status, code, retry) in [
        (Refusal::Busy { retry_ms: 1_500 }, 503, "busy", Some("2")),
        (Refusal::Unavailable { reached: 1, needed: 2, retry_ms: 10 }, 503, "unavailable", Some("1")),
        (
            Refusal::ReadOnly { side: Side { sees: 3, of: 7, is_committee: true }, retry_ms: 1_000 },
            503,
            "read_only",
            Some("1"),
        ),
        (Refusal::TooOld { born: Wall(1), floor: Wall(2) }, 410, "too_old", None),
        (Refusal::Malformed("x".into()), 400, "malformed", None),
    ] {
        let brain = Scripted::with(move |command| match command {
            Command::Submit { .. } => Some(vec![Answer::Refused { index: 0, task: None, why: why.clone() }]),
            _ => None,
        });
        let response =
            send(&api(brain, Limits::default()), request("POST", "/v1/tasks", r#"{"program":"echo"}"#)).await;
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(response.headers().get(header::RETRY_AFTER).map(|value| value.to_str().unwrap()), retry);
        let problem: serde_json::Value = serde_json::from_slice(&super::bytes(response).await).unwrap();
        assert_eq!(problem["code"], code);
    }
}

#[tokio::test]
async fn what_no_node_would_run_is_refused_and_not_tried_on_five() {
    let brain = Scripted::new();
    let api = api(brain.clone(), Limits::default());
    let long = "a".repeat(200_000);
    for (command, said) in [
        (serde_json::json!({ "argv": ["true"], "env": { "PATH": "/x" } }), "`PATH`"),
        (serde_json::json!({ "argv": ["true"], "env": { "LD_PRELOAD": "x.so" } }), "`LD_PRELOAD`"),
        (serde_json::json!({ "argv": ["true", "a\0b"] }), "NUL"),
        (serde_json::json!({ "argv": ["true", long] }), "above the limit"),
        (serde_json::json!({ "argv": ["true"], "outputs": ["../a"] }), "`../a`"),
    ] {
        let body = serde_json::json!({ "program": { "exec": command } }).to_string();
        let (status, problem) = ask(&api, request("POST", "/v1/tasks", body)).await;
        assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &"malformed".into()), "{said}");
        assert!(problem["detail"].as_str().unwrap().contains(said), "{problem}");
    }
    assert!(brain.specs().is_empty());
    let body = r#"{"program":{"exec":{"argv":["true"],"env":{"LEVEL":"3"}}}}"#;
    assert_eq!(ask(&api, request("POST", "/v1/tasks", body)).await.0, StatusCode::CREATED);
}

#[tokio::test]
async fn a_prefix_must_be_unique() {
    let brain = Scripted::with(|command| match command {
        Command::Resolve { prefix } if prefix == "aaaaaaaa" => {
            Some(vec![Answer::Matches(vec![TaskId::from_bytes([0xaa; 32]), TaskId::from_bytes([0xab; 32])])])
        }
        Command::Resolve { .. } => Some(vec![Answer::Matches(vec![])]),
        _ => None,
    });
    let api = api(brain, Limits::default());
    let (status, problem) = ask(&api, request("GET", "/v1/tasks/aaaaaaaa", "")).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &"ambiguous".into()));
    let (status, problem) = ask(&api, request("GET", "/v1/tasks/bbbbbbbb", "")).await;
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &"not_found".into()));
}

#[tokio::test]
async fn blobs_go_up_and_come_down() {
    let api = api(Scripted::new(), Limits::default());
    let content = vec![0xa5u8; 100_000];
    let (status, link) = ask(&api, request("PUT", "/v1/blobs", content.clone())).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(link["size"], 100_000);
    let id = link["id"].as_str().unwrap();
    for name in [id, &id[..8]] {
        let response = send(&api, request("GET", &format!("/v1/blobs/{name}"), "")).await;
        assert_eq!(super::bytes(response).await, content);
    }
    let response = send(&api, request("DELETE", &format!("/v1/blobs/{id}"), "")).await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn logs_are_followed_from_the_wait_to_the_end() {
    let looks = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let brain = Scripted::with(move |command| match command {
        // Waiting at first: its output comes from the record once it has ended.
        Command::Show { task } if looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 2 => {
            Some(vec![Answer::Task(Box::new(view(*task, waiting())))])
        }
        Command::Show { task } => Some(vec![Answer::Task(Box::new(view(*task, ended())))]),
        _ => None,
    });
    let api = api(brain, Limits::default());
    let route = format!("/v1/tasks/{}/logs?follow=1", TaskId::from_bytes([7; 32]));
    let text = super::bytes(send(&api, request("GET", &route, "")).await).await;
    let text = String::from_utf8(text.to_vec()).unwrap();
    assert!(text.contains("\"text\":\"out\\n\"") && text.contains("id: 1:4-0"), "{text}");
    assert!(text.ends_with("event: end\ndata: {}\n\n"), "{text}");
    // Who has had it gets the end alone; who had it of another attempt, all of this one.
    for (had, whole) in [("1:4-0", false), ("4-0", false), ("2:4-0", true)] {
        let mut again = request("GET", &route, "");
        again.headers_mut().insert("last-event-id", HeaderValue::from_static(had));
        let text = super::bytes(send(&api, again).await).await;
        assert!(text.ends_with(b"event: end\ndata: {}\n\n"));
        assert_eq!(text.starts_with(b"event: output"), whole, "{had}: {text:?}");
    }
}

#[tokio::test]
async fn output_that_cannot_be_had_is_an_error_and_no_end() {
    // A blob that is on no shelf.
    let lost = BlobRef { id: BlobId::from_bytes([3; 32]), size: 9, nodes: vec![super::NODE] };
    for waits in [0, 2] {
        let looks = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
        let lost = lost.clone();
        let brain = Scripted::with(move |command| match command {
            // The first to look is the request itself, the second whoever follows.
            Command::Show { task } if looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < waits => {
                Some(vec![Answer::Task(Box::new(view(*task, waiting())))])
            }
            Command::Show { task } => {
                let ended = ended_with(Payload::Blob(lost.clone()));
                Some(vec![Answer::Task(Box::new(view(*task, ended)))])
            }
            _ => None,
        });
        let api = api(brain, Limits::default());
        let route = format!("/v1/tasks/{}/logs?follow=1", TaskId::from_bytes([7; 32]));
        let response = send(&api, request("GET", &route, "")).await;
        let status = response.status();
        let text = String::from_utf8(super::bytes(response).await.to_vec()).unwrap();
        match waits {
            0 => assert!(status == StatusCode::NOT_FOUND && text.contains("has blob 0303"), "{status} {text}"),
            _ => assert!(text.starts_with("event: error\ndata: ") && text.contains("has blob 0303"), "{text}"),
        }
        assert!(!text.contains("event: end"), "{text}");
    }
}

fn waiting() -> State {
    State::Assigned(Attempt { number: 1, executor: super::NODE, granted: Wall(1) })
}

pub fn ended() -> State {
    ended_with(Payload::Inline(b"out\n"[..].into()))
}

fn ended_with(stdout: Payload) -> State {
    let outcome = Outcome {
        status: Status::Exit(0),
        stdout,
        stderr: Payload::empty(),
        files: vec![],
        cpu_us: 0,
        wall_us: 0,
        seal: None,
        count: None,
    };
    State::Ended(Ending { how: How::Done, by: Some((1, super::NODE)), outcome: Some(outcome), at: Wall(9) })
}

pub fn view(task: TaskId, state: State) -> TaskView {
    TaskView {
        task,
        spec: Octets::default(),
        gateway: super::NODE,
        placed: Wall(1),
        ballot: Ballot { term: 0, driver: super::NODE, nonce: 0 },
        version: Version::BIRTH,
        register: std::sync::Arc::new(Register {
            holders: vec![],
            joint: None,
            passed_by: vec![],
            state,
            failed: vec![],
        }),
        in_force: true,
        running: false,
        lack: None,
        awaits: Vec::new(),
        outlook: None,
        waiting_for: vec![],
        story: vec![],
        silent: vec![],
    }
}

/// What it needs has to be there still: it is acknowledged like any other task.
#[tokio::test]
async fn what_is_retried_has_its_inputs_assured_before_it_is_taken() {
    let lost = BlobRef { id: BlobId::from_bytes([3; 32]), size: 9, nodes: vec![super::NODE] };
    let failed = || State::Ended(Ending { how: How::Failed, by: None, outcome: None, at: Wall(9) });
    let retried = |input: Payload, program: Program| {
        let spec = Spec { input, program, ..super::lists::spec() };
        let spec: Octets = mesh_proto::codec::encode(&spec).into();
        let brain = Scripted::with(move |command| match command {
            Command::Show { task } => {
                Some(vec![Answer::Task(Box::new(TaskView { spec: spec.clone(), ..view(*task, failed()) }))])
            }
            Command::Submit { .. } => {
                let task = TaskId::from_bytes([8; 32]);
                Some(vec![Answer::Placed { index: 0, task, copies: 3, degraded: false, existing: false }])
            }
            _ => None,
        });
        api(brain, Limits::default())
    };
    let route = format!("/v1/tasks/{}/retry", TaskId::from_bytes([7; 32]));
    let whole = retried(Payload::empty(), Program::Sha256);
    assert_eq!(ask(&whole, request("POST", &route, "")).await.0, StatusCode::CREATED);
    let short = retried(Payload::Blob(lost), Program::Sha256);
    assert_eq!(ask(&short, request("POST", &route, "")).await.0, StatusCode::NOT_FOUND);
    let job = retried(Payload::empty(), Program::Manifest { name: "job".into(), count: 2 });
    assert_eq!(ask(&job, request("POST", &route, "")).await.0, StatusCode::CONFLICT);
}
