//! What is said to one member in a turn, frame by frame.

use mesh_proto::task::{FRAME_TARGET, Item};
use std::collections::BTreeMap;

/// Cuts what goes to one destination into frames that stay below the limit.
pub(crate) fn cut(items: Vec<Item>) -> Vec<Vec<Item>> {
    let mut frames: BTreeMap<usize, Vec<Item>> = BTreeMap::new();
    let (mut frame, mut weight) = (0, 0);
    for item in items {
        let item_weight = item.weight();
        if weight > 0 && weight + item_weight > FRAME_TARGET {
            (frame, weight) = (frame + 1, 0);
        }
        weight += item_weight;
        frames.entry(frame).or_default().push(item);
    }
    frames.into_values().collect()
}
