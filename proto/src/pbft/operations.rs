use crate::task::Octets;
use serde::{Deserialize, Deserializer, Serialize, de::Error};

/// Opaque operations, one behind the other in one byte string, each behind its length (4 bytes, little endian): agreeing
/// on thousands costs no allocation for each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Operations {
    packed: Octets,
}

/// Bytes that are not operations behind their lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("operation {0} is cut")]
pub struct BadOperations(pub usize);

const LENGTH: usize = 4;

impl Operations {
    /// `None` if one has 4 GiB or more.
    pub fn pack<'a>(operations: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let mut packed = Vec::new();
        for operation in operations {
            packed.extend_from_slice(&u32::try_from(operation.len()).ok()?.to_le_bytes());
            packed.extend_from_slice(operation);
        }
        Some(Self { packed: packed.into() })
    }

    /// In order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest: &[u8] = &self.packed;
        std::iter::from_fn(move || {
            let (operation, behind) = split(rest)?;
            rest = behind;
            Some(operation)
        })
    }

    /// With their lengths.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.packed
    }
}

impl TryFrom<Octets> for Operations {
    type Error = BadOperations;

    fn try_from(packed: Octets) -> Result<Self, BadOperations> {
        let (mut rest, mut index): (&[u8], usize) = (&packed, 0);
        while !rest.is_empty() {
            rest = split(rest).ok_or(BadOperations(index))?.1;
            index += 1;
        }
        Ok(Self { packed })
    }
}

impl<'de> Deserialize<'de> for Operations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(Octets::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH>()?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_come_out_as_they_went_in() {
        let packed = Operations::pack([&b"a"[..], b"", b"ccc"]).unwrap();
        assert_eq!(packed.iter().collect::<Vec<_>>(), [&b"a"[..], b"", b"ccc"]);
        assert_eq!(Operations::try_from(packed.packed.clone()), Ok(packed));
        assert_eq!(Operations::default().iter().count(), 0);
    }

    #[test]
    fn what_is_cut_is_refused_with_its_place() {
        let packed = Operations::pack([&b"a"[..], b"bb"]).unwrap();
        let cut = Octets::from(&packed.as_bytes()[..packed.as_bytes().len() - 1]);
        assert_eq!(Operations::try_from(cut), Err(BadOperations(1)));
    }
}
