//! More than one signature of the same. The nonce of an ed25519 signature is the signer's: by the standard a hash makes it
//! from the key and the message, and no verifier can tell whether it did. So whoever has a key has any number of signatures
//! of one statement, all of which hold.

use ed25519_dalek::{
    Sha512, SigningKey,
    hazmat::{ExpandedSecretKey, raw_sign},
};
use mesh_proto::{
    domain::Statement,
    id::{Digest, NetworkId},
    key::{SecretKey, Signature},
    pbft::{Checkpoint, Message, NewView, Phase, PrePrepare, Reply, Request, ViewChange, Vote},
};
use std::sync::Arc;

/// Signs with the nonces that go by this number: another number, another signature, and each of them holds.
pub fn sign(key: &SecretKey, statement: &Statement, nonce: u64) -> Signature {
    let seed = key.to_bytes();
    let mut expanded = ExpandedSecretKey::from(&*seed);
    expanded.hash_prefix = *Digest::of("another nonce", &[&expanded.hash_prefix, &nonce.to_le_bytes()]).as_bytes();
    let public = SigningKey::from_bytes(&seed).verifying_key();
    Signature::from_bytes(raw_sign::<Sha512>(&expanded, statement.as_bytes(), &public).to_bytes())
}

/// The same message under such signatures, if it is one that its sender signs.
pub fn signed_again(key: &SecretKey, network: &NetworkId, nonce: u64, message: &Message) -> Message {
    let sign = |statement: &Statement| sign(key, statement, nonce);
    let vote = |phase, vote: &Vote| Vote { signature: sign(&vote.own_statement(phase, network)), ..vote.clone() };
    match message {
        Message::PrePrepare(m) => {
            let (at, digest) = ((m.view, m.sequence), m.batch.digest());
            let signature = sign(&Vote::statement(Phase::PrePrepare, network, m.epoch, at, &digest));
            Message::PrePrepare(Arc::new(PrePrepare { signature, ..PrePrepare::clone(m) }))
        }
        Message::Prepare(m) => Message::Prepare(vote(Phase::Prepare, m)),
        Message::Commit(m) => Message::Commit(vote(Phase::Commit, m)),
        Message::Checkpoint(m) => {
            let signature = sign(&Checkpoint::statement(network, m.epoch, m.sequence, &m.digest));
            Message::Checkpoint(Checkpoint { signature, ..m.clone() })
        }
        Message::ViewChange(m) => {
            let statement = ViewChange::statement(network, m.change.epoch, &m.change.digest());
            // Those of others are sent on.
            match key.sign(&statement) == m.signature {
                true => {
                    Message::ViewChange(Arc::new(ViewChange { signature: sign(&statement), change: m.change.clone() }))
                }
                false => message.clone(),
            }
        }
        Message::NewView(m) if key.sign(&m.statement(network)) == m.signature => {
            let mut new_view = NewView::clone(m);
            for (place, proposal) in new_view.proposals.iter_mut().enumerate() {
                let at = (m.view, m.stable.plus(place as u64 + 1));
                proposal.signature = sign(&Vote::statement(Phase::PrePrepare, network, m.epoch, at, &proposal.digest));
            }
            new_view.signature = sign(&new_view.statement(network));
            Message::NewView(Arc::new(new_view))
        }
        Message::Reply(m) => {
            Message::Reply(Arc::new(Reply { signature: sign(&m.statement(network)), ..Reply::clone(m) }))
        }
        // As a gateway, for its own users.
        Message::Request(m) if m.gateway == key.node_id() => {
            let signature = sign(&Request::statement(network, &m.digest()));
            Message::Request(Arc::new(Request { signature, ..Request::clone(m) }))
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_statement_has_many_signatures_that_hold() {
        let (key, network) = (SecretKey::from_bytes(&[3; 32]), NetworkId::from_bytes([9; 32]));
        let statement = ViewChange::statement(&network, mesh_proto::domain::Epoch(1), &Digest::from_bytes([1; 32]));
        let all: Vec<_> = (0..4).map(|nonce| sign(&key, &statement, nonce)).chain([key.sign(&statement)]).collect();
        for (place, signature) in all.iter().enumerate() {
            assert_eq!(mesh_proto::key::verify(key.node_id(), &statement, signature), Ok(()));
            assert!(!all[..place].contains(signature), "{place}");
        }
    }
}
