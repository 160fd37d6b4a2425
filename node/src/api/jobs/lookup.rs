use crate::api::{
    Api, Code, Problem,
    extract::{check_prefix, only_one},
    tasks::{list::page, show::view},
};
use mesh_coordinator::{ListFilter, TaskSummary};
use mesh_proto::{
    id::{JobId, TaskId},
    task::{Program, Spec, TaskKey, job_id, task_id},
    time::Wall,
};

/// A job as its record tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub id: JobId,
    pub name: String,
    pub count: u64,
    pub placed: Wall,
    principal: String,
    key: Vec<u8>,
}

impl Found {
    /// The id of an item, whether it was submitted or not.
    pub fn item(&self, api: &Api, index: u64) -> TaskId {
        task_id(&api.network, &self.principal, &TaskKey::Item(self.key.clone(), index))
    }

    pub fn key(&self) -> &[u8] {
        &self.key
    }
}

/// The job of that id, or the only one whose id begins so.
pub async fn find(api: &Api, text: &str) -> Result<Found, Problem> {
    let text = &*text.to_ascii_lowercase();
    let matches = match text.parse::<JobId>() {
        Ok(id) => {
            page(api, ListFilter { job: Some(id), jobs_only: true, limit: 2, ..ListFilter::default() }).await?.rows
        }
        Err(_) => {
            check_prefix(text)?;
            let mut jobs = all(api).await?;
            jobs.retain(|row| row.job.is_some_and(|(job, _)| job.to_string().starts_with(text)));
            jobs
        }
    };
    let ids: Vec<TaskId> = matches.iter().map(|row| row.task).collect();
    let record = only_one(text, &ids, "job")?;
    let view = view(api, record).await?;
    let spec = Spec::decode(&view.spec).map_err(|error| Problem::new(Code::Internal, error.to_string()))?;
    match (spec.program, spec.key) {
        (Program::Manifest { name, count }, TaskKey::Manifest(key)) => {
            let id = job_id(&api.network, &spec.principal, &key);
            Ok(Found { id, name, count, placed: view.placed, principal: spec.principal, key })
        }
        _ => Err(Problem::new(Code::NotFound, format!("task {record} is not the record of a job"))),
    }
}

/// The records of all jobs.
pub async fn all(api: &Api) -> Result<Vec<TaskSummary>, Problem> {
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let list = page(api, ListFilter { jobs_only: true, after, limit: PAGE, ..ListFilter::default() }).await?;
        after = list.next;
        found.extend(list.rows);
        if after.is_none() || found.len() >= MOST {
            return Ok(found);
        }
    }
}

/// The brain's own bound of a page.
pub const PAGE: u32 = 1_000;
/// Jobs looked through for a prefix.
const MOST: usize = 100_000;
