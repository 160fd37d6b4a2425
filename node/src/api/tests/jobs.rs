use super::{Scripted, api, ask, bytes, request, send};
use crate::api::{Api, Code, Limits, jobs::Line, tasks::submit::IDEMPOTENCY_KEY};
use axum::{body::Body, http::HeaderValue};
use mesh_coordinator::{Answer, Command, Refusal};
use mesh_proto::{id::TaskId, limits::JOB_ITEMS};
use proptest::prelude::*;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

async fn lines(api: &Api, body: impl Into<Body>) -> Vec<Line> {
    let response = send(api, request("POST", "/v1/jobs", body)).await;
    let bytes = bytes(response).await;
    String::from_utf8(bytes.to_vec()).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn job(items: impl IntoIterator<Item = String>) -> String {
    let mut text = "{\"name\":\"test\",\"key\":\"k\",\"program\":\"echo\"}\n".to_string();
    for item in items {
        text.push_str(&item);
        text.push('\n');
    }
    text
}

fn results(lines: &[Line]) -> BTreeMap<u64, String> {
    let ended = lines.iter().filter_map(|line| match line {
        Line::Ended { index, result } => Some((*index, result.stdout.clone().unwrap_or_default())),
        _ => None,
    });
    ended.collect()
}

#[tokio::test]
async fn every_item_comes_back_once_with_its_number() {
    let brain = Scripted::new();
    let api = api(brain.clone(), Limits::default());
    let lines = lines(&api, job((0..1_000).map(|i| format!("{{\"stdin\":\"{i}\"}}")))).await;
    assert!(matches!(&lines[0], Line::Job { key, .. } if key == "k"));
    let found = results(&lines);
    assert_eq!(found.len(), 1_000);
    assert!(found.iter().all(|(index, stdout)| *stdout == index.to_string()));
    let Some(Line::End(progress)) = lines.last() else { panic!("{:?}", lines.last()) };
    assert_eq!((progress.read, progress.placed, progress.done, progress.refused), (1_000, 1_000, 1_000, 0));
    // A thousand items and the record of the job, not a command for each.
    assert_eq!(brain.specs().len(), 1_001);
    assert!(brain.submits.load(Ordering::Relaxed) < 20);
}

#[tokio::test]
async fn a_bad_item_is_refused_alone() {
    let api = api(Scripted::new(), Limits::default());
    let bad = ["{", "7", "{\"stdin\":1}", "{\"stdin_b64\":\"*\"}", "{\"argv\":[\"x\"]}", "\u{1}"];
    let items = bad.iter().map(ToString::to_string).chain(["{\"stdin\":\"good\"}".to_string()]);
    let lines = lines(&api, job(items)).await;
    let refused: Vec<u64> = lines
        .iter()
        .filter_map(|line| match line {
            Line::Refused { index, code: Code::Malformed, .. } => Some(*index),
            _ => None,
        })
        .collect();
    assert_eq!(refused, (0..6).collect::<Vec<_>>());
    assert_eq!(results(&lines), BTreeMap::from([(6, "good".to_string())]));
}

#[tokio::test]
async fn a_job_that_no_node_would_run_is_refused_as_a_whole_and_an_item_alone() {
    let brain = Scripted::new();
    let api = api(brain.clone(), Limits::default());
    let header = |env: &str| format!("{{\"program\":{{\"exec\":{{\"argv\":[\"true\"],\"env\":{{{env}}}}}}}}}\n");
    let body = header("\"PATH\":\"/x\"") + "{}\n";
    let (status, problem) = ask(&api, request("POST", "/v1/jobs", body)).await;
    assert_eq!((status.as_u16(), &problem["code"]), (400, &"malformed".into()));
    assert!(problem["detail"].as_str().unwrap().contains("`PATH`"), "{problem}");
    assert!(brain.specs().is_empty());
    let body = header("") + "{\"argv\":[\"true\",\"a\\u0000b\"]}\n{}\n";
    let text = bytes(send(&api, request("POST", "/v1/jobs?follow=false", body)).await).await;
    let lines: Vec<Line> =
        String::from_utf8(text.to_vec()).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let refused = lines.iter().filter(|line| matches!(line, Line::Refused { index: 0, code: Code::Malformed, .. }));
    // The other item, and the record of the job.
    assert_eq!((refused.count(), brain.specs().len()), (1, 2), "{lines:?}");
}

#[tokio::test]
async fn a_job_whose_terms_exclude_each_other_is_refused_before_it_is_on_record() {
    let brain = Scripted::new();
    let api = api(brain.clone(), Limits::default());
    let many: Vec<String> = (0..32).map(|n| format!("a{n}")).collect();
    let many = format!(r#"{{"redundancy":2,"require":"{}"}}"#, many.join(","));
    for (terms, said) in [
        (r#"{"redundancy":2,"unique":true}"#, "a unique task is not run by several"),
        (r#"{"redundancy":0}"#, "0 executors"),
        (r#"{"redundancy":16}"#, "16 executors"),
        (many.as_str(), "as many requirements as there may be"),
    ] {
        let body = format!("{{\"program\":\"echo\",\"terms\":{terms},\"count\":1}}\n{{}}\n");
        let (status, problem) = ask(&api, request("POST", "/v1/jobs", body)).await;
        assert_eq!((status.as_u16(), &problem["code"]), (400, &"malformed".into()), "{terms}");
        assert!(problem["detail"].as_str().unwrap().contains(said), "{problem}");
    }
    assert!(brain.specs().is_empty());
}

#[tokio::test]
async fn numbers_out_of_order_or_beyond_the_count_end_the_stream() {
    let api = api(Scripted::new(), Limits::default());
    let lines_of = |items: &[&str]| job(items.iter().map(ToString::to_string));
    let lines = lines(&api, lines_of(&["{\"index\":5}", "{\"index\":5}"])).await;
    assert!(matches!(lines.last(), Some(Line::Error { code: Code::Malformed, .. })), "{lines:?}");
    let counted = "{\"program\":\"echo\",\"count\":1}\n{}\n{}\n";
    let lines = self::lines(&api, counted).await;
    assert!(matches!(lines.last(), Some(Line::Error { code: Code::Malformed, .. })), "{lines:?}");
}

#[tokio::test]
async fn a_job_has_an_end() {
    let brain = Scripted::new();
    let api = api(brain.clone(), Limits::default());
    let counted = |count: u64| format!("{{\"program\":\"echo\",\"count\":{count}}}\n");
    for count in [JOB_ITEMS + 1, u64::MAX] {
        let (status, problem) = super::ask(&api, request("POST", "/v1/jobs", counted(count))).await;
        assert_eq!((status.as_u16(), &problem["code"]), (400, &"malformed".into()), "{count}");
        assert!(problem["detail"].as_str().unwrap().contains("limit of 10000000"), "{problem}");
        let lines = lines(&api, job([format!("{{\"index\":{}}}", count - 1)])).await;
        assert!(matches!(lines.last(), Some(Line::Error { code: Code::Malformed, .. })), "{lines:?}");
    }
    assert!(brain.specs().is_empty());
    let lines = self::lines(&api, counted(JOB_ITEMS)).await;
    assert!(matches!(lines.last(), Some(Line::End(_))), "{lines:?}");
}

#[tokio::test]
async fn any_bytes_make_a_repeat_the_same_job() {
    let brain = Scripted::new();
    let api = api(brain.clone(), Limits::default());
    for (bytes, shown) in [("schl\u{fc}ssel".as_bytes(), "schl\u{fc}ssel"), (b"\xff\xfe".as_slice(), "fffe")] {
        let before = brain.specs().len();
        let mut jobs = Vec::new();
        for _ in 0..2 {
            let mut request = request("POST", "/v1/jobs", "{\"program\":\"echo\"}\n{}\n");
            request.headers_mut().insert(IDEMPOTENCY_KEY, HeaderValue::from_bytes(bytes).unwrap());
            let answer = super::bytes(send(&api, request).await).await;
            match serde_json::from_slice(answer.split(|byte| *byte == b'\n').next().unwrap()).unwrap() {
                Line::Job { job, key, .. } => jobs.push((job, key)),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(jobs[0], jobs[1]);
        assert_eq!(jobs[0].1, shown);
        // The item and the record, once.
        assert_eq!(brain.specs().len(), before + 2);
    }
}

#[tokio::test]
async fn the_window_holds_the_client_back() {
    let brain = Scripted::new().holding();
    let limits = Limits { window: 8, batch: 4, ..Limits::default() };
    let api = api(brain.clone(), limits);
    let pulled = Arc::new(AtomicU64::new(0));
    let counter = pulled.clone();
    let header = futures::stream::iter([job([])]);
    let items = futures::stream::iter((0..1_000).map(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
        "{\"stdin\":\"x\"}\n".to_string()
    }));
    let body = Body::from_stream(futures::StreamExt::map(
        futures::StreamExt::chain(header, items),
        Ok::<_, std::convert::Infallible>,
    ));
    let collecting = tokio::spawn({
        let api = api.clone();
        async move { lines(&api, body).await }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    // The window, the batch that waits for it, and one line read ahead.
    assert!(pulled.load(Ordering::Relaxed) <= 8 + 4 + 1, "{pulled:?}");
    assert_eq!(brain.specs().len(), 8);
    brain.ends.add_permits(1_000);
    assert_eq!(results(&collecting.await.unwrap()).len(), 1_000);
}

#[tokio::test]
async fn busy_items_are_offered_again_and_then_given_back() {
    let tries = Arc::new(AtomicU64::new(0));
    let count = tries.clone();
    let brain = Scripted::with(move |command| match command {
        Command::Submit { follow: true, .. } if count.fetch_add(1, Ordering::Relaxed) < 3 => {
            Some(vec![Answer::Refused { index: 0, task: None, why: Refusal::Busy { retry_ms: 10 } }])
        }
        _ => None,
    });
    let lines = lines(&api(brain, Limits::default()), job(["{\"stdin\":\"late\"}".to_string()])).await;
    assert_eq!(results(&lines), BTreeMap::from([(0, "late".to_string())]));
    assert_eq!(tries.load(Ordering::Relaxed), 4);

    let brain = Scripted::with(|command| match command {
        Command::Submit { follow: true, .. } => {
            Some(vec![Answer::Refused { index: 0, task: None, why: Refusal::Busy { retry_ms: 10 } }])
        }
        _ => None,
    });
    let limits = Limits { patience: Duration::from_millis(50), ..Limits::default() };
    let lines = self::lines(&api(brain, limits), job(["{}".to_string()])).await;
    let refused = lines.iter().any(|line| matches!(line, Line::Refused { index: 0, code: Code::Busy, .. }));
    assert!(refused, "{lines:?}");
}

#[tokio::test]
async fn a_cancelled_job_is_not_submitted_any_further() {
    let (brain, id, _) = super::lists::with_job(1_000);
    let brain = brain.holding();
    let cancels = Arc::new(AtomicU64::new(0));
    let (script, count) = (brain.clone(), cancels.clone());
    let brain = script.and(move |command, known| match command {
        Command::Cancel { tasks } => {
            count.fetch_add(1, Ordering::Relaxed);
            let answer = |task: &TaskId| match known(task) {
                true => Answer::CancelAsked { task: *task },
                false => Answer::Missing { task: *task },
            };
            Some(tasks.iter().map(answer).collect())
        }
        _ => None,
    });
    let api = api(brain.clone(), Limits { window: 8, batch: 4, ..Limits::default() });
    let submitting = tokio::spawn({
        let api = api.clone();
        let items = job((0..1_000).map(|i| format!("{{\"stdin\":\"{i}\"}}")));
        async move { lines(&api, items.replace("\"key\"", "\"count\":1000,\"key\"")).await }
    });
    // The record and what the window lets through.
    until(|| brain.specs().len() == 1 + 8).await;
    let cancelling = tokio::spawn({
        let api = api.clone();
        async move { ask(&api, request("POST", &format!("/v1/jobs/{id}/cancel"), "")).await }
    });
    until(|| cancels.load(Ordering::Relaxed) > 0).await;
    brain.ends.add_permits(1_000);
    let (status, cancelled) = cancelling.await.unwrap();
    assert_eq!(status.as_u16(), 202);
    assert_eq!(
        (&cancelled["asked"], &cancelled["unknown"], &cancelled["stopped"]),
        (&8.into(), &992.into(), &true.into())
    );
    let lines = submitting.await.unwrap();
    assert_eq!(results(&lines).len(), 8);
    assert!(matches!(lines.last(), Some(Line::Error { code: Code::Cancelled, .. })), "{:?}", lines.last());
    assert_eq!(brain.specs().len(), 1 + 8);
}

async fn until(holds: impl Fn() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited in vain");
}

#[tokio::test]
async fn a_client_that_hangs_up_is_forgotten() {
    let brain = Scripted::new().holding();
    let api = api(brain.clone(), Limits::default());
    let response = send(&api, request("POST", "/v1/jobs", job((0..10).map(|_| "{}".to_string())))).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(response);
    for _ in 0..100 {
        if brain.left.load(Ordering::Relaxed) > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the brain was not told");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..400), header in any::<bool>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let api = api(Scripted::new(), Limits::default());
            let mut sent = if header { job([]).into_bytes() } else { vec![] };
            sent.extend(&body);
            let response = send(&api, request("POST", "/v1/jobs", sent)).await;
            assert!(response.status().as_u16() < 500);
            bytes(response).await;
            let response = send(&api, request("POST", "/v1/tasks", body.clone())).await;
            assert!(response.status().as_u16() < 500);
        });
    }
}
