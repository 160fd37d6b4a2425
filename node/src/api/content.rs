//! Bytes in JSON: as text, as base64, as a blob by reference, or as a path.

use super::Problem;
use data_encoding::BASE64;
use mesh_proto::{
    id::{BlobId, NodeId},
    task::{BlobRef, INLINE_LIMIT, Payload},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A blob by its hash, with the nodes that had it when this was said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlobLink {
    /// BLAKE3, 64 hexadecimal digits.
    pub id: String,
    /// Bytes.
    pub size: u64,
    /// Peer ids.
    pub nodes: Vec<String>,
}

impl From<&BlobRef> for BlobLink {
    fn from(blob: &BlobRef) -> Self {
        Self { id: blob.id.to_string(), size: blob.size, nodes: blob.nodes.iter().map(ToString::to_string).collect() }
    }
}

impl TryFrom<&BlobLink> for BlobRef {
    type Error = Problem;

    fn try_from(link: &BlobLink) -> Result<Self, Problem> {
        let id: BlobId = link.id.parse().map_err(Problem::malformed)?;
        let nodes = link.nodes.iter().map(|node| node.parse::<NodeId>().map_err(Problem::malformed));
        Ok(Self { id, size: link.size, nodes: nodes.collect::<Result<_, _>>()? })
    }
}

/// A name as a part of a path in a URL.
pub fn escape(name: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    let escaped = name.bytes().map(|byte| match plain(&byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    escaped.collect()
}

/// One of `text`, `b64`, `blob` and `path`; none of them is no bytes.
#[derive(Debug, Default)]
pub struct Given<'a> {
    pub text: Option<&'a str>,
    pub b64: Option<&'a str>,
    pub blob: Option<&'a BlobLink>,
    pub path: Option<&'a str>,
}

impl Given<'_> {
    /// The bytes as a task carries them. `what` names them in a problem.
    pub fn payload(&self, what: &str) -> Result<Payload, Problem> {
        match (self.text, self.b64, self.blob, self.path) {
            (None, None, None, None) => Ok(Payload::empty()),
            (Some(text), None, None, None) => inline(text.as_bytes(), what),
            (None, Some(b64), None, None) => {
                let bytes = BASE64
                    .decode(b64.as_bytes())
                    .map_err(|error| Problem::malformed(format_args!("{what} is not base64: {error}")))?;
                inline(&bytes, what)
            }
            (None, None, Some(link), None) => Ok(Payload::Blob(link.try_into()?)),
            (None, None, None, Some(path)) => Ok(Payload::Path(path.to_string())),
            _ => Err(Problem::malformed(format_args!("{what} is given more than once: as text, base64, blob or path"))),
        }
    }
}

fn inline(bytes: &[u8], what: &str) -> Result<Payload, Problem> {
    match bytes.len() <= INLINE_LIMIT {
        true => Ok(Payload::Inline(bytes.into())),
        false => Err(Problem::new(
            super::Code::TooLarge,
            format!("{what} has {} bytes; what exceeds {INLINE_LIMIT} goes up by PUT /v1/blobs first", bytes.len()),
        )),
    }
}

/// A payload as JSON shows it: text where it is UTF-8, base64 where it is not.
pub enum Shown<'a> {
    Text(&'a str),
    B64(String),
    Blob(BlobLink),
    Path(&'a str),
}

impl<'a> From<&'a Payload> for Shown<'a> {
    fn from(payload: &'a Payload) -> Self {
        match payload {
            Payload::Inline(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Self::Text(text),
                Err(_) => Self::B64(BASE64.encode(bytes)),
            },
            Payload::Blob(blob) => Self::Blob(blob.into()),
            Payload::Path(path) => Self::Path(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_their_way_through_json() {
        for bytes in [&b""[..], b"plain", &[0, 159, 146, 150], "gr\u{fc}n\n\0".as_bytes()] {
            let payload = Payload::Inline(bytes.into());
            let given = match Shown::from(&payload) {
                Shown::Text(text) => Given { text: Some(text), ..Given::default() }.payload("x"),
                Shown::B64(b64) => Given { b64: Some(&b64), ..Given::default() }.payload("x"),
                Shown::Blob(_) | Shown::Path(_) => unreachable!("inline"),
            };
            assert_eq!(given, Ok(payload));
        }
    }

    #[test]
    fn what_is_ambiguous_or_large_or_not_base64_is_refused() {
        assert!(Given { text: Some(""), b64: Some(""), ..Given::default() }.payload("x").is_err());
        assert!(Given { b64: Some("*"), ..Given::default() }.payload("x").is_err());
        let large = "x".repeat(INLINE_LIMIT + 1);
        let problem = Given { text: Some(&large), ..Given::default() }.payload("x").unwrap_err();
        assert_eq!(problem.code, super::super::Code::TooLarge);
    }
}
