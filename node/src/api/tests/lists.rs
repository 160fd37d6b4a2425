//! What a list is asked for, as people name it: by what another list shows of an id.

use super::{NODE, Scripted, api, ask, request, tasks};
use crate::api::Limits;
use axum::http::StatusCode;
use mesh_coordinator::{Answer, Command, ListFilter, MemberView, TaskList, TaskSummary};
use mesh_proto::{
    capability::{Capabilities, Requirements},
    codec,
    id::{JobId, NodeId, StoreId, TaskId},
    task::{Octets, OnIsolation, Payload, Priority, Program, Spec, Strategy, TaskKey, job_id},
    time::Wall,
};
use std::sync::{Arc, Mutex};

/// Does not answer when lists are made.
const SILENT: NodeId = NodeId::from_bytes([2; 32]);

/// A task that nothing is special about.
pub fn spec() -> Spec {
    Spec {
        principal: "default".into(),
        key: TaskKey::Own(b"k".to_vec()),
        born: Wall(1),
        program: Program::Echo,
        input: Payload::empty(),
        files: Vec::new(),
        priority: Priority::Medium,
        time_limit_ms: 1,
        deadline: None,
        retries: 0,
        job: None,
        unique: false,
        requirements: Requirements::default(),
        strategy: Strategy::default(),
        on_isolation: OnIsolation::default(),
        redundancy: 1,
        after: Vec::new(),
        trace: [0; 16],
    }
}

/// A brain that knows one job and two members, and how it was asked for tasks.
pub fn with_job(count: u64) -> (Scripted, JobId, Arc<Mutex<Vec<ListFilter>>>) {
    let job = job_id(&super::NETWORK, "default", b"k");
    let (key, program) = (TaskKey::Manifest(b"k".to_vec()), Program::Manifest { name: "job".into(), count });
    let spec = Spec { key, program, job: Some((job, count)), ..spec() };
    let (record, spec): (TaskId, Octets) = (spec.id(&super::NETWORK), codec::encode(&spec).into());
    let filters: Arc<Mutex<Vec<ListFilter>>> = Arc::default();
    let seen = filters.clone();
    let brain = Scripted::with(move |command| match command {
        Command::List { filter } => {
            seen.lock().unwrap().push(filter.clone());
            let summary = TaskSummary {
                task: record,
                state: "done".into(),
                program: "job".into(),
                placed: Wall(1),
                job: Some((job, count)),
                count: Some(count),
                executor: None,
                attempts: 0,
            };
            let rows = if filter.jobs_only { vec![summary] } else { vec![] };
            Some(vec![Answer::Tasks(TaskList { rows, next: None, silent: vec![SILENT] })])
        }
        Command::Show { task } if *task == record => {
            let mut view = tasks::view(*task, tasks::ended());
            view.spec = spec.clone();
            Some(vec![Answer::Task(Box::new(view))])
        }
        Command::Members => Some(vec![Answer::Members(vec![member(NODE), member(SILENT)])]),
        _ => None,
    });
    (brain, job, filters)
}

pub fn member(node: NodeId) -> MemberView {
    MemberView {
        node,
        store: StoreId(1),
        role: "full".into(),
        dated: Wall(0),
        state: "alive".into(),
        addresses: vec![],
        load: None,
        heard_ms: None,
        standpoint: None,
        history: Vec::new(),
        name: None,
        zone: None,
        capabilities: Capabilities::default(),
    }
}

#[tokio::test]
async fn jobs_and_nodes_are_known_by_what_lists_show_of_them() {
    let (brain, job, filters) = with_job(3);
    let api = api(brain, Limits::default());
    let (job, node) = (job.to_string(), NODE.to_string());
    let short_node = &node[node.len() - 8..];
    let shouted = job[..12].to_uppercase();
    assert_ne!(shouted, job[..12]);
    for query in [
        format!("job={job}&node={node}"),
        format!("job={}&node={short_node}", &job[..12]),
        format!("job={shouted}&node={node}"),
        format!("job={}&node={node}", job.to_uppercase()),
    ] {
        let (status, page) = ask(&api, request("GET", &format!("/v1/tasks?{query}&state=dead"), "")).await;
        assert_eq!(status, StatusCode::OK, "{query}: {page}");
        let asked = filters.lock().unwrap().last().cloned().unwrap();
        let (of_job, of_node) = (asked.job.unwrap().to_string(), asked.executor.unwrap());
        assert_eq!((of_job, of_node, asked.state.as_deref()), (job.clone(), NODE, Some("dead")));
    }
    for (query, status) in [
        ("job=00000000", StatusCode::NOT_FOUND),
        ("job=zz", StatusCode::BAD_REQUEST),
        ("node=zzzzzzzz", StatusCode::NOT_FOUND),
        ("node=zz", StatusCode::BAD_REQUEST),
        ("state=lost", StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(ask(&api, request("GET", &format!("/v1/tasks?{query}"), "")).await.0, status, "{query}");
    }
}

#[tokio::test]
async fn a_list_names_who_did_not_answer() {
    let (brain, job, _) = with_job(3);
    let api = api(brain, Limits::default());
    let silent = serde_json::json!([SILENT.to_string()]);
    for route in ["/v1/tasks".to_string(), "/v1/jobs".to_string(), format!("/v1/jobs/{job}")] {
        let (status, list) = ask(&api, request("GET", &route, "")).await;
        assert_eq!((status, &list["silent"]), (StatusCode::OK, &silent), "{route}: {list}");
    }
}

#[tokio::test]
async fn a_page_that_comes_short_says_where_the_next_one_begins() {
    let after = TaskId::from_bytes([7; 32]);
    let brain = Scripted::with(move |command| match command {
        Command::List { filter } => {
            let next = if filter.after.is_none() { Some(after) } else { None };
            Some(vec![Answer::Tasks(TaskList { next, ..TaskList::default() })])
        }
        _ => None,
    });
    let api = api(brain, Limits::default());
    let (_, page) = ask(&api, request("GET", "/v1/tasks?state=waiting", "")).await;
    assert_eq!((&page["tasks"], &page["next"]), (&serde_json::json!([]), &after.to_string().into()));
    let (_, page) = ask(&api, request("GET", &format!("/v1/tasks?state=waiting&cursor={after}"), "")).await;
    assert!(page["next"].is_null(), "{page}");
}

#[tokio::test]
async fn the_maker_of_a_network_is_forgotten_by_force_alone() {
    let api = api(Scripted::new(), Limits::default());
    let route = format!("/v1/members/{NODE}");
    let (status, problem) = ask(&api, request("DELETE", &route, "")).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &"conflict".into()));
    assert!(problem["detail"].as_str().unwrap().contains("--force"), "{problem}");
    assert_eq!(ask(&api, request("DELETE", &format!("{route}?force=true"), "")).await.0, StatusCode::NO_CONTENT);
}
