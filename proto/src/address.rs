//! Multiaddrs as text. Kept as text here, because only the swarm can judge one; bounded and printable, because they are
//! gossiped, logged and shown.

use crate::{bounded, limits};
use serde::{Deserialize, Deserializer, Serialize};
use std::ops::Deref;

/// At most 16 multiaddrs, best first.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Addresses(Vec<String>);

/// Text that is not a multiaddr, or too many of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("address {0:?}: must begin with / and be at most {max} printable characters", max = limits::ADDRESS_BYTES)]
    Text(String),
    #[error("{count} addresses, above the limit of {limit}")]
    Count { count: usize, limit: usize },
}

impl Addresses {
    pub fn new(addresses: Vec<String>) -> Result<Self, AddressError> {
        if addresses.len() > limits::ADDRESSES {
            return Err(AddressError::Count { count: addresses.len(), limit: limits::ADDRESSES });
        }
        addresses.iter().try_for_each(|address| check(address))?;
        Ok(Self(addresses))
    }

    /// The first lawful addresses, up to the bound, each once. For what the swarm reports of itself, which no bound
    /// holds.
    pub fn first_of(addresses: impl IntoIterator<Item = String>) -> Self {
        let mut kept = Vec::new();
        for address in addresses {
            if kept.len() == limits::ADDRESSES {
                break;
            }
            if check(&address).is_ok() && !kept.contains(&address) {
                kept.push(address);
            }
        }
        Self(kept)
    }
}

/// Whether `address` may be in a list of ours.
pub fn check(address: &str) -> Result<(), AddressError> {
    let printable = address.bytes().all(|byte| byte.is_ascii_graphic());
    if !address.starts_with('/') || address.len() > limits::ADDRESS_BYTES || !printable {
        return Err(AddressError::Text(address.chars().take(80).collect()));
    }
    Ok(())
}

impl Deref for Addresses {
    type Target = [String];

    fn deref(&self) -> &[String] {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Addresses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let addresses = bounded::list::<_, _, { limits::ADDRESSES }>(deserializer)?;
        Self::new(addresses).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_bounded_and_printable() {
        let good = "/ip4/127.0.0.1/tcp/7440".to_string();
        assert!(Addresses::new(vec![good.clone(); 16]).is_ok());
        assert_eq!(Addresses::new(vec![good.clone(); 17]), Err(AddressError::Count { count: 17, limit: 16 }));
        for bad in ["", "127.0.0.1:7440", "/dns4/a b", "/\u{1b}[2J", &format!("/{}", "a".repeat(512))] {
            assert!(matches!(Addresses::new(vec![bad.to_string()]), Err(AddressError::Text(_))), "{bad:?}");
        }
        let kept = Addresses::first_of(["no".to_string(), good.clone(), good.clone()]);
        assert_eq!(kept.to_vec(), [good]);
    }
}
