//! Wires between agreement and the rest: what users ask of the committee, and what is kept on disk for it.

use crate::{
    Answer, Changes, ControlMessage, Coordinator, Effect, Fact, Message, Query, QueryReply, Refusal, RequestId,
    agreement::{Agreement, Asked, PAGE_KEY, Pages},
    coordinator::{AGREEMENT, UNASKED},
    queries::Question,
};
use mesh_pbft::Verified;
use mesh_proto::{
    agreement::{self, Operation, Reply},
    codec::{self, DecodeError},
    id::{Digest, NodeId},
    ledger::{self, Index, ProposalId},
    time::Now,
};
use std::collections::{BTreeMap, BTreeSet};

/// Facts of the replica in the store, in their order.
const FACT_KEY: &[u8] = b"af";

impl Coordinator {
    /// Turns what agreement asks for into effects.
    pub(crate) fn with_agreement(
        &mut self,
        effects: &mut Vec<Effect>,
        call: impl FnOnce(&mut Agreement, &mut Vec<Asked>),
    ) {
        let Some(agreement) = &mut self.agreement else { return };
        let mut asked = Vec::new();
        call(agreement, &mut asked);
        for asked in asked {
            match asked {
                Asked::Persist(fact) => {
                    self.position = self.position.next();
                    effects.push(Effect::Persist(Fact::Agreement(fact)));
                }
                Asked::Send { to, message } => {
                    effects.push(Effect::Send { to, message: Message::Consensus(message), after: self.position });
                }
                Asked::Ask { to, question } => {
                    let query = Query::Agreement(question);
                    self.control.push((to, ControlMessage::Query { id: UNASKED, query }));
                }
                Asked::Answer { request, index, at, ran } => {
                    self.requests.item(request, Answer::Ordered { index, at, ran });
                }
                Asked::Refuse { request, index, why } => {
                    self.requests.item(request, Answer::Refused { index, task: None, why });
                }
                Asked::SumUp { sequence, state } => effects.push(Effect::SumUp { sequence, state }),
                Asked::Verify(snapshot) => effects.push(Effect::Verify(snapshot)),
                Asked::Halted(why) => effects.push(Effect::Halted(why)),
                Asked::Accused(accused, how) => effects.push(Effect::Accused { accused, how }),
                Asked::Port(effect) => effects.push(Effect::Port(effect)),
            }
        }
    }

    /// A gateway that reaches the primary alone is heard of by the others when they fetch what it asked for: by then they are
    /// told whether it is of the network.
    pub(crate) fn consensus(&mut self, now: Now, verified: Verified, effects: &mut Vec<Effect>) {
        let gateways = verified.requests().iter().map(|body| body.request.gateway);
        let known: Vec<NodeId> = gateways.filter(|gateway| self.is_of_network(gateway)).collect();
        self.with_agreement(effects, |agreement, asked| agreement.handle(now, verified, &known, asked));
    }

    // Users.

    pub(crate) fn order(&mut self, request: RequestId, operations: &[Operation]) {
        if self.agreement.is_none() {
            return self.requests.refuse(request, operations.len(), &Refusal::NoAgreement);
        }
        self.requests.open(request, operations.len(), false);
        for (index, operation) in (0u32..).zip(operations) {
            let refused = self.refused_order(operation).or_else(|| {
                let is_taken = self.agreement.as_mut().is_some_and(|own| own.order(request, index, operation));
                (!is_taken).then_some(Refusal::Busy { retry_ms: 500 })
            });
            if let Some(why) = refused {
                self.requests.item(request, Answer::Refused { index, task: None, why });
            }
        }
    }

    /// From this node's ledger, else from any that can be reached.
    pub(crate) fn look_at_ledger(&mut self, now: Now, request: RequestId, query: ledger::Query) {
        let own = self.agreement.as_ref().and_then(|agreement| agreement.look(&query));
        match own {
            Some(answer) => self.answer_only(request, Answer::Looked(Some(Box::new(answer)))),
            None => {
                let committee = self.committee_in_reach();
                self.ask_some(now, request, Question::Look(query), committee);
            }
        }
    }

    /// What the committee certified last, from this node's replica, else from any member in reach that holds it.
    pub(crate) fn certify(
        &mut self,
        now: Now,
        request: RequestId,
        (behind, proposal): (Index, Option<ProposalId>),
        but: &BTreeSet<NodeId>,
    ) {
        let agreement = self.agreement.as_ref().filter(|_| !but.contains(&self.node()));
        let own = agreement.and_then(|own| own.bundle(own.certified(behind, proposal.as_ref())?));
        match own {
            Some(bundle) => self.answer_only(request, Answer::Certified(Some((self.node(), Box::new(bundle))))),
            None => {
                let mut committee = self.committee_in_reach();
                committee.retain(|node| !but.contains(node));
                self.ask_some(now, request, Question::Certified { behind, proposal }, committee);
            }
        }
    }

    pub(crate) fn certified_view(&self, replies: BTreeMap<NodeId, QueryReply>) -> Answer {
        Answer::Certified(replies.into_iter().find_map(|(from, reply)| match reply {
            QueryReply::Agreement(Reply::Certified(Some(certified))) => {
                Some((from, Box::new(self.agreement.as_ref()?.bundle(*certified)?)))
            }
            _ => None,
        }))
    }

    pub(crate) fn ask_committee(&mut self, now: Now, request: RequestId) {
        let committee = self.committee_in_reach();
        self.ask_some(now, request, Question::Committee, committee);
    }

    /// Another node is to follow; this one may be told to as well.
    pub(crate) fn recruit(&mut self, now: Now, request: RequestId, node: NodeId, effects: &mut Vec<Effect>) {
        if node == self.node() {
            self.with_agreement(effects, |agreement, asked| agreement.follow(now, asked));
            let standing = self.agreement.as_ref().map(Agreement::standing);
            return self.answer_only(request, Answer::Recruited(standing));
        }
        let reach = if self.members.is_connected(&node) { vec![node] } else { Vec::new() };
        self.ask_some(now, request, Question::Recruit, reach);
    }

    /// Members of the committee that can be talked to, but for this node.
    pub(crate) fn committee_in_reach(&self) -> Vec<NodeId> {
        let committee = self.agreement.as_ref().map_or(&[][..], Agreement::committee);
        committee.iter().copied().filter(|node| self.members.is_connected(node)).collect()
    }

    // Others.

    pub(crate) fn asked_of_agreement(
        &mut self,
        now: Now,
        from: NodeId,
        id: u64,
        question: agreement::Question,
        effects: &mut Vec<Effect>,
    ) {
        let mut reply = None;
        self.with_agreement(effects, |agreement, asked| reply = Some(agreement.answer(now, from, question, asked)));
        if let Some(reply) = reply {
            self.reply(from, id, QueryReply::Agreement(reply));
        }
    }

    // The disk.

    pub(crate) fn load_agreement(&mut self, key: &[u8], value: &[u8]) -> Result<(), DecodeError> {
        debug_assert_eq!(key.first(), Some(&AGREEMENT));
        if let Some(digest) = key.strip_prefix(PAGE_KEY).and_then(|rest| rest.try_into().ok()) {
            self.pages.push((Digest::from_bytes(digest), value.into()));
        } else if key.starts_with(FACT_KEY) {
            self.agreement_facts.push((key.to_vec(), value.to_vec()));
        }
        Ok(())
    }

    /// All entries of the store are here: the state first, then the facts that go with it.
    pub(crate) fn agreement_loaded(&mut self) {
        let pages = std::mem::take(&mut self.pages);
        let mut facts = std::mem::take(&mut self.agreement_facts);
        facts.sort();
        let Some(agreement) = &mut self.agreement else { return };
        self.stored_facts = u32::try_from(facts.len()).unwrap_or(u32::MAX);
        if !facts.is_empty() {
            agreement.load(&pages, facts.iter().map(|(_, fact)| &fact[..]));
        }
    }

    /// The replica's facts are written anew each time: they are few, but for what is under way.
    pub(crate) fn take_agreement(&mut self, changes: &mut Changes) -> Pages {
        let Some((facts, pages)) = self.agreement.as_mut().and_then(Agreement::take_changes) else {
            return Pages::default();
        };
        let key = |number: u32| [FACT_KEY, &number.to_be_bytes()].concat();
        let now = u32::try_from(facts.len()).unwrap_or(u32::MAX);
        changes.extend((0..).zip(facts).map(|(number, fact)| (key(number), Some(codec::encode(&fact)))));
        changes.extend((now..self.stored_facts).map(|number| (key(number), None)));
        self.stored_facts = now;
        pages
    }
}
