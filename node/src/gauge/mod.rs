//! This node's own value of a name, for what is computed over all nodes: one that a user gave it, or a metric of its own.

mod exposition;
mod values;

pub use values::{BadValue, Value, Values};

use std::sync::{Arc, OnceLock};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Makes the text of `/metrics`.
type Exposition = Arc<dyn Fn() -> String + Send + Sync>;

/// Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Gauge {
    pub values: Values,
    /// There once all parts have registered what they measure.
    metrics: Arc<OnceLock<Exposition>>,
    turns: Arc<Semaphore>,
}

/// Measured at once: as many as aggregations are open.
const TURNS: usize = 32;

impl Default for Gauge {
    fn default() -> Self {
        Self { values: Values::default(), metrics: Arc::default(), turns: Arc::new(Semaphore::new(TURNS)) }
    }
}

impl Gauge {
    /// To be had before something is measured, and held until it is; none where too much is being measured.
    pub fn turn(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.turns).try_acquire_owned().ok()
    }

    /// Metrics come from there from now on. Said once, at the start.
    pub fn set_metrics(&self, metrics: Exposition) {
        if self.metrics.set(metrics).is_err() {
            tracing::error!("metrics were told of twice: a bug");
        }
    }

    /// What a user gave this node under that name, else the metric of it. Takes as long as a scrape.
    pub fn measure(&self, name: &str) -> Option<Vec<f64>> {
        if let Some(values) = self.values.get(name) {
            return Some(values);
        }
        let text = self.metrics.get()?();
        exposition::sum(&text, name).map(|sum| vec![sum])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_user_gave_comes_before_metrics() {
        let gauge = Gauge::default();
        assert_eq!(gauge.measure("process_threads"), None, "at the start there are none yet");
        gauge.set_metrics(Arc::new(|| "process_threads 7\n# EOF\n".to_owned()));
        assert_eq!(gauge.measure("process_threads"), Some(vec![7.0]));
        gauge.values.set("process_threads", Value::One(3.0), None).unwrap();
        assert_eq!(gauge.measure("process_threads"), Some(vec![3.0]));
        assert_eq!(gauge.measure("loss"), None);
    }

    #[test]
    fn what_is_measured_at_once_is_bounded() {
        let gauge = Gauge::default();
        let turns: Vec<_> = std::iter::from_fn(|| gauge.clone().turn()).collect();
        assert_eq!(turns.len(), TURNS);
        drop(turns);
        assert!(gauge.turn().is_some());
    }
}
