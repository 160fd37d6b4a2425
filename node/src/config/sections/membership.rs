//! `[membership]`.

use serde::{Deserialize, Serialize};

use super::Section;
use crate::config::{Report, Span};

/// How members notice that one of them is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Membership {
    /// `lan` for nodes on one local network: 200ms and 700ms in the place of the two times below. Default: default.
    pub profile: Profile,
    /// Between two heartbeats to each connected member. Default: 3s.
    pub heartbeat: Span,
    /// Without a word for so long a member counts as silent, and its connections are closed. Default: 10s.
    pub timeout: Span,
}

/// What kind of network the members are on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Any: the times are as they are set.
    #[default]
    Default,
    /// One on which a message takes a few milliseconds.
    Lan,
}

impl Default for Membership {
    fn default() -> Self {
        Self { profile: Profile::Default, heartbeat: Span::from_secs(3), timeout: Span::from_secs(10) }
    }
}

impl Membership {
    /// Heartbeat and time-out in force.
    pub fn times(&self) -> (Span, Span) {
        match self.profile {
            Profile::Default => (self.heartbeat, self.timeout),
            Profile::Lan => (Span::from_millis(200), Span::from_millis(700)),
        }
    }
}

impl Section for Membership {
    fn check(&self, report: &mut Report<'_>) {
        report.within("heartbeat", self.heartbeat, Span::from_millis(200), Span::from_secs(60));
        report.within("timeout", self.timeout, Span::from_millis(500), Span::from_secs(3600));
        // One heartbeat may be lost, or late.
        if self.timeout.get() < self.heartbeat.get() * 2 {
            report.wrong("timeout", "is shorter than two heartbeats: who lives would count as silent");
        }
        let own = Self { profile: self.profile, ..Self::default() };
        if self.profile != Profile::Default && *self != own {
            report.wrong("profile", "says both times itself: leave it out where heartbeat or timeout is set");
        }
    }
}
