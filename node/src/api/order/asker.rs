use crate::api::{Principal, Problem, tasks::submit::IDEMPOTENCY_KEY};
use axum::{
    extract::FromRequestParts,
    http::{HeaderValue, request::Parts},
};
use data_encoding::HEXLOWER;
use mesh_proto::{ledger, limits, task::Octets};

/// Whose request it is, and its key: together what makes a repeat of a command the same command.
#[derive(Clone, Debug)]
pub struct Asker {
    pub principal: ledger::Principal,
    /// The user's, else one drawn here. Then it is text, so that it can be told to who must repeat.
    pub key: Octets,
}

impl Asker {
    /// This node, for what it does by itself: as the admission to the ledger, under a name that no user has.
    pub fn of_the_node() -> Result<Self, Problem> {
        Ok(Self { principal: "meshd".parse().map_err(Problem::malformed)?, key: drawn() })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Asker {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let name = parts.extensions.get::<Principal>().map_or("", |principal| &principal.0);
        let principal = name.parse().map_err(Problem::malformed)?;
        let key = match parts.headers.get(&IDEMPOTENCY_KEY).map(HeaderValue::as_bytes) {
            None => drawn(),
            Some(key) if (1..=limits::COMMAND_KEY_BYTES).contains(&key.len()) => key.into(),
            Some(key) => {
                let message = format_args!(
                    "an idempotency key has 1 to {} bytes, this one {}",
                    limits::COMMAND_KEY_BYTES,
                    key.len()
                );
                return Err(Problem::malformed(message));
            }
        };
        Ok(Self { principal, key })
    }
}

/// A key that nobody has had.
pub fn drawn() -> Octets {
    HEXLOWER.encode(&rand::random::<[u8; 16]>()).into_bytes().into()
}
