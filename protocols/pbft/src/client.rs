//! A gateway's side: it sends requests to all replicas and believes f + 1 that say the same. Section 4.1.

use crate::{Quorums, Recipient, Verified, verified::Checked};
use mesh_proto::{
    id::{Digest, NetworkId, NodeId},
    key::SecretKey,
    pbft::{
        Answered, EpochConfig, Message, Operations, Outcome, ReplicaId, Reply, Request, RequestNumber, Sequence, View,
    },
    time::{Mono, Now},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// A request without an outcome is sent again after this; doubles. Default 400 ms.
    pub retry: Duration,
    /// The longest pause. Default 5 s.
    pub retry_max: Duration,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self { retry: Duration::from_millis(400), retry_max: Duration::from_secs(5) }
    }
}

/// The machine of one gateway.
///
/// [`Client::submit`] gives a request its number; its [`ClientEffect::Done`], or [`ClientEffect::Displaced`], comes once,
/// after [`Client::handle`] has seen enough replies. [`Client::handle_deadline`] is to be called at [`Client::deadline`].
/// What it remembers is not kept on a disk: after a restart it begins at higher numbers, and users repeat what they got no
/// outcome for. Where the clock went back meanwhile it begins among numbers that it used before, for other requests, some
/// of which may still be executed. So an outcome is believed for the very request that the replies name.
pub struct Client {
    config: ClientConfig,
    network: NetworkId,
    key: Arc<SecretKey>,
    epoch: Arc<EpochConfig>,
    /// The first of its numbers.
    life: RequestNumber,
    next: RequestNumber,
    pending: BTreeMap<RequestNumber, Pending>,
    /// As the replicas last said.
    view: View,
}

struct Pending {
    request: Arc<Request>,
    digest: Digest,
    replies: BTreeMap<ReplicaId, Arc<Reply>>,
    again: Mono,
    pause: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientEffect {
    Send {
        to: Recipient,
        message: Arc<Message>,
    },
    /// What came of a request, with the replies that prove it to whoever has the epoch's configuration.
    Done {
        number: RequestNumber,
        sequence: Sequence,
        outcome: Outcome,
        proof: Vec<Arc<Reply>>,
    },
    /// The number was used up by another request of this gateway, of a life before this one: this one was not executed and
    /// never will be. What it asked for is to be submitted again.
    Displaced {
        number: RequestNumber,
    },
}

/// Why a client refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientRejection {
    #[error("as many requests as the window holds are under way")]
    Busy,
    #[error("{size} bytes of operations, above the limit of {limit}")]
    TooLarge { size: usize, limit: usize },
    #[error("not a reply to something asked here")]
    Unasked,
}

impl Client {
    /// Numbers begin at `first`, above all that this gateway has used if its clock is right: see
    /// [`RequestNumber::starting`].
    pub fn new(
        config: ClientConfig,
        network: NetworkId,
        key: Arc<SecretKey>,
        epoch: Arc<EpochConfig>,
        first: RequestNumber,
    ) -> Self {
        let life = first.max(RequestNumber::new(1));
        Self { config, network, key, epoch, life, next: life, pending: BTreeMap::new(), view: View::ZERO }
    }

    /// Signs operations as one request and sends it.
    pub fn submit(
        &mut self,
        now: Now,
        operations: Operations,
        effects: &mut Vec<ClientEffect>,
    ) -> Result<RequestNumber, ClientRejection> {
        let (size, limit) = (operations.as_bytes().len(), self.epoch.request_bytes as usize);
        if size > limit {
            return Err(ClientRejection::TooLarge { size, limit });
        }
        if !self.has_room() {
            return Err(ClientRejection::Busy);
        }
        let number = self.next;
        self.next = number.next();
        let (request, digest) = Request::sign_with_digest(&self.key, &self.network, (self.life, number), operations);
        let (request, pause) = (Arc::new(request), self.config.retry);
        send(effects, Arc::clone(&request));
        self.pending
            .insert(number, Pending { request, digest, replies: BTreeMap::new(), again: now.mono + pause, pause });
        Ok(number)
    }

    /// Takes a reply. Replies about nothing that waits cost nothing.
    pub fn handle(&mut self, verified: Verified, effects: &mut Vec<ClientEffect>) -> Result<(), ClientRejection> {
        let Checked::Reply(reply) = verified.message else { return Err(ClientRejection::Unasked) };
        if reply.gateway != self.key.node_id() || reply.epoch != self.epoch.epoch {
            return Err(ClientRejection::Unasked);
        }
        let mut is_asked = false;
        for answered in &reply.outcomes {
            let Some(pending) = self.pending.get_mut(&answered.number) else { continue };
            is_asked = true;
            pending.replies.insert(reply.replica, Arc::clone(&reply));
            match answered.request == pending.digest {
                true => self.conclude(answered, effects),
                false => self.displace(answered.number, effects),
            }
        }
        if is_asked { Ok(()) } else { Err(ClientRejection::Unasked) }
    }

    pub fn deadline(&self) -> Option<Mono> {
        self.pending.values().map(|pending| pending.again).min()
    }

    /// Sends again, to all, what has no outcome yet: backups that executed it answer, the others watch the primary.
    pub fn handle_deadline(&mut self, now: Now, effects: &mut Vec<ClientEffect>) {
        for pending in self.pending.values_mut().filter(|pending| pending.again <= now.mono) {
            pending.pause = (pending.pause * 2).min(self.config.retry_max);
            pending.again = now.mono + pending.pause;
            send(effects, Arc::clone(&pending.request));
        }
    }

    /// The committee has changed: its members are asked from now on, and counted anew.
    pub fn set_epoch(&mut self, epoch: Arc<EpochConfig>, now: Now) {
        if epoch.epoch <= self.epoch.epoch {
            return;
        }
        self.epoch = epoch;
        self.view = View::ZERO;
        for pending in self.pending.values_mut() {
            pending.replies.clear();
            pending.again = now.mono;
        }
    }

    /// Whether another request fits into the window.
    pub fn has_room(&self) -> bool {
        let oldest = self.pending.first_key_value().map_or(self.next, |(number, _)| *number);
        self.next.above(oldest) < u64::from(self.epoch.client_window)
    }

    /// Whose primary the replicas said they follow.
    pub fn primary(&self) -> Option<NodeId> {
        self.epoch.member(self.epoch.primary(self.view))
    }

    pub fn waiting(&self) -> usize {
        self.pending.len()
    }

    /// f + 1 replicas that say the same of a request: one of them is correct.
    fn conclude(&mut self, answered: &Answered, effects: &mut Vec<ClientEffect>) {
        let weak = Quorums::of(self.epoch.members.len()).weak();
        let Answered { number, outcome, .. } = answered;
        let Some(pending) = self.pending.get(number) else { return };
        let proof: Vec<Arc<Reply>> = pending.saying(|said| said == answered).cloned().collect();
        if proof.len() < weak {
            return;
        }
        self.pending.remove(number);
        self.view = proof.iter().map(|reply| reply.view).min().unwrap_or_default();
        if let Outcome::TooOld(floor) = outcome {
            self.skip_above(*floor);
        }
        // One of them is correct, and the others may say any number that is not below its own.
        let sequence = proof.iter().map(|reply| reply.sequence).min().unwrap_or_default();
        effects.push(ClientEffect::Done { number: *number, sequence, outcome: outcome.clone(), proof });
    }

    /// f + 1 replicas that executed another request under the number, whichever they name: one of them is correct, and no
    /// correct one executes a number twice. That another was too old, or too new, says nothing of this one.
    fn displace(&mut self, number: RequestNumber, effects: &mut Vec<ClientEffect>) {
        let weak = Quorums::of(self.epoch.members.len()).weak();
        let Some(pending) = self.pending.get(&number) else { return };
        let is_another =
            |said: &Answered| said.number == number && said.request != pending.digest && said.outcome.was_executed();
        if pending.saying(is_another).count() < weak {
            return;
        }
        self.pending.remove(&number);
        self.skip_above(number);
        effects.push(ClientEffect::Displaced { number });
    }

    /// Of a window of numbers above this some were executed, of a life before this one, and as many above may be under way
    /// (simulator, seed 130): a request under any of them would be displaced.
    fn skip_above(&mut self, used: RequestNumber) {
        self.next = self.next.max(used.plus(2 * u64::from(self.epoch.client_window)).next());
    }
}

impl Pending {
    /// The replies in which a replica says something like this.
    fn saying(&self, is_it: impl Fn(&Answered) -> bool) -> impl Iterator<Item = &Arc<Reply>> {
        self.replies.values().filter(move |reply| reply.outcomes.iter().any(&is_it))
    }
}

fn send(effects: &mut Vec<ClientEffect>, request: Arc<Request>) {
    effects.push(ClientEffect::Send { to: Recipient::Members, message: Arc::new(Message::Request(request)) });
}
