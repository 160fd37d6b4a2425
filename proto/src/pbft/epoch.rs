use super::{ReplicaId, Sequence, Stable, Summary, View};
use crate::{bounded, domain::Epoch, id::NodeId, limits};
use serde::{Deserialize, Serialize};

/// What all replicas of an epoch must have alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochConfig {
    #[serde(rename = "e")]
    pub epoch: Epoch,
    /// The checkpoint that the epoch begins behind; 0 at genesis.
    #[serde(rename = "n")]
    pub start: Sequence,
    /// Ascending; a replica's number is its place here.
    #[serde(rename = "m", deserialize_with = "bounded::list::<_, _, { limits::FOUNDERS }>")]
    pub members: Vec<NodeId>,
    /// K: a checkpoint is made at each multiple. Section 4.3.
    #[serde(rename = "k")]
    pub interval: u32,
    /// L: numbers accepted above the stable checkpoint; a multiple of the interval, at least twice it.
    #[serde(rename = "l")]
    pub window: u32,
    /// Requests of a batch.
    #[serde(rename = "q")]
    pub batch_requests: u32,
    /// Bytes of all operations of a batch.
    #[serde(rename = "b")]
    pub batch_bytes: u32,
    /// Bytes of the operations of one request.
    #[serde(rename = "o")]
    pub request_bytes: u32,
    /// Gateways in the client table; the one that was silent for most sequence numbers makes room.
    #[serde(rename = "c")]
    pub clients: u32,
    /// Numbers that a gateway may have in flight, and that the table remembers.
    #[serde(rename = "w")]
    pub client_window: u32,
    /// Bytes of outcomes that the table keeps for each gateway.
    #[serde(rename = "r")]
    pub client_bytes: u32,
    /// The least members that a change may leave. Default 4, below which no fault is tolerated; the growth of a network
    /// from one node sets 1.
    #[serde(rename = "f")]
    pub fewest: u32,
}

/// The proof that an epoch follows from the one before: a checkpoint of that one, whose summary names the new one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochCertificate {
    #[serde(rename = "s")]
    pub summary: Summary,
    #[serde(rename = "c")]
    pub certificate: Stable,
}

/// A configuration that no epoch can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EpochConfigError {
    #[error("{0} members: must be 1 to {max}", max = limits::FOUNDERS)]
    MemberCount(usize),
    #[error("members do not ascend")]
    Order,
    #[error("a window of {window} with an interval of {interval}: must be 2 to 64 whole intervals, and at most {max}", max = limits::PBFT_WINDOW)]
    Window { interval: u32, window: u32 },
    #[error("the start at {0} is no checkpoint")]
    Start(Sequence),
    #[error("{field} is {value}, and must be 1 to {limit}")]
    Bound { field: &'static str, value: u32, limit: usize },
}

impl EpochConfig {
    /// The first epoch of these members, with the default bounds.
    pub fn genesis(members: impl IntoIterator<Item = NodeId>) -> Result<Self, EpochConfigError> {
        let mut members: Vec<NodeId> = members.into_iter().collect();
        members.sort_unstable();
        let config = Self {
            epoch: Epoch(0),
            start: Sequence::ZERO,
            members,
            interval: 128,
            window: 256,
            batch_requests: 256,
            batch_bytes: 1 << 20,
            request_bytes: 512 * 1024,
            clients: 256,
            client_window: 64,
            client_bytes: 1 << 20,
            fewest: 4,
        };
        config.check()?;
        Ok(config)
    }

    /// Whether it is lawful in itself. To be called on whatever came from elsewhere.
    pub fn check(&self) -> Result<(), EpochConfigError> {
        let count = self.members.len();
        if count == 0 || count > limits::FOUNDERS {
            return Err(EpochConfigError::MemberCount(count));
        }
        if !self.members.is_sorted_by(|a, b| a < b) {
            return Err(EpochConfigError::Order);
        }
        let (interval, window) = (self.interval, self.window);
        let intervals = window.checked_div(interval).unwrap_or(0);
        let whole = interval > 0 && window % interval == 0;
        if !whole || !(2..=64).contains(&intervals) || window as usize > limits::PBFT_WINDOW {
            return Err(EpochConfigError::Window { interval, window });
        }
        if !self.start.get().is_multiple_of(u64::from(interval)) {
            return Err(EpochConfigError::Start(self.start));
        }
        for (field, value, limit) in [
            ("batch_requests", self.batch_requests, limits::PBFT_BATCH_REQUESTS),
            ("batch_bytes", self.batch_bytes, limits::PBFT_BATCH_BYTES),
            ("request_bytes", self.request_bytes, self.batch_bytes as usize),
            ("clients", self.clients, limits::PBFT_CLIENTS),
            ("client_window", self.client_window, limits::PBFT_CLIENT_WINDOW),
            ("client_bytes", self.client_bytes, limits::PBFT_CLIENT_BYTES),
            ("fewest", self.fewest, limits::FOUNDERS),
        ] {
            if value == 0 || value as usize > limit {
                return Err(EpochConfigError::Bound { field, value, limit });
            }
        }
        Ok(())
    }

    #[must_use]
    pub fn replica_of(&self, node: &NodeId) -> Option<ReplicaId> {
        let place = self.members.binary_search(node).ok()?;
        u8::try_from(place).ok().map(ReplicaId::new)
    }

    #[must_use]
    pub fn member(&self, replica: ReplicaId) -> Option<NodeId> {
        self.members.get(replica.index()).copied()
    }

    /// Member number `view mod n`. Section 4.
    #[must_use]
    pub fn primary(&self, view: View) -> ReplicaId {
        // At most FOUNDERS members, and never none.
        ReplicaId::new((view.get() % self.members.len().max(1) as u64) as u8)
    }

    /// The first checkpoint at or behind `sequence`.
    #[must_use]
    pub fn boundary(&self, sequence: Sequence) -> Sequence {
        let interval = u64::from(self.interval.max(1));
        Sequence::new(sequence.get().div_ceil(interval).saturating_mul(interval))
    }

    #[must_use]
    pub fn is_checkpoint(&self, sequence: Sequence) -> bool {
        sequence.get().is_multiple_of(u64::from(self.interval.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(n: u8) -> NodeId {
        NodeId::from_bytes([n; 32])
    }

    #[test]
    fn members_are_numbered_in_their_order() {
        let config = EpochConfig::genesis([node(3), node(1), node(2), node(4)]).unwrap();
        assert_eq!(config.replica_of(&node(3)), Some(ReplicaId::new(2)));
        assert_eq!(config.replica_of(&node(9)), None);
        assert_eq!(config.member(ReplicaId::new(0)), Some(node(1)));
        assert_eq!(config.primary(View::new(6)), ReplicaId::new(2));
        assert_eq!(config.boundary(Sequence::new(129)), Sequence::new(256));
        assert_eq!(config.boundary(Sequence::new(256)), Sequence::new(256));
    }

    #[test]
    fn what_no_epoch_can_have_is_refused() {
        let good = EpochConfig::genesis([node(1)]).unwrap();
        assert_eq!(EpochConfig::genesis([]), Err(EpochConfigError::MemberCount(0)));
        assert_eq!(EpochConfig::genesis([node(1), node(1)]), Err(EpochConfigError::Order));
        for bad in [
            EpochConfig { interval: 0, ..good.clone() },
            EpochConfig { window: 128, ..good.clone() },
            EpochConfig { window: 300, ..good.clone() },
            EpochConfig { interval: u32::MAX, window: u32::MAX, ..good.clone() },
        ] {
            assert!(matches!(bad.check(), Err(EpochConfigError::Window { .. })), "{bad:?}");
        }
        assert!(EpochConfig { start: Sequence::new(5), ..good.clone() }.check().is_err());
        assert!(EpochConfig { request_bytes: good.batch_bytes + 1, ..good.clone() }.check().is_err());
        assert!(EpochConfig { clients: 0, ..good }.check().is_err());
    }
}
