//! What monitoring asks: needs no token, answers from the API's own thread.

use super::{
    Api, Code, Problem,
    access::{self, Hosts},
    consensus::warnings,
    node::cut,
};
use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    middleware,
    response::IntoResponse,
    routing::get,
};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use utoipa::ToSchema;

/// Whether, and if not, why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Probe {
    pub ok: bool,
    pub reasons: Vec<String>,
    /// What is to be mended, though it is ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// For a listener that is called by `hosts`.
pub fn router(api: &Api, hosts: Hosts) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .method_not_allowed_fallback(async || {
            Problem::new(Code::MethodNotAllowed, "probes and metrics are read by GET")
        })
        .layer(middleware::from_fn_with_state(Arc::new(hosts), access::guard_host))
        .with_state(api.clone())
}

async fn livez(State(api): State<Api>) -> (StatusCode, Json<Probe>) {
    answer(stalls(&api, api.limits.stall), Vec::new())
}

async fn readyz(State(api): State<Api>) -> (StatusCode, Json<Probe>) {
    let mut reasons = stalls(&api, api.limits.stall);
    reasons.extend((api.ports.unready)());
    if api.closing.is_cancelled() {
        reasons.push("shutting down".to_string());
    }
    let known = (api.ports.last_status)();
    let agreement = known.as_ref().and_then(|status| status.agreement.as_ref());
    let cut = known.as_ref().map(cut).unwrap_or_default();
    answer(reasons, [cut, agreement.map(warnings).unwrap_or_default()].concat())
}

async fn metrics(State(api): State<Api>) -> impl IntoResponse {
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], (api.ports.metrics)())
}

/// What has not turned for longer than that.
pub(super) fn stalls(api: &Api, limit: Duration) -> Vec<String> {
    let stalled = api.ports.pulse.stalled(limit);
    stalled.into_iter().map(|(what, age)| format!("the {what} has not turned for {} ms", age.as_millis())).collect()
}

fn answer(reasons: Vec<String>, warnings: Vec<String>) -> (StatusCode, Json<Probe>) {
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Probe { ok: reasons.is_empty(), reasons, warnings }))
}
