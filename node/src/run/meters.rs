//! What the brain counts, as metrics.

use crate::consensus;
use mesh_coordinator::{Recoveries, StatusView};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _, NoLabelSet},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
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
        let cut = &status.partition;
        for (name, help, value) in [
            ("mesh_members", "Members that may hold tasks, this one included", u64::from(status.members)),
            ("mesh_members_reachable", "Of these, the ones that can be talked to", u64::from(status.reachable)),
            (
                "mesh_partitioned",
                "1 while fewer than half of the other members are in reach",
                u64::from(cut.partitioned),
            ),
            ("mesh_read_only", "1 while new work is refused for that", u64::from(cut.read_only.is_some())),
            ("mesh_draining", "1 while this node gives what it has to the others", u64::from(status.drain.is_some())),
            (
                "mesh_drain_records",
                "Where this node drains, records that name it as a holder, as of the last look through all of them",
                status.drain.and_then(|drain| drain.to_move).unwrap_or(0),
            ),
            (
                "mesh_membership_self_doubt",
                "How much longer this node waits before it suspects others, in whole times; 0 where its own timers are in time",
                u64::from(status.liveness.doubt),
            ),
            ("mesh_tasks_held", "Task records on this disk", status.held),
            ("mesh_tasks_live", "Of these, the ones that have not ended", status.held_live),
            ("mesh_tasks_driven", "Tasks that this node drives", status.driving),
            (
                "mesh_tasks_orphaned",
                "Tasks without a driver that this node will take over in their turn",
                status.orphaned,
            ),
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
        let help = "Times that this node was cut off from most of the mesh";
        let family = encoder.encode_descriptor("mesh_partitions", help, None, counter.metric_type())?;
        ConstCounter::new(cut.partitions).encode(family)?;
        recoveries(&cut.recoveries, &mut encoder)?;
        for (name, help, count) in [
            ("mesh_membership_suspicions", "Members that this node has suspected", status.liveness.suspicions),
            ("mesh_membership_confirmations", "Suspicions that others confirmed", status.liveness.confirmations),
            ("mesh_membership_refutations", "Suspicions that the suspect refuted", status.liveness.refutations),
        ] {
            let family = encoder.encode_descriptor(name, help, None, counter.metric_type())?;
            ConstCounter::new(count).encode(family)?;
        }
        aggregations(&status.aggregations, &mut encoder)?;
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

fn aggregations(counted: &mesh_gossip::Counters, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
    for (name, help, value) in [
        ("mesh_aggregations_open", "Aggregations that this node takes part in now", counted.open),
        ("mesh_aggregations_numbers", "Numbers that it holds for them", counted.numbers),
    ] {
        let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
        gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
    }
    let counter = ConstCounter::new(0u64);
    for (name, help, count) in [
        ("mesh_aggregations_asked", "Aggregations that began here", counted.asked),
        ("mesh_aggregations_joined", "Aggregations that began elsewhere", counted.joined),
        ("mesh_aggregations_settled", "Aggregations that began here and came as near as was asked", counted.settled),
        ("mesh_aggregations_unsettled", "Aggregations that began here and ended with their time", counted.unsettled),
        ("mesh_aggregations_refused", "Aggregations, or links of them, for which there was no room", counted.refused),
        ("mesh_aggregation_malformed", "Shares of other nodes that were none", counted.malformed),
        ("mesh_aggregation_shares", "Shares sent to other nodes", counted.shares),
        ("mesh_aggregation_shares_again", "Of these, the ones that were not acknowledged before", counted.again),
    ] {
        let family = encoder.encode_descriptor(name, help, None, counter.metric_type())?;
        ConstCounter::new(count).encode(family)?;
    }
    Ok(())
}

fn recoveries(recoveries: &Recoveries, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
    let help = "From the first member that is back after a cut to a mesh that is one again";
    let name = "mesh_partition_recovery_seconds";
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
    let bounds = Recoveries::BOUNDS_MS.iter().map(|bound| *bound as f64 / 1000.0).chain([f64::INFINITY]);
    let buckets: Vec<(f64, u64)> = bounds.zip(recoveries.counts).collect();
    metric.encode_histogram::<NoLabelSet>(recoveries.sum.as_secs_f64(), recoveries.count(), &buckets, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::tests::agreement::Council;
    use mesh_coordinator::{PartitionView, Side};
    use mesh_membership::Counters;
    use prometheus_client::registry::Registry;
    use std::time::Duration;

    fn text(partition: PartitionView) -> String {
        let meters = BrainMeters::default();
        let aggregations = mesh_gossip::Counters {
            open: 1,
            numbers: 40,
            asked: 6,
            joined: 7,
            settled: 4,
            unsettled: 1,
            refused: 8,
            malformed: 9,
            shares: 300,
            again: 20,
        };
        let liveness = Counters { suspicions: 3, confirmations: 1, refutations: 2, doubt: 4 };
        meters.note(&StatusView { partition, liveness, aggregations, ..Council::of(4).status() });
        let mut registry = Registry::default();
        registry.register_collector(Box::new(meters));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }

    #[test]
    fn a_cut_and_its_end_move_the_metrics_of_it() {
        let side = Side { sees: 1, of: 4, is_committee: true };
        let mut recoveries = Recoveries::default();
        (recoveries.counts[4], recoveries.sum) = (1, Duration::from_millis(1_500));
        let on = PartitionView { partitioned: true, read_only: Some(side), partitions: 2, recoveries };
        for (partition, lines) in [
            (PartitionView::default(), ["mesh_partitioned 0", "mesh_read_only 0", "mesh_partitions_total 0"]),
            (on.clone(), ["mesh_partitioned 1", "mesh_read_only 1", "mesh_partitions_total 2"]),
        ] {
            let text = text(partition);
            assert!(lines.iter().all(|line| text.lines().any(|of| of == *line)), "{lines:?} in\n{text}");
        }
        let text = text(on);
        for line in [
            "mesh_membership_suspicions_total 3",
            "mesh_membership_confirmations_total 1",
            "mesh_membership_refutations_total 2",
            "mesh_membership_self_doubt 4",
            "mesh_aggregations_open 1",
            "mesh_aggregations_numbers 40",
            "mesh_aggregations_asked_total 6",
            "mesh_aggregations_joined_total 7",
            "mesh_aggregations_settled_total 4",
            "mesh_aggregations_unsettled_total 1",
            "mesh_aggregations_refused_total 8",
            "mesh_aggregation_malformed_total 9",
            "mesh_aggregation_shares_total 300",
            "mesh_aggregation_shares_again_total 20",
            "mesh_partition_recovery_seconds_sum 1.5",
            "mesh_partition_recovery_seconds_bucket{le=\"1.0\"} 0",
            "mesh_partition_recovery_seconds_bucket{le=\"2.0\"} 1",
        ] {
            assert!(text.lines().any(|of| of == line), "{line} is not in\n{text}");
        }
    }
}
