//! How verbs ask what the committee orders.

use std::time::Duration;

use clap::Args;

use super::results::escape;
use crate::config::Span;

/// Of a verb that changes something.
#[derive(Debug, Args)]
pub(super) struct Writing {
    /// How long the committee is waited for.
    #[arg(long, value_name = "TIME", default_value = "30s")]
    wait: Span,
    /// Makes a repeat harmless, through any node: the same key is the same command.
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

/// Of a verb that reads.
#[derive(Debug, Args)]
pub(super) struct Reading {
    /// Ask a ledger in reach, which may be behind; needs no quorum.
    #[arg(long)]
    stale: bool,
    /// How long the committee is waited for.
    #[arg(long, value_name = "TIME", default_value = "30s")]
    wait: Span,
}

impl Writing {
    /// The user's key, or one drawn here, before the first attempt.
    pub(super) fn key(&self) -> String {
        self.idempotency_key.clone().unwrap_or_else(drawn)
    }

    pub(super) fn route(&self, path: &str) -> Route {
        Route::new(path).and("wait", &millis(self.wait.get()))
    }
}

impl Reading {
    pub(super) fn route(&self, path: &str) -> Route {
        let route = Route::new(path);
        // A ledger that is at hand is not waited for.
        if self.stale { route.and("stale", "true") } else { route.and("wait", &millis(self.wait.get())) }
    }
}

/// A path and its query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route(String);

impl Route {
    pub(super) fn new(path: &str) -> Self {
        Self(path.to_owned())
    }

    #[must_use]
    pub(super) fn and(self, name: &str, value: &str) -> Self {
        let mark = if self.0.contains('?') { '&' } else { '?' };
        Self(format!("{}{mark}{name}={}", self.0, escape(value)))
    }

    /// If there is a value.
    #[must_use]
    pub(super) fn and_if(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.and(name, value),
            None => self,
        }
    }
}

impl From<Route> for String {
    fn from(route: Route) -> Self {
        route.0
    }
}

/// A time as the API takes it.
pub(super) fn millis(time: Duration) -> String {
    format!("{}ms", time.as_millis())
}

/// A key that nobody has had.
pub(super) fn drawn() -> String {
    data_encoding::HEXLOWER.encode(&rand::random::<[u8; 16]>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_has_its_query_escaped() {
        let route = Route::new("/v1/memory/n").and("prefix", "a b/").and_if("after", None).and_if("limit", Some("5"));
        assert_eq!(String::from(route), "/v1/memory/n?prefix=a%20b%2F&limit=5");
        assert_eq!(millis(Duration::from_secs(30)), "30000ms");
    }
}
