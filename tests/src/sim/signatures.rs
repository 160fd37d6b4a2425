use mesh_pbft::Signatures;
use mesh_proto::{
    domain::Statement,
    id::{Digest, NodeId},
    key::{BadSignature, Keys, Signature},
};
use std::{cell::RefCell, collections::BTreeSet, rc::Rc};

/// What checks the signatures of one world. A message goes to all, and whether its signature holds is no matter of who
/// asks: each is checked once, where it was half of a seed's time before. A bad one is checked by everybody who gets it.
#[derive(Clone, Debug, Default)]
pub struct Shared(Rc<RefCell<Known>>);

#[derive(Debug, Default)]
struct Known {
    keys: Keys,
    /// Of signer, statement and signature.
    good: BTreeSet<Digest>,
}

/// What was said longer ago is checked anew.
const MOST: usize = 1 << 16;

impl Signatures for Shared {
    fn verify(&mut self, signer: NodeId, statement: &Statement, signature: &Signature) -> Result<(), BadSignature> {
        let Known { keys, good } = &mut *self.0.borrow_mut();
        let parts: [&[u8]; 3] = [signer.as_bytes(), signature.as_bytes(), statement.as_bytes()];
        let digest = Digest::of("meshd sim signature", &parts);
        if good.contains(&digest) {
            return Ok(());
        }
        keys.verify(signer, statement, signature)?;
        if good.len() >= MOST {
            good.clear();
        }
        good.insert(digest);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_proto::{
        domain::{Domain, Epoch},
        id::NetworkId,
        key::SecretKey,
    };

    #[test]
    fn what_holds_is_known_to_all_and_what_does_not_to_none() {
        let statement =
            |payload: &[u8]| Statement::new(Domain::PbftRequest, &NetworkId::from_bytes([1; 32]), Epoch(0), payload);
        let key = SecretKey::from_bytes(&[5; 32]);
        let (signer, signature) = (key.node_id(), key.sign(&statement(b"yes")));
        let mut one = Shared::default();
        let mut other = one.clone();
        for _ in 0..2 {
            assert!(one.verify(signer, &statement(b"no"), &signature).is_err());
            assert!(one.verify(SecretKey::from_bytes(&[6; 32]).node_id(), &statement(b"yes"), &signature).is_err());
            assert_eq!(one.verify(signer, &statement(b"yes"), &signature), Ok(()));
            assert_eq!(other.verify(signer, &statement(b"yes"), &signature), Ok(()));
        }
        assert_eq!(one.0.borrow().good.len(), 1);
    }
}
