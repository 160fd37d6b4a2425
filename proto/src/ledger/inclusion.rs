use super::{Node, NodeError, slot};
use crate::{bounded, id::Digest, limits, task::Octets};
use serde::{Deserialize, Serialize};

/// What the state with a root holds at a key: the nodes from the root to the page where the key is, or would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Inclusion {
    #[serde(deserialize_with = "bounded::list::<_, _, { limits::INCLUSION_NODES }>")]
    nodes: Vec<Octets>,
}

/// Why a path proves nothing about this key under this root.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InclusionError {
    #[error("there is no path")]
    Missing,
    #[error(transparent)]
    Node(#[from] NodeError),
    #[error("the path does not end in a page, or goes on behind it")]
    Length,
}

impl Inclusion {
    /// From the root down; each the encoding of a [`Node`].
    #[must_use]
    pub fn new(nodes: Vec<Octets>) -> Self {
        Self { nodes }
    }

    /// The value at `key`, or that there is none.
    pub fn value(&self, root: &Digest, key: &[u8]) -> Result<Option<Vec<u8>>, InclusionError> {
        let mut expected = *root;
        let mut nodes = self.nodes.iter();
        loop {
            let node = Node::decode(nodes.next().ok_or(InclusionError::Length)?, &expected)?;
            match node {
                Node::Page(entries) => {
                    if nodes.next().is_some() {
                        return Err(InclusionError::Length);
                    }
                    let found = entries.binary_search_by(|entry| entry.key().cmp(key));
                    return Ok(found.ok().map(|at| entries[at].value().to_vec()));
                }
                Node::Branch(branch) => {
                    let slot = slot(key, usize::from(branch.depth));
                    match branch.children.iter().find(|child| child.slot == slot) {
                        Some(child) => expected = child.digest,
                        // Were it there, it would be there.
                        None if nodes.next().is_none() => return Ok(None),
                        None => return Err(InclusionError::Length),
                    }
                }
            }
        }
    }
}
