//! What the network counts. Labels come from fixed sets: no peer can add a series.

use super::class::Class;
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use std::fmt::Write as _;

/// The families `mesh_network_*`.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    frames: Family<Stream, Counter>,
    bytes: Family<Stream, Counter>,
    full: Family<ClassLabel, Counter>,
    refused: Family<ReasonLabel, Counter>,
    admissions: Family<ResultLabel, Counter>,
    dials: Family<ResultLabel, Counter>,
    pub members: Gauge,
    pub connections: Gauge,
    pub blocked: Gauge,
    pub unannounced: Counter,
}

impl Metrics {
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("mesh_network_frames", "Frames by class and direction", metrics.frames.clone());
        registry.register(
            "mesh_network_frame_bytes",
            "Payload bytes of frames by class and direction",
            metrics.bytes.clone(),
        );
        registry.register(
            "mesh_network_queue_full",
            "Frames refused because a peer's queue was full",
            metrics.full.clone(),
        );
        registry.register("mesh_network_refused", "Traffic refused, by reason", metrics.refused.clone());
        registry.register("mesh_network_admissions", "Admissions by result", metrics.admissions.clone());
        registry.register("mesh_network_dials", "Dialled addresses by result", metrics.dials.clone());
        registry.register("mesh_network_members", "Admitted peers that are connected", metrics.members.clone());
        registry.register("mesh_network_connections", "Established connections", metrics.connections.clone());
        registry.register("mesh_network_blocked", "Peers that are blocked at present", metrics.blocked.clone());
        let unannounced = "Blobs that were not announced because there was no room for one more key";
        registry.register("mesh_network_unannounced_blobs", unannounced, metrics.unannounced.clone());
        metrics
    }

    /// The counters of one substream, looked up once: they are touched for each batch of frames.
    pub fn substream(&self, class: Class, direction: Direction) -> SubstreamMetrics {
        let label = Stream { class: class.into(), direction };
        SubstreamMetrics {
            frames: self.frames.get_or_create(&label).clone(),
            bytes: self.bytes.get_or_create(&label).clone(),
        }
    }

    pub fn queue_full(&self, class: Class) -> Counter {
        self.full.get_or_create(&ClassLabel { class: class.into() }).clone()
    }

    pub fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&ReasonLabel { reason }).inc();
    }

    pub fn admission(&self, result: &'static str) {
        self.admissions.get_or_create(&ResultLabel { result }).inc();
    }

    pub fn dial(&self, result: &'static str) {
        self.dials.get_or_create(&ResultLabel { result }).inc();
    }

    /// How often traffic was refused for `reason`, for tests and `status`.
    pub fn refused_count(&self, reason: &'static str) -> u64 {
        self.refused.get_or_create(&ReasonLabel { reason }).get()
    }
}

/// The counters of one substream.
#[derive(Clone, Debug)]
pub struct SubstreamMetrics {
    pub frames: Counter,
    pub bytes: Counter,
}

/// Which way frames go, seen from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    In,
    Out,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Stream {
    class: ClassName,
    direction: Direction,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClassLabel {
    class: ClassName,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct ClassName(Class);

impl From<Class> for ClassName {
    fn from(class: Class) -> Self {
        Self(class)
    }
}

impl EncodeLabelValue for ClassName {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        encoder.write_str(self.0.name())
    }
}

impl EncodeLabelValue for Direction {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        encoder.write_str(match self {
            Self::In => "in",
            Self::Out => "out",
        })
    }
}
