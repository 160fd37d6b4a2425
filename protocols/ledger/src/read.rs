//! Answers to questions, from the state as of the last batch.

use crate::{
    Ledger,
    execute::{
        members::{Inviter, Member},
        memory,
    },
    key,
    state::{State, record},
};
use mesh_proto::{
    ledger::{Answer, Claim, Entry, MemoryKey, Namespace, Pattern, ProposalId, Query, Row, Standing},
    limits,
};
use std::ops::ControlFlow;

impl Ledger {
    #[must_use]
    pub fn answer(&self, query: &Query) -> Answer {
        let state = &self.state;
        let mut rows = Rows::new();
        match query {
            Query::Get { namespace, key } => {
                let entry = state.map.entry(&key::memory(namespace.as_str(), key.as_str()));
                rows.one(entry.and_then(|entry| memory_row(state, entry)));
            }
            Query::List { namespace, prefix, after, limit } => {
                let prefix = prefix.as_ref().map_or("", MemoryKey::as_str);
                let after = after.as_ref().map(|after| key::memory(namespace.as_str(), after.as_str()));
                let below = key::memory(namespace.as_str(), prefix);
                rows.list(state, &below, after, *limit, |entry| memory_row(state, entry));
            }
            Query::Search { namespace, pattern, after, limit } => {
                search(state, &mut rows, namespace, pattern, after.as_ref(), *limit);
            }
            Query::Proposal(id) => rows.one(proposal_row(state, id)),
            Query::Proposals { after, limit } => {
                let after = after.as_ref().map(key::proposal);
                rows.list(state, &[key::PROPOSAL], after, *limit, |entry| {
                    proposal_row(state, &key::proposal_of(entry.key())?)
                });
            }
            Query::Votes(id) => {
                if let Some(standing) = state.get::<Standing>(&id.standing_key()) {
                    let below = key::round(id, standing.round);
                    rows.list(state, &below, None, u16::MAX, |entry| Some(Row::Vote(record(entry.value()))));
                }
            }
            Query::Claim(claim) => {
                let held = state.get(&key::claim(claim));
                rows.one(held.map(|held| Row::Claim { claim: claim.clone(), held }));
            }
            Query::Locks { after, limit } => {
                let after = after.as_ref().map(|name| key::claim(&Claim::Lock(name.clone())));
                rows.list(state, &[key::LOCK], after, *limit, claim_row);
            }
            Query::Awards { after, limit } => {
                let after = after.map(|task| key::claim(&Claim::Task(task)));
                rows.list(state, &[key::AWARD], after, *limit, claim_row);
            }
            Query::Committee => rows.one(Some(Row::Committee {
                committee: state.committee.clone(),
                version: state.meta.version,
                serial: state.meta.serial,
            })),
            Query::Members { after, limit } => {
                let after = after.map(|node| key::node(key::MEMBER, &node));
                rows.list(state, &[key::MEMBER], after, *limit, |entry| member_row(state, entry));
            }
            Query::Member(node) => {
                rows.one(state.map.entry(&key::node(key::MEMBER, node)).and_then(|entry| member_row(state, entry)));
            }
            Query::Inviters { after, limit } => {
                let after = after.map(|node| key::node(key::INVITER, &node));
                rows.list(state, &[key::INVITER], after, *limit, inviter_row);
            }
            Query::Evidence(accused) => {
                let below = key::node(key::EVIDENCE, accused);
                rows.list(state, &below, None, u16::MAX, |entry| Some(Row::Evidence(record(entry.value()))));
            }
        }
        Answer { index: state.meta.index, time: state.meta.time, rows: rows.rows, more: rows.more }
    }
}

/// What goes into one answer.
struct Rows {
    rows: Vec<Row>,
    bytes: usize,
    more: bool,
}

impl Rows {
    fn new() -> Self {
        Self { rows: Vec::new(), bytes: 0, more: false }
    }

    fn one(&mut self, row: Option<Row>) {
        self.rows.extend(row);
    }

    /// Whether another row would be too much.
    fn is_full(&self, limit: usize) -> bool {
        self.rows.len() >= limit.min(limits::ANSWER_ROWS) || self.bytes >= limits::ANSWER_BYTES
    }

    /// The entries whose keys begin so, behind `after`.
    fn list(
        &mut self,
        state: &State,
        below: &[u8],
        after: Option<Vec<u8>>,
        limit: u16,
        row: impl Fn(&Entry) -> Option<Row>,
    ) {
        let from = after.as_deref().unwrap_or_default().max(below);
        state.map.scan(from, |entry| {
            if !entry.key().starts_with(below) {
                return ControlFlow::Break(());
            }
            if Some(entry.key()) == after.as_deref() {
                return ControlFlow::Continue(());
            }
            let Some(row) = row(entry) else { return ControlFlow::Continue(()) };
            if self.is_full(usize::from(limit)) {
                self.more = true;
                return ControlFlow::Break(());
            }
            self.add(row, entry);
            ControlFlow::Continue(())
        });
    }

    fn add(&mut self, row: Row, entry: &Entry) {
        self.bytes += entry.key().len() + entry.value().len();
        self.rows.push(row);
    }
}

fn search(
    state: &State,
    rows: &mut Rows,
    namespace: &Namespace,
    pattern: &Pattern,
    after: Option<&MemoryKey>,
    limit: u16,
) {
    let below = key::memory(namespace.as_str(), "");
    let after = after.map(|after| key::memory(namespace.as_str(), after.as_str()));
    let mut looked = 0;
    state.map.scan(after.as_deref().unwrap_or(&below), |entry| {
        if !entry.key().starts_with(&below) {
            return ControlFlow::Break(());
        }
        if Some(entry.key()) == after.as_deref() {
            return ControlFlow::Continue(());
        }
        if rows.is_full(usize::from(limit)) {
            rows.more = true;
            return ControlFlow::Break(());
        }
        let Some(Row::Memory { key, item }) = memory_row(state, entry) else { return ControlFlow::Continue(()) };
        looked += 1;
        let found = is_in(pattern.as_str(), key.as_str().as_bytes()) || is_in(pattern.as_str(), &item.value);
        if looked == limits::SEARCHED_ROWS && !found {
            rows.rows.push(Row::Looked(key));
            rows.more = true;
            return ControlFlow::Break(());
        }
        if found {
            rows.add(Row::Memory { key, item }, entry);
        }
        if looked == limits::SEARCHED_ROWS {
            rows.more = true;
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
}

/// Whether the parts of a pattern, between its stars, follow each other in a text.
fn is_in(pattern: &str, text: &[u8]) -> bool {
    let mut rest = text;
    pattern.split('*').filter(|part| !part.is_empty()).all(|part| {
        match rest.windows(part.len()).position(|window| window == part.as_bytes()) {
            Some(at) => {
                rest = &rest[at + part.len()..];
                true
            }
            None => false,
        }
    })
}

fn memory_row(state: &State, entry: &Entry) -> Option<Row> {
    Some(Row::Memory { key: memory::key_of(entry)?, item: memory::read_live(entry, state.now())? })
}

fn proposal_row(state: &State, id: &ProposalId) -> Option<Row> {
    let proposal = Box::new(state.get(&key::proposal(id))?);
    Some(Row::Proposal { id: *id, proposal, standing: state.get(&id.standing_key())? })
}

fn claim_row(entry: &Entry) -> Option<Row> {
    Some(Row::Claim { claim: key::claim_of(entry.key())?, held: record(entry.value()) })
}

fn member_row(state: &State, entry: &Entry) -> Option<Row> {
    let node = key::node_of(entry.key())?;
    let Member { role, invited, until, revoked, .. } = record(entry.value());
    Some(Row::Member { node, role, invited, until, revoked, seated: state.committee.seat(&node).is_some() })
}

fn inviter_row(entry: &Entry) -> Option<Row> {
    let key = key::node_of(entry.key())?;
    let Inviter { uses, until, governs } = record(entry.value());
    Some(Row::Inviter { key, uses, until, governs })
}
