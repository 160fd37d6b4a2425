//! Results of tasks for several executors, of which whoever drives them says nothing of a count.

use super::{NODE, Scripted, api, ask, bytes, lists, request, send, tasks};
use crate::api::{Api, Limits, jobs::Line};
use mesh_coordinator::{Answer, Command, TaskView};
use mesh_proto::{
    codec,
    id::TaskId,
    task::{Ending, FailureKind, How, Octets, Outcome, Spec, State},
    time::Wall,
};

/// Holds tasks by so many that have all ended so.
fn holding(redundancy: u8, state: State) -> Api {
    let spec: Octets = codec::encode(&Spec { redundancy, ..lists::spec() }).into();
    let brain = Scripted::with(move |command| match command {
        Command::Show { task } => {
            Some(vec![Answer::Task(Box::new(TaskView { spec: spec.clone(), ..tasks::view(*task, state.clone()) }))])
        }
        Command::Follow { tasks: followed } => {
            let ended =
                |task: &TaskId| Answer::Ended { task: *task, register: tasks::view(*task, state.clone()).register };
            Some(followed.iter().map(ended).collect())
        }
        Command::Members => Some(vec![Answer::Members(vec![lists::member(NODE)])]),
        _ => None,
    });
    api(brain, Limits::default())
}

async fn lines(api: &Api, method: &str, route: &str, body: &str) -> Vec<Line> {
    let text = bytes(send(api, request(method, route, body.to_owned())).await).await;
    String::from_utf8(text.to_vec()).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn untrusted(lines: &[Line]) -> usize {
    let is_untrusted = |line: &&Line| match line {
        Line::Ended { result, .. } => result.count.as_ref().is_some_and(|count| !count.verified && count.why.is_some()),
        _ => false,
    };
    lines.iter().filter(is_untrusted).count()
}

#[tokio::test]
async fn a_result_that_nobody_counted_is_not_shown_as_an_ordinary_one() {
    let task = TaskId::from_bytes([7; 32]);
    let (several, one) = (holding(3, tasks::ended()), holding(1, tasks::ended()));
    for (route, at) in [("", "/result/count"), ("/result", "/count"), ("/result?wait=1s", "/count")] {
        let (status, json) = ask(&several, request("GET", &format!("/v1/tasks/{task}{route}"), "")).await;
        let count = json.pointer(at).unwrap_or_else(|| panic!("{route}: {json}"));
        assert_eq!((status.as_u16(), &count["verified"]), (200, &false.into()), "{json}");
        assert!(count["why"].as_str().is_some_and(|why| why.contains("nobody")), "{json}");
        let (_, json) = ask(&one, request("GET", &format!("/v1/tasks/{task}{route}"), "")).await;
        assert_eq!(json.pointer(at), None, "it is for one: {json}");
    }
    for part in ["stdout", "stderr", "files/a"] {
        let (status, problem) = ask(&several, request("GET", &format!("/v1/tasks/{task}/{part}"), "")).await;
        assert_eq!((status.as_u16(), &problem["code"]), (409, &"unverified".into()), "{part}");
    }
    let response = send(&one, request("GET", &format!("/v1/tasks/{task}/stdout"), "")).await;
    assert_eq!(bytes(response).await, b"out\n"[..]);
}

#[tokio::test]
async fn that_nothing_came_of_it_needs_no_count() {
    let task = TaskId::from_bytes([7; 32]);
    let ended = |how, outcome| State::Ended(Ending { how, by: None, outcome, at: Wall(9) });
    let failed = |kind| Some(Outcome::failed(kind, "for a reason"));
    for (how, outcome, needs) in [
        (How::Cancelled, None, false),
        (How::Cancelled, failed(FailureKind::Dependency), false),
        (How::Failed, failed(FailureKind::Lost), false),
        (How::Failed, failed(FailureKind::NoMajority), true),
        (How::Failed, failed(FailureKind::Trap), true),
        (How::Done, failed(FailureKind::Lost), true),
        (How::Done, None, true),
    ] {
        let text = format!("{how:?} {outcome:?}");
        let api = holding(2, ended(how, outcome));
        let (_, json) = ask(&api, request("GET", &format!("/v1/tasks/{task}/result"), "")).await;
        assert_eq!(json["count"].is_object(), needs, "{text}: {json}");
    }
}

/// The one that drives it has answered without a count, and what was asked for is known to who asked.
#[tokio::test]
async fn who_waits_for_it_or_for_a_job_of_such_is_told_as_well() {
    let (brain, job, _) = lists::with_job(2);
    let api = api(brain, Limits::default());
    let body = r#"{"program":"echo","stdin":"a","terms":{"redundancy":3}}"#;
    let (_, json) = ask(&api, request("POST", "/v1/tasks?wait=5s", body)).await;
    assert_eq!(json["result"]["count"]["verified"], false, "{json}");
    let body = "{\"key\":\"k\",\"program\":\"echo\",\"terms\":{\"redundancy\":3},\"count\":2}\n{}\n{}\n";
    let submitted = lines(&api, "POST", "/v1/jobs", body).await;
    assert_eq!(untrusted(&submitted), 2, "{submitted:?}");
    // Who comes later has no specifications, and is told of each.
    let followed = lines(&api, "GET", &format!("/v1/jobs/{job}/results"), "").await;
    assert_eq!(untrusted(&followed), 2, "{followed:?}");
}
