//! Lists, texts and bytes that stop decoding at their bound, so that a small message cannot make a large allocation.

use crate::task::Octets;
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

/// At most `MAX` lists of at most `EACH` elements.
pub fn lists<'de, D, T, const MAX: usize, const EACH: usize>(deserializer: D) -> Result<Vec<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let lists = list::<D, Bounded<T, EACH>, MAX>(deserializer)?;
    Ok(lists.into_iter().map(|Bounded(list)| list).collect())
}

struct Bounded<T, const MAX: usize>(Vec<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for Bounded<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        list::<D, T, MAX>(deserializer).map(Self)
    }
}

/// [`list`] for an entry that may be left out, with `default`; an explicit null is refused.
pub fn optional_list<'de, D, T, const MAX: usize>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    list::<D, T, MAX>(deserializer).map(Some)
}

/// For an entry that may be left out, with `default`: what is there is a value. Serde alone takes a null as well, a
/// second encoding of the same.
pub fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// For a remark that is left out where it does not hold, with `default`: what is there is `true`.
pub fn holds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    match bool::deserialize(deserializer)? {
        true => Ok(true),
        false => Err(serde::de::Error::custom("what does not hold is not said")),
    }
}

/// Text of at most `MAX` bytes.
pub fn text<'de, D: Deserializer<'de>, const MAX: usize>(deserializer: D) -> Result<String, D::Error> {
    deserializer.deserialize_str(TextVisitor::<MAX>)
}

/// At most `MAX` bytes.
pub fn octets<'de, D: Deserializer<'de>, const MAX: usize>(deserializer: D) -> Result<Octets, D::Error> {
    deserializer.deserialize_bytes(OctetsVisitor::<MAX>)
}

/// [`octets`] for an entry that may be left out, with `default`; an explicit null is refused.
pub fn optional_octets<'de, D: Deserializer<'de>, const MAX: usize>(
    deserializer: D,
) -> Result<Option<Octets>, D::Error> {
    octets::<D, MAX>(deserializer).map(Some)
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

struct TextVisitor<const MAX: usize>;

impl<const MAX: usize> Visitor<'_> for TextVisitor<MAX> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a text of at most {MAX} bytes")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        match text.len() <= MAX {
            true => Ok(text.to_owned()),
            false => Err(E::custom(format_args!("a text of more than {MAX} bytes"))),
        }
    }
}

struct OctetsVisitor<const MAX: usize>;

impl<const MAX: usize> Visitor<'_> for OctetsVisitor<MAX> {
    type Value = Octets;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {MAX} bytes")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Octets, E> {
        match bytes.len() <= MAX {
            true => Ok(Octets::from(bytes)),
            false => Err(E::custom(format_args!("more than {MAX} bytes"))),
        }
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

    #[derive(Debug, PartialEq, Deserialize)]
    struct Text(#[serde(deserialize_with = "super::text::<_, 2>")] String);

    #[derive(Debug, PartialEq, Deserialize)]
    struct Bytes(#[serde(deserialize_with = "super::octets::<_, 2>")] crate::task::Octets);

    #[test]
    fn texts_and_bytes_end_at_their_bound() {
        assert_eq!(decode::<Text>(&encode(&"ab"), 16), Ok(Text("ab".into())));
        assert!(decode::<Text>(&encode(&"abc"), 16).is_err());
        assert_eq!(decode::<Bytes>(&[0x42, 1, 2], 16), Ok(Bytes(vec![1, 2].into())));
        assert!(decode::<Bytes>(&[0x43, 1, 2, 3], 16).is_err());
    }

    #[test]
    fn a_claimed_length_allocates_nothing() {
        // An array that claims 2^60 elements and has none.
        let bytes = [0x9b, 0x10, 0, 0, 0, 0, 0, 0, 0];
        assert!(decode::<Two>(&bytes, 16).is_err());
    }
}
