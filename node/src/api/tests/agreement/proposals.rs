use super::{
    super::{ask, request},
    Council, node,
};
use axum::http::StatusCode;
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_proposal_is_voted_and_decided() {
    let council = Council::of(4);
    let apis: Vec<_> = (1..=5).map(|seed| council.api(seed)).collect();
    let body = r#"{"title":"upgrade","body":{"to":"0.2.0"},"threshold":0.67,"rounds":2}"#;
    let (status, proposed) = ask(&apis[0], request("POST", "/v1/proposals", body)).await;
    assert_eq!(status, StatusCode::CREATED, "{proposed}");
    let id = proposed["proposal"].as_str().unwrap().to_owned();
    let path = format!("/v1/proposals/{}", &id[..8]);

    let (_, info) = ask(&apis[1], request("GET", &path, "")).await;
    assert_eq!((&info["proposal"], &info["state"], &info["electors"]), (&id.clone().into(), &"open".into(), &4.into()));
    assert_eq!((&info["body"]["to"], &info["threshold"]), (&"0.2.0".into(), &0.67.into()));

    let vote = async |seed: usize, choice: &str| {
        let body = format!(r#"{{"choice":"{choice}"}}"#);
        ask(&apis[seed - 1], request("POST", &format!("{path}/votes"), body)).await
    };
    assert_eq!(vote(1, "approve").await.1["state"], "open");
    let (status, problem) = vote(1, "reject").await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &"already_voted".into()));
    let (status, problem) = vote(5, "approve").await;
    assert_eq!((status, &problem["code"]), (StatusCode::FORBIDDEN, &"not_elector".into()));
    assert_eq!(vote(2, "maybe").await.1["code"], "malformed");
    assert_eq!(vote(2, "abstain").await.1["state"], "open");
    assert_eq!(vote(3, "approve").await.1["state"], "open");

    // Who waits hears of it.
    let watching = tokio::spawn({
        let (api, path) = (apis[3].clone(), format!("{path}?wait=20s"));
        async move { ask(&api, request("GET", &path, "")).await.1 }
    });
    while council.looks() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(vote(4, "approve").await.1["state"], "accepted");
    let decided = watching.await.unwrap();
    assert_eq!(
        (&decided["state"], &decided["approve"], &decided["abstain"]),
        (&"accepted".into(), &3.into(), &1.into())
    );
    assert!(decided["decided"].is_string() && decided["decided_index"].is_u64());
    assert_eq!(vote(2, "approve").await.1["code"], "decided");

    let (_, votes) = ask(&apis[0], request("GET", &format!("{path}/votes"), "")).await;
    let votes = votes.as_array().unwrap();
    assert_eq!(votes.len(), 4);
    assert!(votes.iter().any(|vote| vote["voter"] == node(2).to_string() && vote["choice"] == "abstain"));
    let (_, page) = ask(&apis[0], request("GET", "/v1/proposals?stale=true", "")).await;
    assert_eq!((&page["proposals"][0]["proposal"], &page["next"]), (&id.into(), &serde_json::Value::Null));
}

#[tokio::test]
async fn a_proposal_is_closed_by_its_proposer_and_a_watch_ends_with_its_time() {
    let api = Council::of(1).api(1);
    let body = r#"{"title":"t","body":{"a":1},"electorate":["MEMBER"]}"#.replace("MEMBER", &node(2).to_string());
    let (_, proposed) = ask(&api, request("POST", "/v1/proposals", body)).await;
    let path = format!("/v1/proposals/{}", proposed["proposal"].as_str().unwrap());
    let begun = Instant::now();
    assert_eq!(ask(&api, request("GET", &format!("{path}?wait=300ms"), "")).await.1["state"], "open");
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert_eq!(ask(&api, request("POST", &format!("{path}/close"), "")).await.1["state"], "withdrawn");
    assert_eq!(ask(&api, request("POST", &format!("{path}/close"), "")).await.1["code"], "decided");
    let unknown = format!("/v1/proposals/{}", "0".repeat(64));
    for (method, path, code) in [
        ("GET", unknown.clone(), "not_found"),
        ("POST", format!("{unknown}/close"), "not_found"),
        ("GET", "/v1/proposals/00000000".to_owned(), "not_found"),
        ("GET", "/v1/proposals/0000".to_owned(), "malformed"),
    ] {
        assert_eq!(ask(&api, request(method, &path, "")).await.1["code"], code, "{method} {path}");
    }
}

#[tokio::test]
async fn what_is_no_proposal_is_refused_before_it_is_ordered() {
    let council = Council::of(1);
    let api = council.api(1);
    for body in [
        r#"{"title":"t","body":[]}"#,
        r#"{"title":"t","body":{}}"#,
        r#"{"title":"","body":{"a":1}}"#,
        r#"{"title":"t","body":{"a":1},"threshold":0}"#,
        r#"{"title":"t","body":{"a":1},"threshold":1.5}"#,
        r#"{"title":"t","body":{"a":1},"rounds":0}"#,
        r#"{"title":"t","body":{"a":1},"round_ms":1}"#,
        r#"{"title":"t","body":{"a":1},"electorate":[]}"#,
        r#"{"title":"t","body":{"a":1},"electorate":"everybody"}"#,
        r#"{"title":"t","body":{"assigned_to":"x"}}"#,
        r#"{"title":"t"}"#,
    ] {
        let (status, problem) = ask(&api, request("POST", "/v1/proposals", body)).await;
        assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &"malformed".into()), "{body}: {problem}");
    }
    assert_eq!(council.ids(), vec![]);
}
