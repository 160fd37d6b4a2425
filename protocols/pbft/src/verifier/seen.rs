use mesh_proto::{
    domain::Statement,
    id::{Digest, NodeId},
    key::Signature,
};
use std::collections::{BTreeMap, VecDeque};

/// Signatures that were found to hold, so that each is checked once: a vote comes again inside certificates, a
/// certificate inside the view changes of many.
///
/// Signing is deterministic, so a correct signer has one signature for a statement. A liar can make others, which hold as
/// well: what it says itself under another is a repetition, but a correct replica that was told another one quotes that.
#[derive(Debug)]
pub struct Seen {
    held: BTreeMap<(NodeId, Digest), Signature>,
    order: VecDeque<(NodeId, Digest)>,
    most: usize,
}

/// What is known of a statement by its signer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    No,
    /// Under this signature.
    Checked,
    /// Under another one, which holds.
    Otherwise,
}

impl Seen {
    pub fn new(most: usize) -> Self {
        Self { held: BTreeMap::new(), order: VecDeque::new(), most }
    }

    /// What a statement is known by.
    pub fn digest(statement: &Statement) -> Digest {
        Digest::of("meshd v1 pbft seen", &[statement.as_bytes()])
    }

    /// Room for so many, if it is more than there was.
    pub fn extend(&mut self, most: usize) {
        self.most = self.most.max(most);
    }

    pub fn of(&self, signer: NodeId, statement: &Digest, signature: &Signature) -> Known {
        match self.held.get(&(signer, *statement)) {
            None => Known::No,
            Some(held) if held == signature => Known::Checked,
            Some(_) => Known::Otherwise,
        }
    }

    /// The first stays.
    pub fn note(&mut self, signer: NodeId, statement: Digest, signature: Signature) {
        self.held.entry((signer, statement)).or_insert_with(|| {
            self.order.push_back((signer, statement));
            signature
        });
        while self.order.len() > self.most {
            if let Some(oldest) = self.order.pop_front() {
                self.held.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checklist items 6 and 38: what was checked is known, within a bound.
    #[test]
    fn a_signature_is_known_once_it_was_checked_and_memory_is_bounded() {
        let mut seen = Seen::new(2);
        let (signer, signature) = (NodeId::from_bytes([1; 32]), Signature::from_bytes([1; 64]));
        let statement = |n| Digest::from_bytes([n; 32]);
        assert_eq!(seen.of(signer, &statement(1), &signature), Known::No);
        for n in 1..=3 {
            seen.note(signer, statement(n), signature);
        }
        assert_eq!(seen.of(signer, &statement(3), &signature), Known::Checked);
        let other = Signature::from_bytes([2; 64]);
        assert_eq!(seen.of(signer, &statement(3), &other), Known::Otherwise);
        seen.note(signer, statement(3), other);
        assert_eq!(seen.of(signer, &statement(3), &signature), Known::Checked, "the first stays");
        assert_eq!(seen.of(signer, &statement(1), &signature), Known::No, "forgotten");
        assert_eq!(seen.held.len(), 2);
    }
}
