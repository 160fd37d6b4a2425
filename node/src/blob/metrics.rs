//! What the blob store shows of itself.

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};

/// Counters and gauges of a [`BlobStore`](super::BlobStore), all without labels.
#[derive(Debug, Clone, Default)]
pub struct BlobMetrics {
    pub received: Counter,
    pub relayed: Counter,
    pub sent: Counter,
    pub ingested: Counter,
    pub fetched_blobs: Counter,
    pub failed_fetches: Counter,
    pub restored: Counter,
    pub announced: Gauge,
    pub verification_failures: Counter,
    pub damaged_blobs: Counter,
    pub refused_uploads: Counter,
    pub refused_streams: Counter,
    pub collections: Counter,
    pub collected: Counter,
    pub collected_blobs: Counter,
    pub store_bytes: Gauge,
    pub store_blobs: Gauge,
    pub quota_bytes: Gauge,
}

impl BlobMetrics {
    /// Under full names: `registry` must not add a prefix.
    pub fn register(&self, registry: &mut Registry) {
        let bytes: [(&str, &str, &Counter); 5] = [
            ("mesh_blob_received_bytes", "Verified content received from peers", &self.received),
            ("mesh_blob_relayed_bytes", "Of that, content that was passed on to users and not kept", &self.relayed),
            ("mesh_blob_sent_bytes", "Content and hashes sent to peers", &self.sent),
            ("mesh_blob_ingested_bytes", "Content uploaded or left by executions on this node", &self.ingested),
            ("mesh_blob_collected_bytes", "Content removed because nothing needed it", &self.collected),
        ];
        for (name, help, counter) in bytes {
            registry.register(name, help, counter.clone());
        }
        let counts: [(&str, &str, &Counter); 9] = [
            ("mesh_blob_fetched_blobs", "Blobs fetched from peers", &self.fetched_blobs),
            ("mesh_blob_failed_fetches", "Fetches for which no provider had the whole blob", &self.failed_fetches),
            ("mesh_blob_restored_blobs", "Copies made here in the place of ones that were lost", &self.restored),
            (
                "mesh_blob_verification_failures",
                "Chunks from peers that did not match their hash",
                &self.verification_failures,
            ),
            ("mesh_blob_damaged_blobs", "Blobs that were found damaged on this disk", &self.damaged_blobs),
            ("mesh_blob_refused_uploads", "Times that quota or disk had no room", &self.refused_uploads),
            (
                "mesh_blob_refused_streams",
                "Peers' requests refused because too many were being served",
                &self.refused_streams,
            ),
            ("mesh_blob_collections", "Collections that ran to their end", &self.collections),
            ("mesh_blob_collected_blobs", "Blobs removed because nothing needed them", &self.collected_blobs),
        ];
        for (name, help, counter) in counts {
            registry.register(name, help, counter.clone());
        }
        let stored = "Disk space of the blobs kept here, with their trees";
        registry.register("mesh_blob_store_bytes", stored, self.store_bytes.clone());
        let quota = "Disk space that blobs may take";
        registry.register("mesh_blob_quota_bytes", quota, self.quota_bytes.clone());
        let announced = "Blobs here that others can find by Kademlia";
        registry.register("mesh_blob_announced_blobs", announced, self.announced.clone());
        registry.register("mesh_blob_store_blobs", "Blobs kept here", self.store_blobs.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_their_unit_once() {
        let metrics = BlobMetrics::default();
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        metrics.received.inc_by(5);
        metrics.store_bytes.set(7);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert!(text.contains("\nmesh_blob_received_bytes_total 5\n"), "{text}");
        assert!(text.contains("\nmesh_blob_store_bytes 7\n"), "{text}");
        assert!(text.contains("\nmesh_blob_verification_failures_total 0\n"), "{text}");
    }
}
