use super::{
    super::{ask, request},
    Council, node,
};
use axum::http::StatusCode;

const LOCK: &str = "/v1/locks/nightly";

#[tokio::test]
async fn a_lock_has_one_holder_until_its_lease_is_over() {
    let council = Council::of(1);
    let (one, two) = (council.api(1), council.api(2));
    assert_eq!(ask(&one, request("GET", LOCK, "")).await.1["code"], "not_found");
    let (status, granted) = ask(&one, request("POST", LOCK, r#"{"lease_ms":1000}"#)).await;
    assert_eq!(status, StatusCode::CREATED, "{granted}");
    let fence = granted["fence"].as_u64().unwrap();
    let (status, problem) = ask(&two, request("POST", LOCK, "{}")).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &"held".into()));
    assert!(problem["retry_ms"].is_u64());
    let (_, held) = ask(&two, request("GET", LOCK, "")).await;
    assert_eq!((&held["holder"], &held["fence"]), (&node(1).to_string().into(), &fence.into()));
    let (_, page) = ask(&two, request("GET", "/v1/locks?stale=true", "")).await;
    assert_eq!((&page["locks"][0]["name"], &page["next"]), (&"nightly".into(), &serde_json::Value::Null));

    let renew = format!(r#"{{"fence":{fence},"lease_ms":1000}}"#);
    council.pass(900);
    assert_eq!(ask(&one, request("PUT", LOCK, renew.clone())).await.0, StatusCode::OK);
    council.pass(900);
    assert_eq!(ask(&one, request("PUT", LOCK, renew.clone())).await.0, StatusCode::OK);
    council.pass(1_000);
    let (_, next) = ask(&two, request("POST", LOCK, "{}")).await;
    assert!(next["fence"].as_u64().unwrap() > fence);
    let (status, problem) = ask(&one, request("PUT", LOCK, renew)).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &"not_held".into()));
    let release = |fence: &serde_json::Value| request("DELETE", &format!("{LOCK}?fence={fence}"), "");
    assert_eq!(ask(&one, release(&fence.into())).await.1["code"], "not_held");
    assert_eq!(ask(&two, release(&next["fence"])).await.0, StatusCode::NO_CONTENT);
    assert_eq!(ask(&two, request("GET", LOCK, "")).await.0, StatusCode::NOT_FOUND);
    for (method, path, body) in [
        ("POST", LOCK, r#"{"lease_ms":1}"#),
        ("PUT", LOCK, "{}"),
        ("DELETE", LOCK, ""),
        ("DELETE", "/v1/locks/nightly?fence=x", ""),
    ] {
        assert_eq!(ask(&one, request(method, path, body)).await.1["code"], "malformed", "{method} {path} {body}");
    }
}
