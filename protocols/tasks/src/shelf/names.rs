//! Numbers for what is named in every record: a mesh has few nodes and very many records.

use mesh_proto::{id::NodeId, task::Holder};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Visitor},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

/// Names that get a number, at most: a peer that invents members costs no more than this. Others are written out.
const MAX: usize = 65_536;

/// The names in use here. Numbers are this process's own, and never leave it.
#[derive(Debug, Default)]
pub struct Names {
    holders: Vec<Holder>,
    numbers: BTreeMap<Holder, u32>,
    lists: BTreeSet<Arc<[Holder]>>,
    /// Lists are looked through for ones out of use when there are so many.
    prune_at: usize,
}

impl Names {
    /// The one copy of this list.
    pub fn list(&mut self, list: &[Holder]) -> Arc<[Holder]> {
        if let Some(known) = self.lists.get(list) {
            return Arc::clone(known);
        }
        if self.lists.len() >= self.prune_at.max(1024) {
            self.lists.retain(|list| Arc::strong_count(list) > 1);
            self.prune_at = self.lists.len() * 2;
        }
        let list: Arc<[Holder]> = Arc::from(list);
        self.lists.insert(Arc::clone(&list));
        list
    }

    pub fn holder(&mut self, holder: &Holder) -> Named {
        if let Some(number) = self.numbers.get(holder) {
            return Named::Known(*number);
        }
        match u32::try_from(self.holders.len()) {
            Ok(number) if self.holders.len() < MAX => {
                self.holders.push(*holder);
                self.numbers.insert(*holder, number);
                Named::Known(number)
            }
            Ok(_) | Err(_) => Named::Other(*holder),
        }
    }

    /// A node without a disk is named as one with the disk 0.
    pub fn node(&mut self, node: NodeId) -> Named {
        self.holder(&Holder { node, store: mesh_proto::id::StoreId(0) })
    }

    /// `None` for a number that was never given out.
    pub fn who(&self, named: &Named) -> Option<Holder> {
        match named {
            Named::Known(number) => self.holders.get(usize::try_from(*number).ok()?).copied(),
            Named::Other(holder) => Some(*holder),
        }
    }
}

/// A name by its number, or in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    Known(u32),
    Other(Holder),
}

impl Serialize for Named {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Known(number) => serializer.serialize_u32(*number),
            Self::Other(holder) => {
                let mut bytes = [0; 40];
                bytes[..32].copy_from_slice(holder.node.as_bytes());
                bytes[32..].copy_from_slice(&holder.store.0.to_be_bytes());
                serializer.serialize_bytes(&bytes)
            }
        }
    }
}

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberOrBytes)
    }
}

struct NumberOrBytes;

impl Visitor<'_> for NumberOrBytes {
    type Value = Named;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or 40 bytes")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Named, E> {
        u32::try_from(number).map(Named::Known).map_err(E::custom)
    }

    fn visit_u32<E: Error>(self, number: u32) -> Result<Named, E> {
        Ok(Named::Known(number))
    }

    fn visit_u16<E: Error>(self, number: u16) -> Result<Named, E> {
        Ok(Named::Known(number.into()))
    }

    fn visit_u8<E: Error>(self, number: u8) -> Result<Named, E> {
        Ok(Named::Known(number.into()))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Named, E> {
        let whole = || {
            let (node, store) = bytes.split_at_checked(32)?;
            let node = NodeId::from_bytes(node.try_into().ok()?);
            let store = mesh_proto::id::StoreId(u64::from_be_bytes(store.try_into().ok()?));
            Some(Named::Other(Holder { node, store }))
        };
        whole().ok_or_else(|| E::invalid_length(bytes.len(), &self))
    }
}
