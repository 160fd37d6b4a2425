use crate::api::{
    Api, Code, Problem,
    brain::{Brain, BrainGone},
    count::counted,
    extract::resolve_task,
    view::TaskInfo,
};
use axum::{
    Json,
    extract::{Path, State},
};
use mesh_coordinator::{Answer, Command, TaskView};
use mesh_proto::id::TaskId;

/// Shows a task: its state, for whom it waits, its result, and its whole story across nodes.
#[utoipa::path(
    get, path = "/v1/tasks/{id}", tag = "tasks", params(("id" = String, Path, description = "Or a unique prefix of at least 8 digits")),
    responses((status = 200, body = TaskInfo), (status = 404, body = Problem), (status = 409, description = "Not unique", body = Problem))
)]
pub async fn show(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<TaskInfo>, Problem> {
    let task = resolve_task(&api, &id).await?;
    let view = view(&api, task).await?;
    let mut info = TaskInfo::from(&*view);
    if let Some(result) = info.result.as_mut() {
        result.count = counted(&api, &task, Some(&view.spec), &view.register).await;
    }
    Ok(Json(info))
}

/// What the mesh knows of a task now.
pub async fn view(api: &Api, task: TaskId) -> Result<Box<TaskView>, Problem> {
    view_of(&*api.ports.brain, task).await
}

/// The same, for who has no more than a brain.
pub async fn view_of(brain: &dyn Brain, task: TaskId) -> Result<Box<TaskView>, Problem> {
    match brain.ask(Command::Show { task }).await?.one().await {
        Some(Answer::Task(view)) => Ok(view),
        Some(Answer::Refused { why, .. }) => Err((&why).into()),
        Some(_) => Err(Problem::new(Code::NotFound, format!("no node in reach knows task {task}"))),
        None => Err(BrainGone.into()),
    }
}
