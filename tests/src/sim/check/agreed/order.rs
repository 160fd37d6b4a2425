use crate::sim::check::{Rule, Violation};
use mesh_coordinator::agreement::Batch;
use mesh_proto::{
    id::{Digest, NodeId},
    ledger::Index,
    pbft::Sequence,
    time::Wall,
};
use std::collections::BTreeMap;

/// The one order, as correct replicas have it.
#[derive(Default)]
pub struct Order {
    /// The digest of the state under a number, and who was there first.
    roots: BTreeMap<Index, (Digest, usize)>,
    /// What was executed, as the disks tell it.
    batches: BTreeMap<Sequence, (Wall, Vec<Digest>)>,
    /// Where each request was.
    requests: BTreeMap<Digest, Sequence>,
}

impl Order {
    /// The state of a node behind a batch.
    pub fn at(&mut self, node: usize, index: Index, root: Digest) -> Result<(), Violation> {
        let (first, by) = self.roots.entry(index).or_insert((root, node));
        match *first == root {
            true => Ok(()),
            false => {
                let what = format!("behind batch {index} the state of n{node} is {root}, that of n{by} is {first}");
                Err(Violation::new(Rule::OneOrder, what))
            }
        }
    }

    /// A replica has on its disk what it executed.
    pub fn ran(&mut self, node: NodeId, batches: &[Batch]) -> Result<(), Violation> {
        for batch in batches {
            let here = (batch.time, batch.requests.clone());
            let first = self.batches.entry(batch.sequence).or_insert_with(|| here.clone());
            if *first != here {
                let what = format!("{node} executed {here:?} as batch {}, others {first:?}", batch.sequence);
                return Err(Violation::new(Rule::OneOrder, what));
            }
            for request in &batch.requests {
                let first = *self.requests.entry(*request).or_insert(batch.sequence);
                if first != batch.sequence {
                    let what = format!("request {request} was executed in batches {first} and {}", batch.sequence);
                    return Err(Violation::new(Rule::ExactlyOnce, what));
                }
            }
        }
        Ok(())
    }

    /// The last batch that anybody has come to.
    pub fn last(&self) -> Index {
        self.roots.last_key_value().map_or(Index::GENESIS, |(index, _)| *index)
    }
}
