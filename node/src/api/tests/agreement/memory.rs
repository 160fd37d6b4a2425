use super::{
    super::{ask, request, send},
    Council,
};
use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Request, StatusCode, header},
};
use mesh_proto::limits;

const KEY: &str = "/v1/memory/app/jobs%2F1";

fn with(mut request: Request<Body>, name: HeaderName, value: &str) -> Request<Body> {
    request.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
    request
}

#[tokio::test]
async fn a_value_is_read_as_it_was_written() {
    let api = Council::of(1).api(1);
    assert_eq!(ask(&api, request("GET", KEY, "")).await.1["code"], "not_found");
    let (status, written) = ask(&api, request("PUT", KEY, &b"\xff\x00"[..])).await;
    assert_eq!(status, StatusCode::OK, "{written}");
    let tag = format!("\"{}\"", written["version"]);
    for query in ["", "?stale=true", "?stale=false&wait=5s"] {
        let response = send(&api, request("GET", &format!("{KEY}{query}"), "")).await;
        assert_eq!(response.status(), StatusCode::OK);
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        assert_eq!(header("etag").as_deref(), Some(&*tag));
        assert_eq!(header("mesh-written").as_deref(), Some("2027-01-15T08:00:00Z"));
        assert_eq!(header("mesh-expires"), None);
        assert!(header("mesh-index").is_some());
        assert_eq!(super::super::bytes(response).await, &b"\xff\x00"[..]);
    }
    let (status, deleted) = ask(&api, request("DELETE", KEY, "")).await;
    assert_eq!((status, &deleted["found"]), (StatusCode::OK, &true.into()));
    assert_eq!(ask(&api, request("DELETE", KEY, "")).await.1["found"], false);
    assert_eq!(ask(&api, request("GET", KEY, "")).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_write_can_depend_on_what_is_there() {
    let api = Council::of(1).api(1);
    let fresh = with(request("PUT", KEY, "a"), header::IF_NONE_MATCH, "*");
    let first = ask(&api, fresh).await.1["version"].clone();
    let again = with(request("PUT", KEY, "b"), header::IF_NONE_MATCH, "*");
    let (status, problem) = ask(&api, again).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &"mismatch".into()));
    assert!(problem["detail"].as_str().unwrap().contains(&format!("version {first}")), "{problem}");
    let next = with(request("PUT", KEY, "c"), header::IF_MATCH, &format!("\"{first}\""));
    let second = ask(&api, next).await.1["version"].as_u64().unwrap();
    assert_eq!(ask(&api, request("PUT", &format!("{KEY}?expect={first}"), "d")).await.0, StatusCode::CONFLICT);
    assert_eq!(ask(&api, request("DELETE", &format!("{KEY}?expect=absent"), "")).await.0, StatusCode::CONFLICT);
    let hash = mesh_proto::id::Digest::from_bytes(*blake3::hash(b"c").as_bytes());
    let (status, swapped) = ask(&api, request("PUT", &format!("{KEY}?expect={hash}"), "e")).await;
    assert_eq!(status, StatusCode::OK, "{swapped}");
    assert!(swapped["version"].as_u64().unwrap() > second);
}

#[tokio::test]
async fn what_has_a_time_to_live_goes_by_agreed_time() {
    let council = Council::of(1);
    let api = council.api(1);
    assert_eq!(ask(&api, request("PUT", &format!("{KEY}?ttl=1m"), "a")).await.0, StatusCode::OK);
    let response = send(&api, request("GET", KEY, "")).await;
    assert_eq!(response.headers()["mesh-expires"], "2027-01-15T08:01:00Z");
    council.pass(60_000);
    assert_eq!(ask(&api, request("GET", KEY, "")).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_namespace_is_listed_in_pages_and_searched() {
    let api = Council::of(1).api(1);
    for (key, value) in [("a", "one"), ("b%2F1", "two"), ("b%2F2", "onto"), ("c", "three")] {
        ask(&api, request("PUT", &format!("/v1/memory/app/{key}"), value)).await;
    }
    ask(&api, request("PUT", "/v1/memory/other/z", "one")).await;
    let keys = async |query: &str| {
        let (status, page) = ask(&api, request("GET", &format!("/v1/memory/app?{query}"), "")).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        let keys: Vec<String> =
            page["items"].as_array().unwrap().iter().map(|item| item["key"].as_str().unwrap().to_owned()).collect();
        (keys.join(" "), page["next"].as_str().map(str::to_owned))
    };
    assert_eq!(keys("").await, ("a b/1 b/2 c".into(), None));
    assert_eq!(keys("limit=2").await, ("a b/1".into(), Some("b/1".into())));
    assert_eq!(keys("limit=2&after=b%2F1").await, ("b/2 c".into(), None));
    assert_eq!(keys("prefix=b%2F&stale=true").await, ("b/1 b/2".into(), None));
    assert_eq!(keys("pattern=on").await, ("a b/2".into(), None));
    assert_eq!(keys("pattern=t*o").await, ("b/1 b/2".into(), None));
}

#[tokio::test]
async fn what_is_no_write_is_refused_before_it_is_ordered() {
    let council = Council::of(1);
    let api = council.api(1);
    let large = "x".repeat(limits::MEMORY_VALUE_BYTES + 1);
    for (method, path, body, status, code) in [
        ("PUT", KEY.to_owned(), large.as_str(), 413, "too_large"),
        ("PUT", format!("{KEY}?ttl=0s"), "a", 400, "malformed"),
        ("PUT", format!("{KEY}?ttl=soon"), "a", 400, "malformed"),
        ("PUT", format!("{KEY}?expect=old"), "a", 400, "malformed"),
        ("PUT", format!("{KEY}?tll=1s"), "a", 400, "malformed"),
        ("PUT", format!("/v1/memory/app/{}", "k".repeat(257)), "a", 400, "malformed"),
        ("PUT", "/v1/memory/a%0Ab/k".to_owned(), "a", 400, "malformed"),
        ("GET", "/v1/memory/app?prefix=a&pattern=b".to_owned(), "", 400, "malformed"),
    ] {
        let (got, problem) = ask(&api, request(method, &path, body.to_owned())).await;
        assert_eq!((got.as_u16(), &problem["code"]), (status, &code.into()), "{method} {path}: {problem}");
    }
    assert_eq!(council.ids(), vec![]);
    assert_eq!(ask(&api, request("PUT", KEY, "x".repeat(limits::MEMORY_VALUE_BYTES))).await.0, StatusCode::OK);
}
