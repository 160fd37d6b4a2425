//! What a set of view changes makes of the log: the pure function of section 4.4, computed by the new primary and again
//! by every backup.

use crate::Alarm;
use mesh_proto::{
    id::Digest,
    pbft::{Batch, Change, Prepared, Sequence},
};
use std::collections::BTreeMap;

/// What the new view begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// `min-s`: the highest stable checkpoint that one of the set proves.
    pub stable: Sequence,
    /// For each number above it up to `max-s`, the digest to be proposed again; that of the null request where nothing
    /// prepared.
    pub digests: Vec<Digest>,
}

impl Plan {
    /// `max-s`, or `min-s` if nothing prepared above it.
    #[must_use]
    pub fn last(&self) -> Sequence {
        self.stable.plus(self.digests.len() as u64)
    }
}

/// From valid view changes of distinct replicas, in any order. Two certificates of one view and number with different
/// digests cannot be unless more than f lie.
pub fn plan<'a>(changes: impl IntoIterator<Item = &'a Change> + Clone) -> Result<Plan, Alarm> {
    let stable = changes.clone().into_iter().map(|change| change.stable).max().unwrap_or(Sequence::ZERO);
    let mut highest: BTreeMap<Sequence, &Prepared> = BTreeMap::new();
    for prepared in changes.into_iter().flat_map(|change| &change.prepared) {
        if prepared.sequence <= stable {
            continue;
        }
        let known = highest.entry(prepared.sequence).or_insert(prepared);
        if known.view == prepared.view && known.digest != prepared.digest {
            return Err(Alarm::TwoPrepared { view: prepared.view, sequence: prepared.sequence });
        }
        if prepared.view > known.view {
            *known = prepared;
        }
    }
    let last = highest.last_key_value().map_or(stable, |(sequence, _)| *sequence);
    let null = Batch::null().digest();
    let digest = |at: u64| highest.get(&stable.plus(at)).map_or(null, |prepared| prepared.digest);
    // At most a window: the numbers of certificates were checked against it.
    let digests = (1..=last.above(stable)).map(digest).collect();
    Ok(Plan { stable, digests })
}
