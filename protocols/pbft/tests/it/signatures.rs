//! Each signature is checked once. Whether it holds is no matter of who asks, nor of the world in which it is asked: without
//! this, checking was most of the time of a run.

use mesh_pbft::Signatures;
use mesh_proto::{
    domain::Statement,
    id::{Digest, NodeId},
    key::{BadSignature, Keys, Signature},
};
use std::{cell::RefCell, collections::BTreeSet};

/// What all machines of all worlds of a test have found to hold. A bad one is checked by everybody who gets it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shared;

#[derive(Default)]
struct Known {
    keys: Keys,
    /// Of signer, statement and signature.
    good: BTreeSet<Digest>,
}

thread_local! {
    static KNOWN: RefCell<Known> = RefCell::default();
}

/// What was said longer ago is checked anew.
const MOST: usize = 1 << 16;

impl Signatures for Shared {
    fn verify(&mut self, signer: NodeId, statement: &Statement, signature: &Signature) -> Result<(), BadSignature> {
        let parts: [&[u8]; 3] = [signer.as_bytes(), signature.as_bytes(), statement.as_bytes()];
        let digest = Digest::of("known signature", &parts);
        KNOWN.with_borrow_mut(|Known { keys, good }| {
            if good.contains(&digest) {
                return Ok(());
            }
            keys.verify(signer, statement, signature)?;
            if good.len() >= MOST {
                good.clear();
            }
            good.insert(digest);
            Ok(())
        })
    }
}

#[test]
fn what_holds_is_known_and_what_does_not_is_refused_again() {
    use mesh_proto::{domain::Epoch, id::NetworkId, key::SecretKey, pbft::ViewChange};
    let statement =
        |view: u8| ViewChange::statement(&NetworkId::from_bytes([9; 32]), Epoch(1), &Digest::from_bytes([view; 32]));
    let key = SecretKey::from_bytes(&[5; 32]);
    let signature = key.sign(&statement(1));
    for _ in 0..2 {
        assert!(Shared.verify(key.node_id(), &statement(2), &signature).is_err());
        assert!(Shared.verify(SecretKey::from_bytes(&[6; 32]).node_id(), &statement(1), &signature).is_err());
        assert_eq!(Shared.verify(key.node_id(), &statement(1), &signature), Ok(()));
    }
}
