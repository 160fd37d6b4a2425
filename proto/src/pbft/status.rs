use super::{Sequence, View};
use crate::{bounded, domain::Epoch, limits};
use serde::{Deserialize, Serialize};

/// Where a replica stands, told to all now and then: others answer with what it lacks. It claims nothing that anybody
/// rests on, so it is not signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    #[serde(rename = "e")]
    pub epoch: Epoch,
    #[serde(rename = "v")]
    pub view: View,
    /// It takes part in the view, and does not wait for its NEW-VIEW.
    #[serde(rename = "a")]
    pub active: bool,
    /// It has waited for too long for the primary of this view, and leaves it once f + 1 members say so.
    #[serde(rename = "l")]
    pub leaves: bool,
    /// h.
    #[serde(rename = "h")]
    pub stable: Sequence,
    /// The last that it executed.
    #[serde(rename = "x")]
    pub executed: Sequence,
    /// It has requests or slots that are not done: whoever has something for it should say it.
    #[serde(rename = "w")]
    pub wants: bool,
    /// By replica number, the view of the VIEW-CHANGE that it holds of each and that is still to come; 0 is none, and
    /// nothing is none of all. What it holds need not be sent again. Castro's thesis, section 5.2.
    #[serde(rename = "c", deserialize_with = "bounded::list::<_, _, { limits::FOUNDERS }>")]
    pub changes: Vec<View>,
}
