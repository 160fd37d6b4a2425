//! Lists that stop decoding at their bound, so that a small message cannot make a large allocation.

use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor},
};
use std::{fmt, marker::PhantomData};

/// For `#[serde(deserialize_with = "bounded::list::<_, _, N>")]`: at most `MAX` elements, refused at the next.
pub fn list<'de, D, T, const MAX: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_seq(ListVisitor::<T, MAX>(PhantomData))
}

struct ListVisitor<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for ListVisitor<T, MAX> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MAX} elements")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(MAX).min(64));
        while let Some(element) = seq.next_element()? {
            if list.len() == MAX {
                return Err(A::Error::custom(format_args!("a list of more than {MAX} elements")));
            }
            list.push(element);
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use crate::codec::{decode, encode};
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Two(#[serde(deserialize_with = "super::list::<_, _, 2>")] Vec<u8>);

    #[test]
    fn a_list_ends_at_its_bound() {
        assert_eq!(decode::<Two>(&encode(&[1u8, 2]), 16), Ok(Two(vec![1, 2])));
        assert!(decode::<Two>(&encode(&[1u8, 2, 3]), 16).is_err());
    }

    #[test]
    fn a_claimed_length_allocates_nothing() {
        // An array that claims 2^60 elements and has none.
        let bytes = [0x9b, 0x10, 0, 0, 0, 0, 0, 0, 0];
        assert!(decode::<Two>(&bytes, 16).is_err());
    }
}
