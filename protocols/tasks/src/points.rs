//! Members by their places in the id space, to find the closest to an id without looking at all.

use mesh_proto::id::NodeId;

/// A place in the id space.
pub type Point = [u8; 32];

/// In order of their points.
#[derive(Debug, Default)]
pub struct Points(Vec<(Point, NodeId)>);

impl Points {
    pub fn insert(&mut self, point: Point, node: NodeId) {
        if let Err(at) = self.0.binary_search(&(point, node)) {
            self.0.insert(at, (point, node));
        }
    }

    pub fn remove(&mut self, point: Point, node: NodeId) {
        if let Ok(at) = self.0.binary_search(&(point, node)) {
            self.0.remove(at);
        }
    }

    /// All, the closest first. Distance is the XOR of Kademlia (Maymounkov and Mazières 2002, section 2.1): of those
    /// that begin alike the ones whose next bit is that of the id are closer than all that have the other, so each half
    /// of the id space is looked into only once the closer one is through.
    pub fn closest<'a>(&'a self, to: &'a Point) -> impl Iterator<Item = NodeId> + 'a {
        let mut left: Vec<(&[(Point, NodeId)], usize)> = vec![(&self.0, 0)];
        std::iter::from_fn(move || {
            while let Some((alike, bit)) = left.pop() {
                if let [(_, node), rest @ ..] = alike
                    && (rest.is_empty() || bit == 8 * to.len())
                {
                    if !rest.is_empty() {
                        left.push((rest, bit));
                    }
                    return Some(*node);
                }
                let (zeros, ones) = alike.split_at(alike.partition_point(|(point, _)| !is_set(point, bit)));
                let (near, far) = if is_set(to, bit) { (ones, zeros) } else { (zeros, ones) };
                left.extend([far, near].into_iter().filter(|half| !half.is_empty()).map(|half| (half, bit + 1)));
            }
            None
        })
    }
}

fn is_set(point: &Point, bit: usize) -> bool {
    point[bit / 8] & (0x80 >> (bit % 8)) != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// Also of points that begin alike, or are the same.
        #[test]
        fn the_closest_come_first(points in prop::collection::vec((0u8..4, 0u8..4, 0u8..2), 0..40),
                                  removed in prop::collection::vec(0usize..40, 0..10),
                                  to in (0u8..4, 0u8..4, 0u8..2)) {
            let point = |(first, second, last): (u8, u8, u8)| {
                let mut point = [0; 32];
                (point[0], point[1], point[31]) = (first << 6, second, last);
                point
            };
            let mut by_point = Points::default();
            let mut known = BTreeMap::new();
            for (at, one) in points.iter().enumerate() {
                known.insert(NodeId::from_bytes([at as u8; 32]), point(*one));
            }
            known.iter().for_each(|(node, point)| by_point.insert(*point, *node));
            for at in removed {
                let node = NodeId::from_bytes([at as u8; 32]);
                if let Some(point) = known.remove(&node) {
                    by_point.remove(point, node);
                }
            }
            let to = point(to);
            let distance = |point: &Point| -> Point { std::array::from_fn(|at| point[at] ^ to[at]) };
            let mut expected: Vec<(Point, NodeId)> = known.iter().map(|(node, point)| (distance(point), *node)).collect();
            expected.sort();
            let found: Vec<(Point, NodeId)> =
                by_point.closest(&to).map(|node| (distance(&known[&node]), node)).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
