//! Keys, time limits, and what the committee refuses.

use super::{
    super::{ask, request},
    Council,
    council::{key, node},
};
use crate::api::tasks::submit::IDEMPOTENCY_KEY;
use axum::{
    body::Body,
    http::{HeaderValue, Request, StatusCode},
};
use mesh_coordinator::{Refusal, Side};
use mesh_proto::{
    domain::Epoch,
    id::{Digest, NetworkId},
    ledger::Index,
    pbft::{Conflict, Phase, Sequence, View, Vote},
};

fn keyed(path: &str, body: &str, key: &str) -> Request<Body> {
    let mut request = request("PUT", path, body.to_owned());
    request.headers_mut().insert(IDEMPOTENCY_KEY, HeaderValue::from_str(key).unwrap());
    request
}

const KEY: &str = "/v1/memory/app/k";

#[tokio::test]
async fn a_repeat_under_a_key_is_the_same_command() {
    let council = Council::of(1);
    let api = council.api(1);
    let (_, first) = ask(&api, keyed(KEY, "a", "once")).await;
    let (status, second) = ask(&api, keyed(KEY, "a", "once")).await;
    assert_eq!((status, &second["version"]), (StatusCode::OK, &first["version"]));
    let (status, problem) = ask(&api, keyed(KEY, "b", "once")).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &"conflict".into()));
    let id = &council.ids()[0];
    assert_eq!((id.principal.as_str(), &id.key[..]), ("default", &b"once"[..]));
    // Without a key each is another.
    ask(&api, request("PUT", KEY, "a")).await;
    let (_, other) = ask(&api, request("PUT", KEY, "a")).await;
    assert!(other["version"].as_u64() > first["version"].as_u64());
    assert_eq!(council.ids().last().unwrap().key.len(), 32);
    assert_eq!(ask(&api, keyed(KEY, "a", &"k".repeat(129))).await.1["code"], "malformed");
}

#[tokio::test]
async fn who_knows_less_than_the_mesh_remembers_asks_again_once() {
    let council = Council::of(1);
    council.fill(100);
    // This API has heard nothing yet.
    let api = council.api(1);
    assert_eq!(ask(&api, request("PUT", KEY, "a")).await.0, StatusCode::OK);
    let born: Vec<Index> = council.ids().iter().map(|id| id.born).collect();
    assert!(born.len() == 2 && born[0] == Index(0) && born[1] > Index(80), "{born:?}");
    assert_eq!(council.ids()[0].key, council.ids()[1].key);
    // From now on it knows.
    assert_eq!(ask(&api, request("PUT", KEY, "b")).await.0, StatusCode::OK);
    assert_eq!(council.ids().len(), 3);
    // A key that is said to be old is not run.
    let (status, problem) = ask(&api, keyed(&format!("{KEY}?born=5"), "c", "old")).await;
    assert_eq!((status, &problem["code"]), (StatusCode::GONE, &"too_old".into()));
    assert_eq!(council.ids().len(), 4);
    let (status, problem) = ask(&api, keyed(&format!("{KEY}?born=100000"), "c", "new")).await;
    assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &"malformed".into()));
}

#[tokio::test]
async fn without_a_quorum_it_is_said_that_a_repeat_is_harmless() {
    let council = Council::of(4);
    let api = council.api(1);
    council.silence(true);
    let (status, problem) = ask(&api, keyed(&format!("{KEY}?wait=50ms"), "a", "mine")).await;
    assert_eq!((status, &problem["code"]), (StatusCode::SERVICE_UNAVAILABLE, &"no_quorum".into()));
    assert!(problem["detail"].as_str().unwrap().contains("Idempotency-Key: mine"), "{problem}");
    assert!(problem["retry_ms"].is_u64());
    let (_, problem) = ask(&api, request("PUT", &format!("{KEY}?wait=50ms"), "a")).await;
    let drawn = problem["detail"].as_str().unwrap().split("Idempotency-Key: ").nth(1).unwrap().to_owned();
    assert_eq!(drawn.len(), 32);
    let (_, problem) = ask(&api, request("GET", &format!("{KEY}?wait=50ms"), "")).await;
    assert_eq!(problem["code"], "no_quorum");
    assert!(!problem["detail"].as_str().unwrap().contains("Idempotency"), "{problem}");
    // A ledger in reach needs none, nor does a look at the committee.
    assert_eq!(ask(&api, request("GET", &format!("{KEY}?stale=true"), "")).await.1["code"], "not_found");
    let (status, consensus) = ask(&api, request("GET", "/v1/consensus", "")).await;
    assert_eq!((status, &consensus["quorum"], &consensus["active"]), (StatusCode::OK, &3.into(), &3.into()));
    assert_eq!(consensus["members"][3]["answered"], false);
    assert_eq!(consensus["counters"]["view_changes"], 3);
}

/// Some of the committee refused it by their clocks, and others may have taken it.
#[tokio::test]
async fn of_a_clock_that_is_ahead_it_is_said_that_a_repeat_is_harmless() {
    let council = Council::of(4);
    let api = council.api(1);
    council.refuse(Refusal::ClockAhead);
    let (status, problem) = ask(&api, keyed(KEY, "a", "mine")).await;
    assert_eq!((status, &problem["code"]), (StatusCode::SERVICE_UNAVAILABLE, &"clock_ahead".into()));
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("may be done all the same") && detail.ends_with("Idempotency-Key: mine"), "{problem}");
    assert!(problem["retry_ms"].is_u64(), "{problem}");
    // A question does nothing.
    let (_, problem) = ask(&api, request("GET", KEY, "")).await;
    assert_eq!(problem["code"], "clock_ahead");
    assert!(!problem["detail"].as_str().unwrap().contains("may be done"), "{problem}");
    // What was not taken was not done.
    council.refuse(Refusal::Busy { retry_ms: 500 });
    let (_, problem) = ask(&api, keyed(KEY, "a", "mine")).await;
    assert!(!problem["detail"].as_str().unwrap().contains("may be done"), "{problem}");
}

#[tokio::test]
async fn a_stale_read_waits_for_a_ledger_in_reach_if_it_is_told_how_long() {
    let council = Council::of(1);
    let api = council.api(1);
    council.hide(3);
    assert_eq!(ask(&api, request("GET", &format!("{KEY}?stale=true"), "")).await.1["code"], "unavailable");
    assert_eq!(council.looks(), 1, "at once");
    assert_eq!(ask(&api, request("GET", &format!("{KEY}?stale=true&wait=60s"), "")).await.1["code"], "not_found");
    assert_eq!(council.looks(), 4);
    council.hide(u64::MAX);
    let problem = ask(&api, request("GET", &format!("{KEY}?stale=true&wait=150ms"), "")).await.1;
    assert_eq!(problem["code"], "unavailable");
}

/// Checklist item 40 of pBFT.
#[tokio::test]
async fn evidence_against_members_is_shown() {
    let council = Council::of(4);
    let api = council.api(1);
    let (_, consensus) = ask(&api, request("GET", "/v1/consensus", "")).await;
    assert!(consensus.get("evidence").is_none(), "{consensus}");
    let (phase, view, sequence) = (Phase::Commit, View::new(3), Sequence::new(130));
    let said = |byte| {
        let (network, digest) = (NetworkId::from_bytes([0; 32]), Digest::from_bytes([byte; 32]));
        let statement = Vote::statement(phase, &network, Epoch(0), (view, sequence), &digest);
        (digest, key(2).sign(&statement))
    };
    let (one, other) = (said(1), said(2));
    let conflict = Conflict::Votes { phase, view, sequence, one, other };
    council.catch(node(2), conflict.clone());
    let (_, consensus) = ask(&api, request("GET", "/v1/consensus", "")).await;
    let caught = serde_json::json!([
        { "accused": node(2).to_string(), "kind": "commits", "epoch": 0, "view": 3, "index": 130 },
    ]);
    assert_eq!((consensus.get("evidence"), &consensus["caught"]), (None, &caught), "not agreed on: {consensus}");
    council.accuse(node(2), conflict);
    let (_, consensus) = ask(&api, request("GET", "/v1/consensus", "")).await;
    let evidence = serde_json::json!([
        { "accused": node(2).to_string(), "kind": "commits", "epoch": 0, "view": 3, "index": 130 },
    ]);
    assert_eq!(consensus["evidence"], evidence, "{consensus}");
}

#[tokio::test]
async fn what_the_brain_refuses_has_its_code() {
    for (why, status, code) in [
        (Refusal::Busy { retry_ms: 500 }, 503, "busy"),
        (Refusal::ReadOnly { side: Side { sees: 3, of: 7, is_committee: true }, retry_ms: 1_000 }, 503, "read_only"),
        (Refusal::NoAgreement, 501, "no_agreement"),
        (Refusal::ClockAhead, 503, "clock_ahead"),
    ] {
        let council = Council::of(1);
        council.refuse(why);
        let (got, problem) = ask(&council.api(1), request("PUT", KEY, "a")).await;
        assert_eq!((got.as_u16(), &problem["code"]), (status, &code.into()));
    }
}
