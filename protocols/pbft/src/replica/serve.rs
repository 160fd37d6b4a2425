//! Answers to those who are behind. Each answer proves itself, so anybody may be asked.

use super::{Replica, Turn};
use crate::{Effect, Rejection};
use mesh_proto::{
    id::{Digest, NodeId},
    limits,
    merkle::Path,
    pbft::{Chunk, Fetch, Message, Part, Request, Sequence, View, ViewChange},
    task::Octets,
};
use std::sync::Arc;

impl Replica {
    pub(super) fn on_fetch(&mut self, turn: &mut Turn<'_>, from: NodeId, fetch: Fetch) -> Result<(), Rejection> {
        let answer = match fetch {
            Fetch::Requests { digests } => self.requests_for(&digests),
            Fetch::Batch { digest } => {
                self.durable.batches.get(&digest).map(|kept| Message::Batch(Arc::clone(&kept.value)))
            }
            Fetch::ViewChange { view, digest } => self.known_view_change(view, &digest).map(Message::ViewChange),
            Fetch::Epochs { above } => self.epochs_above(above),
            Fetch::State { sequence, part, index } => return self.serve_piece(turn, from, sequence, part, index),
        };
        let Some(answer) = answer else { return Err(Rejection::Unasked) };
        self.counters.fetched += 1;
        self.send(turn, from, answer);
        Ok(())
    }

    fn requests_for(&self, digests: &[Digest]) -> Option<Message> {
        let (mut found, mut bytes): (Vec<Arc<Request>>, usize) = (Vec::new(), 0);
        for digest in digests {
            let kept = self.durable.bodies.get(digest).map(|kept| &kept.value).or_else(|| self.past.body(digest));
            let Some(request) = kept.or_else(|| self.pool.get(digest).map(|body| &body.request)) else { continue };
            bytes += request.operations.as_bytes().len() + 256;
            found.push(Arc::clone(request));
            if bytes > limits::PBFT_REQUESTS_BYTES {
                break;
            }
        }
        (!found.is_empty()).then_some(Message::Requests(found))
    }

    fn known_view_change(&self, view: View, digest: &Digest) -> Option<Arc<ViewChange>> {
        let sent = self.changes.values().find(|(_, known)| known == digest).map(|(message, _)| Arc::clone(message));
        sent.or_else(|| {
            let entered = self.durable.entered.as_ref().filter(|entered| entered.message.view == view)?;
            let named = entered.message.changes.iter().zip(&entered.changes);
            named.into_iter().find(|((_, known), _)| known == digest).map(|(_, message)| Arc::clone(message))
        })
    }

    fn serve_piece(
        &mut self,
        turn: &mut Turn<'_>,
        from: NodeId,
        sequence: Sequence,
        part: Part,
        index: u32,
    ) -> Result<(), Rejection> {
        let pin = self.pin(turn.now.mono, from, sequence)?;
        match part {
            Part::State => turn.effects.push(Effect::ReadPiece { to: from, sequence, index }),
            Part::Clients => {
                let Some((entry, path)) = pin.piece(index) else { return Err(Rejection::Unasked) };
                let bytes = Octets::from(mesh_proto::codec::encode(&entry));
                self.send(turn, from, Message::Chunk(Chunk { sequence, part, index, bytes, path }));
            }
        }
        Ok(())
    }

    pub(super) fn send_piece(
        &mut self,
        turn: &mut Turn<'_>,
        to: NodeId,
        sequence: Sequence,
        index: u32,
        bytes: Octets,
        path: Path,
    ) {
        self.send(turn, to, Message::Chunk(Chunk { sequence, part: Part::State, index, bytes, path }));
    }
}
