//! What the fuzzers call, as in `mesh_proto::fuzz`: each decoder, and behind it what is done with a message that decodes.
//! Not part of the API.
//!
//! # Panics
//! A target panics where a decoder breaks its word: a message that was accepted must encode to the bytes it came from.

use crate::{
    message::{Answer, Ask, Piece, Request, Response},
    types::{Payload, Types},
};
use mesh_proto::{fuzz::Target, pbft::Operations};
use openraft::raft::InstallSnapshotRequest;

/// All of this module.
pub const TARGETS: [Target; 2] = [("raft_request", raft_request), ("raft_response", raft_response)];

pub fn raft_request(bytes: &[u8]) -> bool {
    let Ok(request) = Request::decode(bytes) else { return false };
    assert_eq!(request.encode(), bytes, "an accepted message encodes to the bytes it came from");
    assert_eq!(request.is_order(), matches!(request.0, Ask::Order(_)));
    match request.0 {
        Ask::Append(append) => {
            for entry in append.entries {
                match entry.payload {
                    Payload::Normal(batch) => batch.requests.iter().for_each(check),
                    Payload::Membership(membership) => drop(membership.voter_ids().count()),
                    Payload::Blank => {}
                }
            }
        }
        Ask::Install(piece) => {
            let (size, offset) = (piece.data.len(), piece.offset);
            let again = Piece::from(InstallSnapshotRequest::<Types>::from(piece));
            assert_eq!((again.data.len(), again.offset), (size, offset), "a piece survives openraft's form of it");
        }
        Ask::Order(operations) => check(&operations),
        Ask::Vote(_) | Ask::Follow | Ask::AmIIn => {}
    }
    true
}

pub fn raft_response(bytes: &[u8]) -> bool {
    let Ok(response) = Response::decode(bytes) else { return false };
    assert_eq!(response.encode(), bytes, "an accepted message encodes to the bytes it came from");
    let is_ordered = matches!(response.0, Answer::Ordered(..));
    assert_eq!(response.into_ordered().is_ok(), is_ordered);
    true
}

/// They are cut nowhere.
fn check(operations: &Operations) {
    let sizes: usize = operations.iter().map(|operation| operation.len() + 4).sum();
    assert_eq!(sizes, operations.as_bytes().len());
}
