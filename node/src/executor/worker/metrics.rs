use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// What the node shows of the programs that are attached to it.
#[derive(Debug, Clone, Default)]
pub struct WorkerMetrics {
    pub attached: Gauge,
    pub places: Gauge,
    pub tasks: Gauge,
    pub offered: Gauge,
    pub expired: Counter,
    pub ends: Family<EndLabels, Counter>,
}

/// How a worker's task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct EndLabels {
    /// `result`, `lost`, `given_back`, `not_taken`, `time_limit` or `cancelled`.
    pub end: &'static str,
}

impl WorkerMetrics {
    /// Under full names: `registry` must not add a prefix.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("mesh_worker_attached", "Workers that are attached to this node", self.attached.clone());
        registry.register("mesh_worker_places", "Tasks that they can have at once", self.places.clone());
        registry.register("mesh_worker_held_tasks", "Tasks that they have", self.tasks.clone());
        registry.register(
            "mesh_worker_offered_tasks",
            "Tasks with a slot that wait for one of them",
            self.offered.clone(),
        );
        registry.register("mesh_worker_expired", "Workers that were not heard of for a lease", self.expired.clone());
        registry.register("mesh_worker_tasks", "Tasks for workers that ended here, by how", self.ends.clone());
    }
}
