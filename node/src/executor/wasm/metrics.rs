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

/// What the node shows of WebAssembly programs.
#[derive(Debug, Clone)]
pub struct WasmMetrics {
    pub runs: Family<EndLabels, Counter>,
    pub compilations: Counter,
    pub compile_time: Histogram,
    pub cache_hits: Counter,
    pub cached: Gauge,
    pub cached_bytes: Gauge,
    pub start_time: Histogram,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct EndLabels {
    /// `exit`, `trap`, `limit`, `cancelled` or `refused`.
    pub end: &'static str,
}

impl Default for WasmMetrics {
    fn default() -> Self {
        Self {
            runs: Family::default(),
            compilations: Counter::default(),
            compile_time: Histogram::new(exponential_buckets(0.001, 2.0, 16)),
            cache_hits: Counter::default(),
            cached: Gauge::default(),
            cached_bytes: Gauge::default(),
            start_time: Histogram::new(exponential_buckets(0.000_01, 2.0, 16)),
        }
    }
}

impl WasmMetrics {
    /// Under full names: `registry` must not add a prefix.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("mesh_wasm_runs", "Executions of WebAssembly programs, by how they ended", self.runs.clone());
        registry.register("mesh_wasm_compilations", "Programs that were compiled", self.compilations.clone());
        registry.register(
            "mesh_wasm_compile_duration_seconds",
            "From a program's bytes to what can be run",
            self.compile_time.clone(),
        );
        registry.register(
            "mesh_wasm_cache_hits",
            "Executions whose program was compiled already",
            self.cache_hits.clone(),
        );
        registry.register("mesh_wasm_cached_programs", "Compiled programs in memory", self.cached.clone());
        registry.register("mesh_wasm_cached_bytes", "Their size", self.cached_bytes.clone());
        registry.register(
            "mesh_wasm_start_duration_seconds",
            "From a compiled program to an instance of it",
            self.start_time.clone(),
        );
    }
}
