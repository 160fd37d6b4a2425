use super::MemoryRow;
use crate::api::{
    Api, Problem,
    extract::Params,
    order::{Asker, Errand, PATIENCE},
};
use axum::{
    Json,
    extract::{Path, State},
};
use mesh_proto::ledger::{MemoryKey, Namespace, Query, Row};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Only keys that begin so.
    prefix: Option<String>,
    /// Only where key or value holds this; `*` stands for any text between. Not together with `prefix`.
    pattern: Option<String>,
    /// Only keys behind this one: the `next` of the page before.
    after: Option<String>,
    /// Default 100, at most 1,000.
    limit: Option<u32>,
    /// Ask a ledger in reach, which may be behind. Default false.
    stale: Option<bool>,
    /// How long the committee is waited for. Default 30s.
    wait: Option<String>,
}

/// A page of the shared memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemoryPage {
    pub items: Vec<MemoryRow>,
    /// Give it as `after` for what follows; none on the last page. A search may come so far and have found nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The batch behind which it was so.
    pub index: u64,
}

/// Lists or searches a namespace, in the order of its keys. A page may be shorter than its limit: then it has a `next`.
#[utoipa::path(
    get, path = "/v1/memory/{namespace}", tag = "memory", params(Filter, ("namespace" = String, Path)),
    responses((status = 200, body = MemoryPage), (status = 503, body = Problem))
)]
pub async fn list(
    State(api): State<Api>,
    Path(namespace): Path<String>,
    asker: Asker,
    Params(filter): Params<Filter>,
) -> Result<Json<MemoryPage>, Problem> {
    let namespace: Namespace = namespace.parse().map_err(Problem::malformed)?;
    let after: Option<MemoryKey> = filter.after.map(|after| after.parse()).transpose().map_err(Problem::malformed)?;
    let limit = page_limit(filter.limit);
    let query = match (filter.prefix, filter.pattern) {
        (Some(_), Some(_)) => return Err(Problem::malformed("give one of `prefix` and `pattern`")),
        (prefix, None) => {
            let prefix = prefix.map(|prefix| prefix.parse()).transpose().map_err(Problem::malformed)?;
            Query::List { namespace, prefix, after, limit }
        }
        (None, Some(pattern)) => {
            let pattern = pattern.parse().map_err(Problem::malformed)?;
            Query::Search { namespace, pattern, after, limit }
        }
    };
    let errand = Errand::new(&api, asker, filter.wait.as_deref(), PATIENCE)?;
    let answer = errand.read(query, filter.stale).await?;
    let mut page = MemoryPage { items: Vec::new(), next: None, index: answer.index.0 };
    for row in &answer.rows {
        match row {
            Row::Memory { key, item } => {
                page.items.push(MemoryRow::new(key, item));
                page.next = Some(key.to_string());
            }
            Row::Looked(key) => page.next = Some(key.to_string()),
            _ => {}
        }
    }
    page.next = page.next.filter(|_| answer.more);
    Ok(Json(page))
}

/// Rows of one answer of the ledger.
pub fn page_limit(limit: Option<u32>) -> u16 {
    const MOST: u16 = 1_000;
    limit.map_or(100, |limit| u16::try_from(limit).unwrap_or(MOST).clamp(1, MOST))
}
