use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Visitor},
};
use std::fmt;

/// A number of fixed point, so that what is divided among many adds up to exactly what it was. What its unit is says who
/// uses it. Encoded as the two's complement of as few bytes as hold it, the highest first; zero has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fixed(pub i128);

/// The lowest bytes that are enough.
fn shortest(bytes: &[u8; 16]) -> &[u8] {
    let mut from = 0;
    while from < 16 {
        let rest = bytes.get(from + 1).map_or(0, |next| next & 0x80);
        // The next byte has the same sign, or there is none and all is zero.
        let is_spare = match bytes[from] {
            0x00 => rest == 0,
            0xff => rest != 0,
            _ => false,
        };
        if !is_spare {
            break;
        }
        from += 1;
    }
    &bytes[from..]
}

impl Serialize for Fixed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(shortest(&self.0.to_be_bytes()))
    }
}

impl<'de> Deserialize<'de> for Fixed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(FixedVisitor)
    }
}

struct FixedVisitor;

impl Visitor<'_> for FixedVisitor {
    type Value = Fixed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of at most 16 bytes, in as few as hold it")
    }

    fn visit_bytes<E: Error>(self, given: &[u8]) -> Result<Fixed, E> {
        if given.len() > 16 {
            return Err(E::custom("a number of more than 16 bytes"));
        }
        let sign = if given.first().is_some_and(|first| first & 0x80 != 0) { 0xff } else { 0x00 };
        let mut bytes = [sign; 16];
        bytes[16 - given.len()..].copy_from_slice(given);
        match shortest(&bytes) == given {
            true => Ok(Fixed(i128::from_be_bytes(bytes))),
            false => Err(E::custom("a number of more bytes than it takes")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{decode, encode};
    use proptest::prelude::*;

    #[test]
    fn small_numbers_are_short_and_each_has_one_encoding() {
        for (number, bytes) in [
            (0, &[][..]),
            (1, &[1]),
            (127, &[127]),
            (128, &[0, 128]),
            (-1, &[0xff]),
            (-128, &[0x80]),
            (-129, &[0xff, 0x7f]),
            (256, &[1, 0]),
        ] {
            assert_eq!(encode(&Fixed(number)), [&[0x40 + bytes.len() as u8], bytes].concat(), "{number}");
            assert_eq!(decode::<Fixed>(&encode(&Fixed(number)), 17), Ok(Fixed(number)));
        }
        for long in [&[0x41, 0][..], &[0x42, 0, 127], &[0x42, 0xff, 0x80], &[0x51; 18]] {
            assert!(decode::<Fixed>(long, 32).is_err(), "{long:?}");
        }
    }

    proptest! {
        #[test]
        fn every_number_comes_back(number: i128, shift in 0u32..127) {
            for number in [number, number >> shift] {
                prop_assert_eq!(decode::<Fixed>(&encode(&Fixed(number)), 17), Ok(Fixed(number)));
            }
        }
    }
}
