use crate::api::submission::show_date;
use mesh_proto::ledger::{Claim, Claimed, Row};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A lock that is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LockRow {
    pub name: String,
    /// Whose command took it; only theirs renews and releases it.
    pub owner: String,
    /// The peer id of the node that uses it.
    pub holder: String,
    pub fence: u64,
    /// In agreed time.
    pub granted: String,
    /// From when on it is free, in agreed time.
    pub expires: String,
}

/// A lock that was taken or renewed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Granted {
    pub name: String,
    /// Higher than that of any grant before: what the lock guards refuses whoever comes with a lower one.
    pub fence: u64,
    /// In agreed time.
    pub expires: String,
    pub index: u64,
}

impl LockRow {
    fn new(name: String, held: &Claimed) -> Self {
        Self {
            name,
            owner: held.owner.to_string(),
            holder: held.holder.to_string(),
            fence: held.fence.0,
            granted: show_date(held.granted),
            expires: show_date(held.expires),
        }
    }

    /// If that is what the row is.
    pub fn of(row: &Row) -> Option<Self> {
        match row {
            Row::Claim { claim: Claim::Lock(name), held } => Some(Self::new(name.to_string(), held)),
            _ => None,
        }
    }
}
