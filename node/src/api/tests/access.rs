use super::{Scripted, api, ask, request, send};
use crate::api::Limits;
use axum::http::{HeaderValue, StatusCode, header};

#[tokio::test]
async fn nothing_under_v1_is_told_without_a_token() {
    let api = api(Scripted::new(), Limits::default());
    for path in ["/v1/status", "/v1/tasks", "/v1/openapi.json", "/v1/nowhere", "/"] {
        for token in [None, Some("Bearer wrong"), Some("Basic secret"), Some("Bearer"), Some("secret")] {
            let mut request = request("GET", path, "");
            request.headers_mut().remove(header::AUTHORIZATION);
            if let Some(token) = token {
                request.headers_mut().insert(header::AUTHORIZATION, HeaderValue::from_static(token));
            }
            let (status, problem) = ask(&api, request).await;
            assert_eq!(
                (status, &problem["code"]),
                (StatusCode::UNAUTHORIZED, &"unauthorized".into()),
                "{path} {token:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_page_that_rebinds_its_name_is_refused() {
    let api = api(Scripted::new(), Limits::default());
    let mut request = request("GET", "/v1/status", "");
    request.headers_mut().insert(header::HOST, HeaderValue::from_static("evil.example:7441"));
    let (status, problem) = ask(&api, request).await;
    assert_eq!((status, &problem["code"]), (StatusCode::MISDIRECTED_REQUEST, &"wrong_host".into()));
}

#[tokio::test]
async fn every_refusal_is_a_problem_with_its_code() {
    let api = api(Scripted::new(), Limits::default());
    for (method, path, body, status, code) in [
        ("GET", "/v1/nowhere", "", 404, "no_such_route"),
        ("PATCH", "/v1/tasks", "", 405, "method_not_allowed"),
        ("POST", "/v1/tasks", "{", 400, "malformed"),
        ("POST", "/v1/tasks", "\u{0}\u{ff}", 400, "malformed"),
        ("POST", "/v1/tasks", r#"{"program":"echo","stdn":"x"}"#, 400, "malformed"),
        ("POST", "/v1/tasks", r#"{"program":"rm"}"#, 400, "malformed"),
        ("POST", "/v1/tasks", r#"{"program":{"exec":{"argv":[]}}}"#, 400, "malformed"),
        ("POST", "/v1/tasks", r#"{"program":"echo","files":[{"name":"../x","text":""}]}"#, 400, "malformed"),
        ("POST", "/v1/tasks", r#"{"program":"echo","stdin":"a","stdin_b64":"YQ=="}"#, 400, "malformed"),
        ("POST", "/v1/tasks", r#"{"program":"echo","terms":{"deadline":"soon"}}"#, 400, "malformed"),
        ("POST", "/v1/tasks?wait=-1s", r#"{"program":"echo"}"#, 400, "malformed"),
        ("POST", "/v1/tasks?wiat=1s", r#"{"program":"echo"}"#, 400, "malformed"),
        ("GET", "/v1/tasks/abc", "", 400, "malformed"),
        ("GET", "/v1/tasks/GHIJKL0123", "", 400, "malformed"),
        ("GET", "/v1/tasks?state=asleep", "", 400, "malformed"),
        ("GET", "/v1/tasks?cursor=x", "", 400, "malformed"),
        ("POST", "/v1/jobs", "", 400, "malformed"),
        ("POST", "/v1/jobs", "[]\n", 400, "malformed"),
        ("DELETE", "/v1/members/me", "", 400, "malformed"),
        ("GET", "/v1/tasks/%ff", "", 400, "malformed"),
        ("GET", "/v1/tasks/0123456789abcdef/files/%ff", "", 400, "malformed"),
        ("GET", "/v1/blobs/0000000000000000000000000000000000000000000000000000000000000000", "", 404, "not_found"),
    ] {
        let response = send(&api, request(method, path, body)).await;
        assert_eq!(response.status().as_u16(), status, "{method} {path} {body}");
        let content_type = response.headers()[header::CONTENT_TYPE].clone();
        let problem: serde_json::Value = serde_json::from_slice(&super::bytes(response).await).unwrap();
        assert_eq!(problem["code"], code, "{method} {path} {body}: {problem}");
        assert_eq!(content_type, "application/problem+json");
    }
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused() {
    let api = api(Scripted::new(), Limits { body: 100, ..Limits::default() });
    let body = format!(r#"{{"program":"echo","stdin":"{}"}}"#, "x".repeat(200));
    let (status, problem) = ask(&api, request("POST", "/v1/tasks", body)).await;
    assert_eq!((status, &problem["code"]), (StatusCode::PAYLOAD_TOO_LARGE, &"too_large".into()));
}

#[tokio::test]
async fn the_document_names_every_route_family() {
    let api = api(Scripted::new(), Limits::default());
    let (status, document) = ask(&api, request("GET", "/v1/openapi.json", "")).await;
    assert_eq!(status, StatusCode::OK);
    for path in ["/v1/tasks", "/v1/tasks/{id}/result", "/v1/jobs/{id}/results", "/v1/blobs/{id}", "/v1/members"] {
        assert!(document["paths"][path].is_object(), "{path}");
    }
    assert!(document["components"]["schemas"]["TaskRequest"].is_object());
}
