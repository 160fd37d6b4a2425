//! The one encoding: CBOR by cbor4ii, definite lengths, shortest integers, fields in declaration order.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

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
    decode_borrowed(bytes)
}

/// [`decode`] of what was bounded before, into a value that may keep to the bytes.
pub(crate) fn decode_borrowed<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, DecodeError> {
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
    match is_encoding(&value, bytes) {
        true => Ok(value),
        false => Err(DecodeError::NotCanonical),
    }
}

/// Whether `value` is encoded by exactly these bytes. Compared as the encoding is made, which is written nowhere: most
/// values are small beside the bytes that they carry.
pub(crate) fn is_encoding<T: Serialize>(value: &T, bytes: &[u8]) -> bool {
    let mut serializer = cbor4ii::serde::Serializer::new(Compared { rest: bytes });
    value.serialize(&mut serializer).is_ok() && serializer.into_inner().rest.is_empty()
}

/// Takes what it expects, and nothing else.
struct Compared<'a> {
    rest: &'a [u8],
}

#[derive(Debug, thiserror::Error)]
#[error("another encoding")]
struct Differs;

impl cbor4ii::core::enc::Write for Compared<'_> {
    type Error = Differs;

    #[inline]
    fn push(&mut self, input: &[u8]) -> Result<(), Differs> {
        self.rest = self.rest.strip_prefix(input).ok_or(Differs)?;
        Ok(())
    }
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

    #[test]
    fn only_the_whole_of_its_encoding_is_a_value_s() {
        let value = (1u8, "ab", vec![7u64, 1 << 40]);
        let bytes = encode(&value);
        assert!(is_encoding(&value, &bytes));
        for cut in 0..bytes.len() {
            assert!(!is_encoding(&value, &bytes[..cut]), "cut at {cut}");
            let mut other = bytes.clone();
            other[cut] ^= 1;
            assert!(!is_encoding(&value, &other), "another byte at {cut}");
        }
        assert!(!is_encoding(&value, &[&bytes[..], &[0]].concat()));
    }
}
