use super::Api;
use axum::{
    extract::{MatchedPath, Request, State},
    http::Method,
    middleware::Next,
    response::Response,
};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};
use std::time::Instant;

/// What the API counts of itself. Labels are bounded: routes by their pattern, statuses by their hundred.
#[derive(Clone)]
pub struct Meters {
    requests: Family<RequestLabels, Counter>,
    latency: Family<RouteLabels, Histogram, fn() -> Histogram>,
    pub(super) panics: Counter,
    pub(super) items: Counter,
    pub(super) results: Counter,
    pub(super) streams: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    method: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

impl Meters {
    pub fn new(registry: &mut Registry) -> Self {
        let meters = Self {
            latency: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.000_5, 2.0, 16))),
            requests: Family::default(),
            panics: Counter::default(),
            items: Counter::default(),
            results: Counter::default(),
            streams: Gauge::default(),
        };
        registry.register(
            "mesh_api_requests",
            "Requests answered, by route, method and status",
            meters.requests.clone(),
        );
        registry.register(
            "mesh_api_request_duration_seconds",
            "From request to the head of its answer",
            meters.latency.clone(),
        );
        registry.register("mesh_api_panics", "Panics caught in handlers", meters.panics.clone());
        registry.register("mesh_api_job_items", "Items read from job streams", meters.items.clone());
        registry.register("mesh_api_job_results", "Results written to job streams", meters.results.clone());
        registry.register("mesh_api_streams", "Job and event streams open now", meters.streams.clone());
        meters
    }
}

/// Counts each request by the route that it matched.
pub(super) async fn count(State(api): State<Api>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_string();
    let method = known(request.method());
    let start = Instant::now();
    let response = next.run(request).await;
    let status = response.status().as_u16();
    api.meters.latency.get_or_create(&RouteLabels { route: route.clone() }).observe(start.elapsed().as_secs_f64());
    api.meters.requests.get_or_create(&RequestLabels { route, method, status }).inc();
    response
}

/// A client may invent methods, and each would be a series.
fn known(method: &Method) -> String {
    const KNOWN: [Method; 7] =
        [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::HEAD, Method::PATCH, Method::OPTIONS];
    match KNOWN.contains(method) {
        true => method.to_string(),
        false => "other".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invented_methods_are_one_label() {
        assert_eq!(known(&Method::PUT), "PUT");
        assert_eq!(known(&Method::from_bytes(b"BREW").unwrap()), "other");
    }
}
