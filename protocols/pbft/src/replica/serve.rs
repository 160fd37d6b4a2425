//! Answers to those who are behind. Each answer proves itself, so anybody may be asked.

use super::{Replica, Turn};
use crate::{Effect, Rejection, table::Table};
use mesh_proto::{
    id::{Digest, NodeId},
    limits,
    merkle::{Path, Tree},
    pbft::{Chunk, ClientEntry, Fetch, Message, Part, Request, Sequence, View, ViewChange},
    task::Octets,
    time::Mono,
};
use std::sync::Arc;

/// A snapshot that somebody fetches from. It is kept when the stable checkpoint moves on: a transfer takes longer than an
/// interval under load.
#[derive(Debug)]
pub struct Pin {
    sequence: Sequence,
    until: Mono,
    table: Table,
    tree: Option<Tree>,
    /// The stable checkpoint has moved on.
    is_past: bool,
}

impl Pin {
    /// An entry of the table, and its path.
    fn piece(&mut self, index: u32) -> Option<(ClientEntry, Path)> {
        if self.tree.is_none() {
            self.tree = self.table.tree();
        }
        let path = self.tree.as_ref()?.path(index)?;
        Some((self.table.entry(index)?, path))
    }
}

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
            let kept = self.durable.bodies.get(digest).map(|kept| &kept.value);
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
        self.pin(turn.now.mono, sequence)?;
        match part {
            Part::State => turn.effects.push(Effect::ReadPiece { to: from, sequence, index }),
            Part::Clients => {
                let Some(pin) = &mut self.pin else { return Err(Rejection::Unasked) };
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

    /// One snapshot at a time is kept beyond the stable one.
    fn pin(&mut self, now: Mono, sequence: Sequence) -> Result<(), Rejection> {
        let until = now + self.config.pin_for;
        if let Some(pin) = self.pin.as_mut().filter(|pin| pin.sequence == sequence) {
            pin.until = until;
            return Ok(());
        }
        let is_busy = self.pin.as_ref().is_some_and(|pin| pin.is_past && pin.until > now);
        let stable = self.durable.stable.as_ref().filter(|stable| stable.summary.sequence == sequence);
        let held = self.durable.checkpoints.get(&sequence).filter(|_| stable.is_some() && !is_busy);
        let Some(held) = held else { return Err(Rejection::Unasked) };
        self.pin = Some(Pin { sequence, until, table: held.table.clone(), tree: None, is_past: false });
        Ok(())
    }

    /// The stable checkpoint moves on: what is being fetched stays for a while.
    pub(super) fn keep_pinned(&mut self, turn: &Turn<'_>) {
        match &mut self.pin {
            Some(pin) if pin.until > turn.now.mono => pin.is_past = true,
            Some(_) | None => self.pin = None,
        }
    }

    pub(super) fn pinned(&self) -> Option<Sequence> {
        self.pin.as_ref().map(|pin| pin.sequence)
    }
}
