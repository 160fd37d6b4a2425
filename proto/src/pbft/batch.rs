use crate::{bounded, id::Digest, limits, time::Wall};
use serde::{Deserialize, Serialize};

/// What one sequence number orders: digests of requests, and the time that the primary proposed. The bodies travel apart.
/// Sections 4.6 and 5.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    #[serde(rename = "t")]
    pub time: Wall,
    #[serde(rename = "q", deserialize_with = "bounded::list::<_, _, { limits::PBFT_BATCH_REQUESTS }>")]
    pub requests: Vec<Digest>,
}

impl Batch {
    /// The null request of section 4.4: changes nothing but the count.
    #[must_use]
    pub fn null() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn is_null(&self) -> bool {
        self.requests.is_empty()
    }

    /// Covers the digests in their order, and the time.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut bytes = Vec::with_capacity(8 + self.requests.len() * 32);
        bytes.extend_from_slice(&self.time.0.to_le_bytes());
        self.requests.iter().for_each(|request| bytes.extend_from_slice(request.as_bytes()));
        Digest::of("meshd v1 pbft batch", &[&bytes])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checklist item 12.
    #[test]
    fn the_digest_covers_order_and_time() {
        let [a, b] = [1, 2].map(|n| Digest::from_bytes([n; 32]));
        let batch = |time, requests: &[Digest]| Batch { time: Wall(time), requests: requests.to_vec() }.digest();
        let all = [batch(1, &[a, b]), batch(1, &[b, a]), batch(2, &[a, b]), batch(1, &[a]), Batch::null().digest()];
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }
}
