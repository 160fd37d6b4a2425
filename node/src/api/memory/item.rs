use crate::api::submission::show_date;
use data_encoding::BASE64;
use mesh_proto::ledger::{MemoryItem, MemoryKey};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is at a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemoryRow {
    pub key: String,
    /// Of the write; grows with each write of the key.
    pub version: u64,
    /// In agreed time.
    pub written: String,
    /// From when on it is absent, in agreed time. Missing where it stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    pub bytes: u64,
    /// The value where it is text, else in `value_b64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_b64: Option<String>,
}

impl MemoryRow {
    pub fn new(key: &MemoryKey, item: &MemoryItem) -> Self {
        Self {
            version: item.version,
            written: show_date(item.written),
            expires: item.expires.map(show_date),
            ..Self::of_value(key.as_str(), &item.value)
        }
    }

    /// With nothing but the value.
    pub fn of_value(key: &str, bytes: &[u8]) -> Self {
        let (value, value_b64) = match std::str::from_utf8(bytes) {
            Ok(text) => (Some(text.to_string()), None),
            Err(_) => (None, Some(BASE64.encode(bytes))),
        };
        Self { key: key.to_string(), bytes: bytes.len() as u64, value, value_b64, ..Self::default() }
    }
}
