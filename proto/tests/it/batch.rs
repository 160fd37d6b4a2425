use crate::sample::{key, network, open_genesis};
use mesh_proto::{
    batch::{SealError, SealedBatch, SignedLeaf},
    codec::encode,
    domain::{Domain, Epoch},
    fuzz::Note,
    key::BadSignature,
    merkle::{BatchSize, Leaf},
};
use proptest::prelude::*;

fn messages(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|i| encode(&Note(i.to_string()))).collect()
}

fn leaves(messages: &[Vec<u8>]) -> Vec<Leaf> {
    messages.iter().map(|message| Leaf::new(Domain::Announcement, message)).collect()
}

fn sign(leaves: &[Leaf]) -> SealedBatch {
    SealedBatch::sign(&key(2), &network(), Epoch(3), leaves).unwrap()
}

#[test]
fn each_message_of_a_batch_is_proved_alone() {
    let messages = messages(13);
    let batch = sign(&leaves(&messages));
    for (index, message) in messages.iter().enumerate() {
        let leaf = SignedLeaf::decode(&encode(&batch.leaf(index as u32).unwrap())).unwrap();
        let note = leaf.open::<Note>(&network(), message).unwrap();
        assert_eq!((note.from(), note.epoch()), (key(2).node_id(), Some(Epoch(3))));
        assert_eq!(note.into_inner(), Note(index.to_string()));
    }
    assert_eq!(batch.leaf(13), None);
}

#[test]
fn a_receiver_of_all_checks_one_signature_and_can_prove_each() {
    let leaves = leaves(&messages(5));
    let sent = sign(&leaves);
    let received = sent.seal().clone().verify(&network(), &leaves).unwrap();
    assert_eq!(received.leaf(4), sent.leaf(4));
    let bad = SealError::Signature(BadSignature(key(2).node_id()));
    assert_eq!(sent.seal().clone().verify(&network(), &leaves[..4]), Err(bad.clone()));
    assert_eq!(sent.seal().clone().verify(&open_genesis().network_id(), &leaves), Err(bad));
    assert_eq!(sent.seal().clone().verify(&network(), &[]), Err(SealError::Size(BatchSize(0))));
}

#[test]
fn a_proof_is_for_its_message_and_domain_only() {
    let messages = messages(6);
    let batch = sign(&leaves(&messages));
    let bad = Err(BadSignature(key(2).node_id()));
    let leaf = batch.leaf(1).unwrap();
    assert_eq!(leaf.verify(&network(), Leaf::new(Domain::Announcement, &messages[2])), bad);
    assert_eq!(leaf.verify(&network(), Leaf::new(Domain::Task, &messages[1])), bad);
    assert_eq!(leaf.verify(&open_genesis().network_id(), Leaf::new(Domain::Announcement, &messages[1])), bad);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn no_flipped_bit_is_a_proof(
        count in 1usize..20,
        pick in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        bit in 0u8..8,
    ) {
        let leaves = leaves(&messages(count));
        let index = pick.index(count);
        let mut bytes = encode(&sign(&leaves).leaf(index as u32).unwrap());
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(proof) = SignedLeaf::decode(&bytes) {
            prop_assert!(proof.verify(&network(), leaves[index]).is_err());
        }
    }
}
