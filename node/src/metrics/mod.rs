//! The metrics registry, and what every process tells of itself.
//!
//! Each part of the node owns its metrics beside its code: a struct of counters and gauges, with a function that
//! registers clones of them here. Names are written whole where they are registered (`"mesh_…"`, with the unit in the
//! name), so that one search finds both a metric and the line that moves it; a test compares these names with
//! `docs/metrics.md`.

mod build;
mod process;

pub use build::COMMIT;

use std::fmt;

use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;

/// What `/metrics` answers with as its content type.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Everything that is measured in this process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
}

impl Metrics {
    /// A registry that holds what is known of any process: its build and what it uses of the machine.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        build::register(&mut registry);
        registry.register_collector(Box::new(process::Process));
        Self { registry }
    }

    /// Where a part registers its own at start.
    pub fn registry_mut(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// All values now, in the OpenMetrics text format.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut body = String::new();
        text::encode(&mut body, &self.registry)?;
        Ok(body)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;

    use super::*;

    #[test]
    fn a_part_registers_its_own_and_it_moves() {
        let mut metrics = Metrics::new();
        let counter: Counter = Counter::default();
        metrics.registry_mut().register("part_events", "Events of a part", counter.clone());
        assert!(metrics.encode().unwrap().contains("part_events_total 0"));
        counter.inc();
        let body = metrics.encode().unwrap();
        assert!(body.contains("part_events_total 1"));
        assert!(body.ends_with("# EOF\n"));
    }
}
