//! The replicated application: it keeps the list of operations, and finds one that comes twice.

use mesh_pbft::{Execution, Membership};
use mesh_proto::{
    codec,
    id::NodeId,
    merkle::{Path, Tree},
    pbft::{Roots, state_leaf},
    task::Octets,
    time::Wall,
};
use std::collections::BTreeSet;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct App {
    pub operations: Vec<Vec<u8>>,
    seen: BTreeSet<Vec<u8>>,
    time: Wall,
}

/// Pieces that the state is cut into.
const PIECES: usize = 5;

impl App {
    pub fn execute(&mut self, execution: &Execution) -> (Vec<Octets>, Option<Membership>) {
        assert!(execution.time > self.time, "agreed time goes on");
        self.time = execution.time;
        let (mut outcomes, mut change) = (Vec::new(), None);
        for body in &execution.requests {
            for operation in body.request.operations.iter() {
                assert!(
                    self.seen.insert(operation.to_vec()),
                    "{:?} is executed twice",
                    String::from_utf8_lossy(operation)
                );
                self.operations.push(operation.to_vec());
                change = change.or_else(|| membership(operation));
            }
            outcomes.push(Octets::from(format!("{}", self.operations.len()).into_bytes()));
        }
        (outcomes, change)
    }

    pub fn roots(&self) -> Roots {
        let tree = self.tree();
        Roots { root: tree.root(), count: tree.count() }
    }

    pub fn piece(&self, index: u32) -> Option<(Octets, Path)> {
        let piece = self.pieces().into_iter().nth(index as usize)?;
        Some((piece.into(), self.tree().path(index)?))
    }

    pub fn from_pieces(pieces: &[Octets]) -> Option<Self> {
        let mut all: Vec<(u64, Vec<u8>)> = Vec::new();
        let mut time = Wall(0);
        for piece in pieces {
            let (of, list): (Wall, Vec<(u64, Vec<u8>)>) = codec::decode(piece, 1 << 20).ok()?;
            time = of;
            all.extend(list);
        }
        all.sort();
        let operations: Vec<Vec<u8>> = all.into_iter().map(|(_, operation)| operation).collect();
        Some(Self { seen: operations.iter().cloned().collect(), operations, time })
    }

    fn pieces(&self) -> Vec<Vec<u8>> {
        let piece = |bucket: usize| {
            let list = self.operations.iter().enumerate().filter(|(place, _)| place % PIECES == bucket);
            let list: Vec<(u64, &Vec<u8>)> = list.map(|(place, operation)| (place as u64, operation)).collect();
            codec::encode(&(self.time, list))
        };
        (0..PIECES).map(piece).collect()
    }

    fn tree(&self) -> Tree {
        let leaves: Vec<_> = self.pieces().iter().map(|piece| state_leaf(piece)).collect();
        Tree::new(&leaves).unwrap()
    }
}

/// `+` or `-` and a key: a change of the committee.
fn membership(operation: &[u8]) -> Option<Membership> {
    let (sign, key) = operation.split_first()?;
    let node = NodeId::from_bytes(key.get(..32)?.try_into().ok()?);
    match sign {
        b'+' => Some(Membership::Add(node)),
        b'-' => Some(Membership::Remove(node)),
        _ => None,
    }
}
