//! Kademlia under a name of this network's own: finds members and addresses near a key, and who has a blob.

use libp2p::{
    Multiaddr, PeerId, StreamProtocol,
    kad::{
        self, Behaviour, BucketInserts, InboundRequest, StoreInserts,
        store::{MemoryStore, MemoryStoreConfig, RecordStore},
    },
};
use mesh_proto::id::NetworkId;
use std::time::Duration;

/// Provider records that this node keeps for others.
const PROVIDED_FOR_OTHERS: usize = 16_384;
/// Bytes of a key: a blob's id.
const KEY: usize = 32;
/// A lookup that found nothing by then has failed.
const QUERY: Duration = Duration::from_secs(10);

/// The protocol's name for this network. A node of another one does not even share it.
pub fn protocol(network: &NetworkId) -> StreamProtocol {
    StreamProtocol::try_from_owned(format!("/mesh/kad/1/{network}")).expect("it begins with a slash")
}

pub fn build(peer: PeerId, network: &NetworkId) -> Behaviour<MemoryStore> {
    let mut config = kad::Config::new(protocol(network));
    config
        // By hand: else it dials everyone it hears of, until each node has a connection to each.
        .set_kbucket_inserts(BucketInserts::Manual)
        .set_record_filtering(StoreInserts::FilterBoth)
        .set_query_timeout(QUERY)
        .disjoint_query_paths(true);
    let store = MemoryStoreConfig {
        // No values are stored in other nodes' memory: see `judge`.
        max_records: 0,
        max_value_bytes: 0,
        max_provided_keys: PROVIDED_FOR_OTHERS,
        ..MemoryStoreConfig::default()
    };
    Behaviour::with_config(peer, MemoryStore::with_config(peer, store), config)
}

/// Whether what this node announces still finds room in the store. It shares that with what is kept for others, so that it
/// can be full for hours, while an announcement is tried several times a minute.
#[derive(Debug, Default)]
pub struct Announcing {
    is_full: bool,
}

impl Announcing {
    /// One found no room. Whether that is news: the first since one last did.
    pub fn refused(&mut self) -> bool {
        !std::mem::replace(&mut self.is_full, true)
    }

    /// One found room. Whether that is news.
    pub fn taken(&mut self) -> bool {
        std::mem::replace(&mut self.is_full, false)
    }
}

/// Keeps what may be kept of what peers want stored here. `Err` names what may not. `known` are a node's addresses.
pub fn judge(
    behaviour: &mut Behaviour<MemoryStore>,
    request: InboundRequest,
    known: impl Fn(&PeerId) -> Vec<Multiaddr>,
) -> Result<(), &'static str> {
    match request {
        // Blobs have providers, and their ids are hashes; what else somebody may want to have remembered is not.
        InboundRequest::AddProvider { record: Some(record) } if record.key.as_ref().len() != KEY => Err("kademlia_key"),
        InboundRequest::AddProvider { record: Some(mut record) } => {
            // libp2p hands on only records whose provider is the sender, which is a member, and puts into them only
            // addresses that were confirmed. A record without addresses is kept and never told, so it gets those that
            // we know.
            if record.addresses.is_empty() {
                record.addresses = known(&record.provider);
            }
            record.addresses.truncate(mesh_proto::limits::ADDRESSES);
            behaviour.store_mut().add_provider(record).map_err(|_| "kademlia_provider")
        }
        InboundRequest::PutRecord { .. } => Err("kademlia_record"),
        InboundRequest::AddProvider { record: None }
        | InboundRequest::FindNode { .. }
        | InboundRequest::GetProvider { .. }
        | InboundRequest::GetRecord { .. } => Ok(()),
    }
}

/// Whether others may be told of this address of a peer that we reach at `connected`. Loopback only says something to
/// who is on the same machine.
pub fn is_worth_telling(address: &Multiaddr, connected: &Multiaddr) -> bool {
    use super::reach::Reach;
    match Reach::of(address) {
        Reach::Nowhere => false,
        Reach::Machine => Reach::of(connected) == Reach::Machine,
        Reach::Local | Reach::World => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_announcements_find_no_room_is_said_once_until_they_do_again() {
        let mut announcing = Announcing::default();
        assert!(!announcing.taken());
        assert_eq!([1, 2, 3].map(|_| announcing.refused()), [true, false, false]);
        assert_eq!([1, 2].map(|_| announcing.taken()), [true, false]);
        assert!(announcing.refused());
    }
}
