//! The one command of which there are many, read where it lies.

use super::{Body, Command, Index, MemoryKey, Namespace, Principal};
use crate::{codec, limits};
use serde::{Deserialize, Serialize};

/// A write to the shared memory, as a look at it: of bytes that were ordered, or of a [`Command`]. Thousands of them are
/// executed a second by each member, and a copy of each of their names costs as much as the write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Put<'a> {
    pub principal: &'a str,
    /// Of the command's id.
    pub id: &'a [u8],
    pub born: Index,
    pub namespace: &'a str,
    pub key: &'a str,
    pub value: &'a [u8],
    pub ttl_ms: Option<u64>,
}

impl<'a> Put<'a> {
    /// Reads an encoded `Operation`. None if it is another one, or not the canonical encoding of any: what
    /// `Operation::decode` makes of it counts then. Of what is read here that makes the same.
    #[must_use]
    pub fn read(operation: &'a [u8]) -> Option<Self> {
        if operation.len() > limits::COMMAND_BYTES {
            return None;
        }
        let wire: Wire<'a> = codec::decode_borrowed(operation).ok()?;
        let Wire::Command(InCommand { id, body: InBody::MemoryPut { namespace, key, value, ttl_ms } }) = wire;
        let is_lawful = Principal::is_name(id.principal)
            && id.key.len() <= limits::COMMAND_KEY_BYTES
            && Namespace::is_name(namespace)
            && MemoryKey::is_name(key)
            && value.len() <= limits::MEMORY_VALUE_BYTES
            && codec::is_encoding(&wire, operation);
        let InId { principal, key: id, born } = id;
        is_lawful.then_some(Self { principal, id, born, namespace, key, value, ttl_ms })
    }

    /// The look at a command, if it is one.
    #[must_use]
    pub fn of(command: &'a Command) -> Option<Self> {
        let Body::MemoryPut { namespace, key, value, ttl_ms } = &command.body else { return None };
        Some(Self {
            principal: command.id.principal.as_str(),
            id: &command.id.key,
            born: command.id.born,
            namespace: namespace.as_str(),
            key: key.as_str(),
            value,
            ttl_ms: *ttl_ms,
        })
    }
}

/// As `Operation`, `Command`, `CommandId` and `Body` are on the wire.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
enum Wire<'a> {
    #[serde(rename = "c", borrow)]
    Command(InCommand<'a>),
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct InCommand<'a> {
    #[serde(rename = "c", borrow)]
    id: InId<'a>,
    #[serde(rename = "b", borrow)]
    body: InBody<'a>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct InId<'a> {
    #[serde(rename = "u")]
    principal: &'a str,
    #[serde(rename = "k", with = "serde_bytes", borrow)]
    key: &'a [u8],
    #[serde(rename = "o")]
    born: Index,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
enum InBody<'a> {
    #[serde(rename = "w")]
    MemoryPut {
        #[serde(rename = "n")]
        namespace: &'a str,
        #[serde(rename = "k")]
        key: &'a str,
        #[serde(rename = "v", with = "serde_bytes", borrow)]
        value: &'a [u8],
        #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
        ttl_ms: Option<u64>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{agreement::Operation, ledger::CommandId, task::Octets};
    use proptest::{collection::vec, prelude::*};

    fn put(key: &[u8], name: &str, value: &[u8], ttl_ms: Option<u64>) -> Operation {
        let id = CommandId { principal: name.parse().unwrap(), key: key.into(), born: Index(1 << 33) };
        let (namespace, key) = (name.parse().unwrap(), name.parse().unwrap());
        let body = Body::MemoryPut { namespace, key, value: Octets::from(value), ttl_ms };
        Operation::Command(Box::new(Command { id, body }))
    }

    /// What is read in place is what is read with copies; what is not read in place is left to that.
    fn agrees(bytes: &[u8]) -> Result<bool, TestCaseError> {
        let copied = Operation::decode(bytes);
        let Some(read) = Put::read(bytes) else { return Ok(false) };
        match &copied {
            Ok(Operation::Command(command)) => prop_assert_eq!(Some(read), Put::of(command)),
            other => prop_assert!(false, "{read:?} was read where {other:?} is"),
        }
        Ok(true)
    }

    #[test]
    fn other_operations_and_other_encodings_are_not_read_here() {
        let encoded = put(b"k", "name", b"value", None).encode();
        assert!(Put::read(&encoded).is_some());
        let tick = CommandId { principal: "a".parse().unwrap(), key: (&b"k"[..]).into(), born: Index(0) };
        let tick = Operation::Command(Box::new(Command { id: tick, body: Body::Tick }));
        assert_eq!(Put::read(&tick.encode()), None);
        // `null` for a time to live that is left out is a second encoding, which the other reading refuses.
        let at = encoded.windows(2).position(|two| two == [0x61, b'w']).unwrap();
        let mut null = encoded;
        null[at + 2] += 1;
        null.extend_from_slice(&[0x61, b't', 0xf6]);
        assert!(Operation::decode(&null).is_err());
        assert_eq!(Put::read(&null), None);
    }

    proptest! {
        #[test]
        fn a_put_is_read_in_place(
            key in vec(any::<u8>(), 0..130),
            name in "[a-zäö ]{1,20}",
            value in vec(any::<u8>(), 0..600),
            ttl_ms in any::<Option<u64>>(),
        ) {
            let encoded = put(&key, &name, &value, ttl_ms).encode();
            prop_assert_eq!(agrees(&encoded)?, key.len() <= limits::COMMAND_KEY_BYTES);
        }

        #[test]
        fn whatever_is_read_in_place_is_what_is_read_otherwise(
            name in "[a-z]{1,30}",
            value in vec(any::<u8>(), 0..40),
            ttl_ms in any::<Option<u64>>(),
            damages in vec((any::<prop::sample::Index>(), any::<u8>(), 0..3), 1..4),
        ) {
            let mut bytes = put(name.as_bytes(), &name, &value, ttl_ms).encode();
            for (at, byte, how) in damages {
                let at = at.index(bytes.len());
                match how {
                    0 => bytes[at] = byte,
                    1 => bytes.insert(at, byte),
                    _ => drop(bytes.remove(at)),
                }
                agrees(&bytes)?;
            }
        }
    }
}
