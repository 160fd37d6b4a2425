//! What the brain says of agreement, as metrics.

use mesh_coordinator::agreement::{AgreementView, Latencies};
use prometheus_client::{
    encoding::{DescriptorEncoder, EncodeMetric as _, NoLabelSet},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};
use std::fmt;

pub fn encode(view: &AgreementView, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
    gauges(
        encoder,
        [
            ("mesh_consensus_epoch", "Generation of the committee, from 0 at the network's birth", view.epoch.epoch.0),
            ("mesh_consensus_members", "Members of the committee", view.epoch.members.len() as u64),
            (
                "mesh_consensus_faults_tolerated",
                "Members of the committee that may be down or lie while it goes on",
                u64::from(view.faults_tolerated),
            ),
            (
                "mesh_consensus_faults_tolerated_now",
                "Members of the committee in reach of this node beyond those that must take part",
                u64::from(view.faults_left()),
            ),
            ("mesh_consensus_index", "The last batch that this node knows to be executed", view.index.0),
            ("mesh_consensus_operations", "Operations of this node's users without an outcome", view.under_way),
        ],
    )?;
    latencies(&view.latencies, encoder)?;
    let Some(replica) = &view.replica else { return Ok(()) };
    gauges(
        encoder,
        [
            ("mesh_consensus_view", "The reign of one primary within the epoch, here", replica.view.get()),
            (
                "mesh_consensus_voting",
                "1 on a member that may vote, 0 on one that follows",
                u64::from(replica.is_voting),
            ),
            ("mesh_consensus_executed", "The last batch that this replica executed", replica.executed.get()),
            ("mesh_consensus_stable", "Its last stable checkpoint", replica.low.get()),
            ("mesh_consensus_requests", "Requests that wait at this replica to be ordered", replica.waiting),
            ("mesh_consensus_halted", "1 where agreement has stopped for good", u64::from(replica.halted.is_some())),
            ("mesh_ledger_state_bytes", "What the ledger's state weighs", replica.state_bytes),
            ("mesh_ledger_entries", "Entries of the ledger's state", replica.state_entries),
        ],
    )?;
    let counter = ConstCounter::new(0u64);
    let help = "What this replica did, by name";
    let mut family = encoder.encode_descriptor("mesh_consensus_events", help, None, counter.metric_type())?;
    for (event, count) in &view.counters {
        let labels = [("event", event.as_str())];
        ConstCounter::new(*count).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn gauges<const N: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    gauges: [(&str, &str, u64); N],
) -> Result<(), fmt::Error> {
    for (name, help, value) in gauges {
        let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
        let metric = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
        gauge.encode(metric)?;
    }
    Ok(())
}

fn latencies(latencies: &Latencies, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
    let help = "From a request of this node to f + 1 equal replies";
    let name = "mesh_consensus_decision_latency_seconds";
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
    let bounds = Latencies::BOUNDS_MS.iter().map(|bound| *bound as f64 / 1000.0).chain([f64::INFINITY]);
    let buckets: Vec<(f64, u64)> = bounds.zip(latencies.counts).collect();
    metric.encode_histogram::<NoLabelSet>(latencies.sum.as_secs_f64(), latencies.count(), &buckets, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_proto::{id::NodeId, ledger::Index, pbft::EpochConfig};
    use prometheus_client::{collector::Collector, registry::Registry};
    use std::{sync::Arc, time::Duration};

    #[derive(Debug)]
    struct One(AgreementView);

    impl Collector for One {
        fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
            super::encode(&self.0, &mut encoder)
        }
    }

    /// Each decision is in one bucket, and in all above it; the last has no bound, as the format asks.
    #[test]
    fn decisions_move_the_histogram() {
        let mut latencies = Latencies::default();
        [4, 40, 60_000].map(Duration::from_millis).into_iter().for_each(|took| latencies.note(took));
        let epoch = EpochConfig::genesis((1..=4).map(|n| NodeId::from_bytes([n; 32]))).unwrap();
        let view = AgreementView {
            engine: mesh_proto::genesis::Engine::Pbft,
            epoch: Arc::new(epoch),
            faults_tolerated: 1,
            reachable: 3,
            read_only: None,
            index: Index(7),
            under_way: 2,
            latencies,
            replica: None,
            caught: Vec::new(),
            members: Vec::new(),
            counters: Vec::new(),
        };
        let mut registry = Registry::default();
        registry.register_collector(Box::new(One(view)));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "mesh_consensus_members 4",
            "mesh_consensus_faults_tolerated 1",
            "mesh_consensus_faults_tolerated_now 0",
            "mesh_consensus_index 7",
            "mesh_consensus_operations 2",
            "mesh_consensus_decision_latency_seconds_count 3",
            "mesh_consensus_decision_latency_seconds_bucket{le=\"0.003\"} 0",
            "mesh_consensus_decision_latency_seconds_bucket{le=\"0.005\"} 1",
            "mesh_consensus_decision_latency_seconds_bucket{le=\"10.0\"} 2",
            "mesh_consensus_decision_latency_seconds_bucket{le=\"+Inf\"} 3",
        ] {
            assert!(text.lines().any(|of| of == line), "{line} is not in\n{text}");
        }
    }
}
