//! What a member may do.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Given by an invitation; a member may claim less than it was given, never more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything, the committee included.
    Full,
    /// Runs and submits tasks and holds their records; never in the committee.
    Worker,
    /// Bootstrap and relay only.
    Relay,
    /// Submits tasks, holds and runs none.
    Client,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Full, Self::Worker, Self::Relay, Self::Client];

    /// Whether who was given `granted` may be this.
    #[must_use]
    pub fn is_within(self, granted: Self) -> bool {
        match granted {
            Self::Full => true,
            Self::Worker => matches!(self, Self::Worker | Self::Client),
            Self::Relay => self == Self::Relay,
            Self::Client => self == Self::Client,
        }
    }

    /// Whether this member holds task records and may run tasks.
    #[must_use]
    pub fn works(self) -> bool {
        matches!(self, Self::Full | Self::Worker)
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Worker => "worker",
            Self::Relay => "relay",
            Self::Client => "client",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Text that is no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a role: expected full, worker, relay or client")]
pub struct ParseRoleError(pub String);

impl FromStr for Role {
    type Err = ParseRoleError;

    fn from_str(text: &str) -> Result<Self, ParseRoleError> {
        let role = Self::ALL.into_iter().find(|role| role.as_str() == text);
        role.ok_or_else(|| ParseRoleError(text.chars().take(40).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_rises() {
        use Role::{Client, Full, Relay, Worker};
        for (granted, lawful) in [
            (Full, vec![Full, Worker, Relay, Client]),
            (Worker, vec![Worker, Client]),
            (Relay, vec![Relay]),
            (Client, vec![Client]),
        ] {
            let may: Vec<_> = Role::ALL.into_iter().filter(|role| role.is_within(granted)).collect();
            assert_eq!(may, lawful, "{granted}");
        }
    }

    #[test]
    fn text_is_the_wire_form() {
        for role in Role::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
            assert_eq!(crate::codec::encode(&role), crate::codec::encode(&role.as_str()));
        }
    }
}
