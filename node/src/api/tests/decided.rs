//! Ends that their driver has on its own disk, and of which nobody knows yet whether they hold.

use super::{Scripted, api, ask, lists, request, send, tasks};
use crate::api::{Api, Limits};
use axum::http::StatusCode;
use mesh_coordinator::{Answer, Command, TaskView};
use mesh_proto::{
    codec,
    id::TaskId,
    task::{Ending, How, Octets, State},
    time::Wall,
};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Shows a task that its driver says has ended so; whoever follows it is told that, or nothing.
fn knowing(seen: State, told: Option<State>) -> (Api, Arc<AtomicU64>) {
    let spec: Octets = codec::encode(&lists::spec()).into();
    let submits = Arc::new(AtomicU64::new(0));
    let count = submits.clone();
    let brain = Scripted::with(move |command| match command {
        Command::Show { task } => {
            let view = tasks::view(*task, seen.clone());
            Some(vec![Answer::Task(Box::new(TaskView { spec: spec.clone(), in_force: false, ..view }))])
        }
        Command::Follow { tasks: followed } => {
            let ended = |state: &State| Answer::Ended {
                task: followed[0],
                register: tasks::view(followed[0], state.clone()).register,
            };
            Some(told.iter().map(ended).collect())
        }
        Command::Submit { .. } => {
            count.fetch_add(1, Ordering::Relaxed);
            let task = TaskId::from_bytes([8; 32]);
            Some(vec![Answer::Placed { index: 0, task, copies: 3, degraded: false, existing: false }])
        }
        _ => None,
    });
    (api(brain, Limits::default()), submits)
}

fn failed() -> State {
    State::Ended(Ending { how: How::Failed, by: None, outcome: None, at: Wall(9) })
}

#[tokio::test]
async fn an_end_that_may_not_hold_is_no_result() {
    let task = TaskId::from_bytes([7; 32]);
    let (cut_off, _) = knowing(tasks::ended(), None);
    for part in ["result", "stdout", "files/a"] {
        let (status, problem) = ask(&cut_off, request("GET", &format!("/v1/tasks/{task}/{part}"), "")).await;
        assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &"not_ended".into()), "{part}");
    }
    // The others have ended it otherwise.
    let (overtaken, _) = knowing(tasks::ended(), Some(failed()));
    let (status, result) = ask(&overtaken, request("GET", &format!("/v1/tasks/{task}/result"), "")).await;
    assert_eq!((status, &result["state"]), (StatusCode::OK, &"failed".into()), "{result}");
    let response = send(&overtaken, request("GET", &format!("/v1/tasks/{task}/stdout"), "")).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    let (settled, _) = knowing(tasks::ended(), Some(tasks::ended()));
    let (_, result) = ask(&settled, request("GET", &format!("/v1/tasks/{task}/result"), "")).await;
    assert_eq!((&result["state"], &result["stdout"]), (&"done".into(), &"out\n".into()), "{result}");
}

/// Else the task itself may be done, and another like it runs.
#[tokio::test]
async fn what_may_not_have_failed_is_not_retried() {
    let route = format!("/v1/tasks/{}/retry", TaskId::from_bytes([7; 32]));
    for (told, status, code, count) in [
        (None, StatusCode::CONFLICT, "not_ended", 0),
        (Some(tasks::ended()), StatusCode::CONFLICT, "conflict", 0),
        (Some(failed()), StatusCode::CREATED, "", 1),
    ] {
        let (api, submits) = knowing(failed(), told);
        let (is, problem) = ask(&api, request("POST", &route, "")).await;
        assert_eq!((is, problem["code"].as_str().unwrap_or_default()), (status, code), "{problem}");
        assert_eq!(submits.load(Ordering::Relaxed), count);
    }
}
