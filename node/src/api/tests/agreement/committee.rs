use super::{
    super::{ask, request},
    Council, node,
};
use crate::api::{
    Code,
    committee::change::{Wish, carry_out},
    order::{Asker, Errand},
};
use axum::http::StatusCode;
use std::time::Duration;

fn change(body: &str) -> axum::http::Request<axum::body::Body> {
    request("POST", "/v1/committee?wait=2s", body.to_owned())
}

fn add(seed: u8) -> axum::http::Request<axum::body::Body> {
    change(&format!(r#"{{"add":"{}"}}"#, node(seed)))
}

#[tokio::test]
async fn a_node_is_taken_in_once_it_follows() {
    let council = Council::of(1);
    let api = council.api(1);
    council.slow(2);
    let (status, changed) = ask(&api, add(2)).await;
    assert_eq!((status, &changed["state"]), (StatusCode::OK, &"done".into()), "{changed}");
    let members: Vec<_> = changed["committee"]["members"].as_array().unwrap().iter().collect();
    assert!(members.iter().any(|seat| seat["node"] == node(2).to_string() && seat["store"].is_string()), "{members:?}");
    assert_eq!(changed["committee"]["epoch"], 1);
    // It is so: nothing is moved.
    let ordered = council.ids().len();
    assert_eq!(ask(&api, add(2)).await.1["state"], "done");
    assert_eq!(council.ids().len(), ordered);
    // By the end of its id, as people name nodes.
    let id = node(2).to_string();
    let remove = format!(r#"{{"remove":"{}"}}"#, &id[id.len() - 8..]);
    let (status, changed) = ask(&api, change(&remove)).await;
    assert_eq!((status, changed["committee"]["members"].as_array().unwrap().len()), (StatusCode::OK, 1));
    let (status, problem) = ask(&api, change(&format!(r#"{{"remove":"{}"}}"#, node(1)))).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &"last_seat".into()));
}

#[tokio::test]
async fn who_does_not_follow_is_not_taken_in() {
    let council = Council::of(1);
    let api = council.api(1);
    let late = |seed: u8| request("POST", "/v1/committee?wait=300ms", format!(r#"{{"add":"{}"}}"#, node(seed)));
    let (status, problem) = ask(&api, late(9)).await;
    assert_eq!((status, &problem["code"]), (StatusCode::SERVICE_UNAVAILABLE, &"unavailable".into()));
    assert!(problem["detail"].as_str().unwrap().contains("does not answer"), "{problem}");
    council.slow(1_000);
    let (_, problem) = ask(&api, late(2)).await;
    assert!(problem["detail"].as_str().unwrap().contains("does not follow yet"), "{problem}");
    council.slow(0);
    let (status, problem) = ask(&api, add(8)).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &"not_member".into()), "a worker: {problem}");
}

#[tokio::test]
async fn a_motion_that_others_must_sign_is_told_as_such() {
    let council = Council::of(4);
    let (second, third, stranger) = (council.api(2), council.api(3), council.api(6));
    let (status, problem) = ask(&stranger, add(5)).await;
    assert_eq!((status, &problem["code"]), (StatusCode::FORBIDDEN, &"not_entitled".into()));
    let (status, seconded) = ask(&second, add(5)).await;
    assert_eq!((status, &seconded["state"]), (StatusCode::ACCEPTED, &"seconded".into()), "{seconded}");
    assert_eq!((&seconded["signed"], &seconded["needed"]), (&1.into(), &2.into()));
    assert_eq!(ask(&second, add(5)).await.1["code"], "already");
    let (status, changed) = ask(&third, add(5)).await;
    assert_eq!((status, changed["committee"]["members"].as_array().unwrap().len()), (StatusCode::OK, 5));
}

#[tokio::test]
async fn the_committee_is_told_how_far_to_grow() {
    let api = Council::of(1).api(1);
    let (_, committee) = ask(&api, request("GET", "/v1/committee", "")).await;
    assert_eq!(committee["auto"], serde_json::json!({ "on": true, "max": 7 }));
    assert_eq!(committee["members"][0]["node"], node(1).to_string());
    let (status, changed) = ask(&api, change(r#"{"auto":{"on":false,"max":5}}"#)).await;
    assert_eq!(status, StatusCode::OK, "{changed}");
    assert_eq!(changed["committee"]["auto"], serde_json::json!({ "on": false, "max": 5 }));
    for body in [r#"{"auto":{"on":true,"max":0}}"#, r#"{"auto":{"on":true}}"#, "{}", r#"{"add":"a","remove":"b"}"#] {
        assert_eq!(ask(&api, change(body)).await.1["code"], "malformed", "{body}");
    }
}

#[tokio::test]
async fn who_is_revoked_loses_its_seat_first_and_does_not_come_back() {
    let council = Council::of(4);
    let revoke = |query: &str| request("POST", &format!("/v1/members/{}/revoke?{query}", node(4)), "");
    let (second, third) = (council.api(2), council.api(3));
    let (status, seconded) = ask(&second, revoke("wait=5s")).await;
    assert_eq!((status, &seconded["state"]), (StatusCode::ACCEPTED, &"seconded".into()), "{seconded}");
    let (status, changed) = ask(&third, revoke("wait=5s")).await;
    assert_eq!((status, &changed["state"]), (StatusCode::OK, &"done".into()), "{changed}");
    assert_eq!(changed["committee"]["members"].as_array().unwrap().len(), 3);
    // It is so: nothing is moved.
    let serial = changed["committee"]["serial"].clone();
    assert_eq!(ask(&second, revoke("wait=5s")).await.1["committee"]["serial"], serial);
    let (status, problem) = ask(&third, add(4)).await;
    assert_eq!((status, &problem["code"]), (StatusCode::FORBIDDEN, &"forbidden".into()), "{problem}");
    let (status, problem) = ask(&council.api(6), request("POST", &format!("/v1/members/{}/revoke", node(5)), "")).await;
    assert_eq!((status, &problem["code"]), (StatusCode::FORBIDDEN, &"not_entitled".into()), "{problem}");
}

/// As the steward asks.
#[tokio::test]
async fn what_was_planned_before_another_motion_came_is_not_signed_anew() {
    let council = Council::of(4);
    let (first, second) = (council.api(1), council.api(2));
    let at = async |serial| {
        let errand = Errand::new(&second, Asker::of_the_node().unwrap(), None, Duration::from_secs(5)).unwrap();
        carry_out(&errand, Wish::Remove(node(3)), Some(serial)).await
    };
    assert_eq!(at(7).await.unwrap_err().code, Code::Overtaken, "of a ledger that this is not");
    assert_eq!(at(0).await.unwrap().state, "seconded");
    // The maker's signature is enough, and what was gathered under the serial of before is gone.
    let (status, _) = ask(&first, change(r#"{"auto":{"on":false,"max":5}}"#)).await;
    assert_eq!(status, StatusCode::OK);
    let ordered = council.ids().len();
    assert_eq!(at(0).await.unwrap_err().code, Code::Overtaken);
    assert_eq!(council.ids().len(), ordered, "nothing was signed");
}
