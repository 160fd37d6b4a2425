use serde::{Deserialize, Serialize};

/// What becomes of an attempt whose node loses the mesh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum OnIsolation {
    /// It goes on: its result is offered when the mesh is back, and taken if it is the first.
    #[default]
    #[serde(rename = "c")]
    Continue,
    /// It is stopped and given back, as the others run it by then or soon will.
    #[serde(rename = "s")]
    Stop,
}

impl OnIsolation {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Continue => "continue",
            Self::Stop => "stop",
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
