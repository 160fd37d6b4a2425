//! What the brain counts, as metrics.

use crate::consensus;
use mesh_coordinator::StatusView;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
};
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

/// The brain's latest word of itself, at most half a second old.
#[derive(Clone, Debug, Default)]
pub struct BrainMeters(Arc<Mutex<Option<StatusView>>>);

impl BrainMeters {
    pub fn note(&self, status: &StatusView) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(status.clone());
    }

    pub fn last(&self) -> Option<StatusView> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Collector for BrainMeters {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(status) = self.last() else { return Ok(()) };
        for (name, help, value) in [
            ("mesh_members", "Members that may hold tasks, this one included", u64::from(status.members)),
            ("mesh_members_reachable", "Of these, the ones that can be talked to", u64::from(status.reachable)),
            ("mesh_tasks_held", "Task records on this disk", status.held),
            ("mesh_tasks_live", "Of these, the ones that have not ended", status.held_live),
            ("mesh_tasks_driven", "Tasks that this node drives", status.driving),
            ("mesh_tasks_followed", "Tasks that users of this node wait for", status.following),
            ("mesh_tasks_queued", "Attempts that wait for a slot here", status.queued),
            ("mesh_tasks_hoarded", "Of these, as many as others have slots free, by what they say", status.hoarded),
            ("mesh_tasks_running", "Attempts that run here", status.running),
            ("mesh_tasks_slots", "Attempts that may run here at once", u64::from(status.slots)),
            ("mesh_tasks_outbox", "Results kept here until their drivers have settled them", status.outbox),
        ] {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            let metric = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
            gauge.encode(metric)?;
        }
        let counter = ConstCounter::new(0u64);
        let help = "Edges of the lifecycle taken, by name";
        let mut family = encoder.encode_descriptor("mesh_tasks_events", help, None, counter.metric_type())?;
        for (event, count) in status.counters {
            let labels = [("event", event)];
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
        match &status.agreement {
            Some(view) => consensus::meters::encode(view, &mut encoder),
            None => Ok(()),
        }
    }
}
