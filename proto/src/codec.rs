//! The one encoding: CBOR by cbor4ii, definite lengths, shortest integers, fields in declaration order.

use serde::{Serialize, de::DeserializeOwned};

/// Why bytes were refused. The sender's fault, always.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("{size} bytes, above the limit of {limit}")]
    TooLarge { size: usize, limit: usize },
    #[error("malformed: {0}")]
    Malformed(String),
    #[error("{0} bytes after the end of the value")]
    Trailing(usize),
    #[error("not the canonical encoding of its value")]
    NotCanonical,
}

/// Encodes a value of ours. Our own types always encode: a failure would be a bug in a `Serialize` impl.
///
/// # Panics
/// If a `Serialize` implementation reports an error, which none in this workspace does.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    encode_into(Vec::with_capacity(128), value)
}

/// [`encode`] behind the bytes that are already in `buffer`.
pub fn encode_into<T: Serialize>(buffer: Vec<u8>, value: &T) -> Vec<u8> {
    cbor4ii::serde::to_vec(buffer, value).expect("own types encode")
}

/// Decodes one value that fills `bytes` exactly. `limit` is checked before anything is read.
pub fn decode<T: DeserializeOwned>(bytes: &[u8], limit: usize) -> Result<T, DecodeError> {
    if bytes.len() > limit {
        return Err(DecodeError::TooLarge { size: bytes.len(), limit });
    }
    let reader = cbor4ii::core::utils::SliceReader::new(bytes);
    let mut deserializer = cbor4ii::serde::Deserializer::new(reader);
    let value = T::deserialize(&mut deserializer).map_err(|error| DecodeError::Malformed(error.to_string()))?;
    let mut reader = deserializer.into_inner();
    let rest = cbor4ii::core::dec::Read::fill(&mut reader, 1).map_or(0, |rest| rest.as_ref().len());
    if rest > 0 {
        return Err(DecodeError::Trailing(rest));
    }
    Ok(value)
}

/// [`decode`] for what is signed or hashed: the bytes must be the one encoding of the value.
pub fn decode_canonical<T: DeserializeOwned + Serialize>(bytes: &[u8], limit: usize) -> Result<T, DecodeError> {
    let value: T = decode(bytes, limit)?;
    if encode_into(Vec::with_capacity(bytes.len()), &value) != bytes {
        return Err(DecodeError::NotCanonical);
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_round_trips_and_its_neighbours_are_refused() {
        let bytes = encode(&(1u8, "a"));
        assert_eq!(decode::<(u8, String)>(&bytes, 16), Ok((1, "a".to_string())));
        assert_eq!(decode::<(u8, String)>(&bytes, 2), Err(DecodeError::TooLarge { size: bytes.len(), limit: 2 }));
        let mut longer = bytes.clone();
        longer.push(0);
        assert_eq!(decode::<(u8, String)>(&longer, 16), Err(DecodeError::Trailing(1)));
        assert!(matches!(decode::<(u8, String)>(&bytes[..2], 16), Err(DecodeError::Malformed(_))));
        // 0x18 0x01 is a long form of 1.
        assert_eq!(decode_canonical::<u8>(&[0x18, 0x01], 16), Err(DecodeError::NotCanonical));
    }
}
