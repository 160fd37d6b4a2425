//! Functions of all nodes' values, and the values of this one.

use super::{Scripted, api, ask, request};
use crate::api::Limits;
use mesh_coordinator::{Answer, Command, Refusal};
use mesh_gossip::{Asked, Operation};
use serde_json::json;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

fn answer(values: Vec<f64>, covers: u64) -> mesh_gossip::Answer {
    mesh_gossip::Answer {
        values,
        error: f64::INFINITY,
        histogram: vec![],
        covers,
        covers_error: 0.25,
        reached: 4,
        rounds: 9,
        elapsed: Duration::from_millis(1_800),
        settled: false,
    }
}

/// What was asked, and an API whose mesh answers so.
fn mesh(answered: mesh_gossip::Answer) -> (Arc<Mutex<Vec<Asked>>>, crate::api::Api) {
    let seen: Arc<Mutex<Vec<Asked>>> = Arc::default();
    let noted = Arc::clone(&seen);
    let brain = Scripted::with(move |command| match command {
        Command::Aggregate { asked } if asked.tolerance == 0.5 => {
            Some(vec![Answer::Refused { index: 0, task: None, why: Refusal::Busy { retry_ms: 1_000 } }])
        }
        Command::Aggregate { asked } => {
            noted.lock().unwrap().push(asked.clone());
            Some(vec![Answer::Aggregate { answer: Box::new(answered.clone()), members: 5 }])
        }
        _ => None,
    });
    (seen, api(brain, Limits::default()))
}

#[tokio::test]
async fn what_is_asked_reaches_the_brain_and_its_answer_the_user() {
    let (seen, api) = mesh(answer(vec![2.5], 3));
    let question = json!({ "operation": "quantile", "metric": "loss", "at": 0.9, "tolerance": 0.01, "timeout": "2s" });
    let (status, json) = ask(&api, request("POST", "/v1/aggregate", question.to_string())).await;
    assert_eq!(status.as_u16(), 200, "{json}");
    let expected = json!({
        "operation": "quantile", "metric": "loss", "value": 2.5, "covers": 3, "covers_error": 0.25, "reached": 4,
        "members": 5, "rounds": 9, "elapsed_ms": 1800, "settled": false,
    });
    assert_eq!(json, expected, "what was not seen has no number");
    let asked = seen.lock().unwrap().remove(0);
    assert_eq!((asked.operation, asked.length, &*asked.name), (Operation::Quantile(0.9), 1, "loss"));
    assert_eq!((asked.tolerance, asked.timeout), (0.01, Duration::from_secs(2)));
}

#[tokio::test]
async fn a_vector_is_as_long_as_this_node_s_own() {
    let (seen, api) = mesh(answer(vec![1.0, 2.0, 3.0], 3));
    let question = json!({ "operation": "mean", "metric": "weights", "vector": true }).to_string();
    let (status, problem) = ask(&api, request("POST", "/v1/aggregate", question.clone())).await;
    assert_eq!((status.as_u16(), &problem["code"]), (400, &"malformed".into()), "{problem}");
    let (status, _) = ask(&api, request("PUT", "/v1/values/weights?ttl=1h", "[1, 2.5, -3]")).await;
    assert_eq!(status.as_u16(), 204);
    let (status, json) = ask(&api, request("POST", "/v1/aggregate", question)).await;
    assert_eq!((status.as_u16(), &json["values"]), (200, &json!([1.0, 2.0, 3.0])), "{json}");
    assert!(json.get("value").is_none(), "{json}");
    assert_eq!(seen.lock().unwrap()[0].length, 3);
    let (_, rows) = ask(&api, request("GET", "/v1/values", "")).await;
    assert_eq!((&rows[0]["name"], &rows[0]["value"]), (&"weights".into(), &json!([1.0, 2.5, -3.0])), "{rows}");
    assert!(rows[0]["left_ms"].as_u64().is_some_and(|left| left > 3_500_000), "{rows}");
    assert_eq!(ask(&api, request("DELETE", "/v1/values/weights", "")).await.0.as_u16(), 204);
    assert_eq!(ask(&api, request("DELETE", "/v1/values/weights", "")).await.0.as_u16(), 404);
}

#[tokio::test]
async fn what_nobody_has_and_what_is_no_value_are_problems() {
    let (_, api) = mesh(answer(vec![], 0));
    let question = |operation: &str, more: &str| format!(r#"{{"operation":"{operation}","metric":"loss"{more}}}"#);
    for (method, route, body, status, code) in [
        ("POST", "/v1/aggregate", question("sum", ""), 404, "not_found"),
        ("POST", "/v1/aggregate", question("count", ""), 200, ""),
        ("POST", "/v1/aggregate", question("sum", r#","tolerance":0.5"#), 503, "busy"),
        ("POST", "/v1/aggregate", question("median", ""), 400, "malformed"),
        ("POST", "/v1/aggregate", question("sum", r#","timeout":"soon""#), 400, "malformed"),
        ("POST", "/v1/aggregate", question("sum", r#","value":"much""#), 400, "malformed"),
        ("POST", "/v1/aggregate", question("sum", r#","value":[]"#), 400, "malformed"),
        ("PUT", "/v1/values/mesh_members", "7".to_owned(), 400, "malformed"),
        ("PUT", "/v1/values/loss", "1e300".to_owned(), 400, "malformed"),
    ] {
        let (is, json) = ask(&api, request(method, route, body.clone())).await;
        let is_code = code.is_empty() || json["code"] == code;
        assert!(is.as_u16() == status && is_code, "{method} {route} {body}: {is} {json}");
    }
}
