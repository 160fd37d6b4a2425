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
    let bounds = Latencies::BOUNDS_MS.iter().map(|bound| *bound as f64 / 1000.0).chain([f64::MAX]);
    let buckets: Vec<(f64, u64)> = bounds.zip(latencies.counts).collect();
    metric.encode_histogram::<NoLabelSet>(latencies.sum.as_secs_f64(), latencies.count(), &buckets, None)
}
