//! Questions that one node cannot answer alone: asked of all that can be reached, answered with what came in time.

use crate::{
    Answer, ControlMessage, Coordinator, DrainView, MemberView, Query, QueryReply, RequestId, StatusView, StoryLine,
    TaskView,
    agreement::AgreementView,
    lists::Listing,
    scan::{Asker, Wanted},
};
use mesh_membership::Role;
use mesh_proto::{
    agreement::{self, Reply, Standing},
    id::{NodeId, TaskId},
    ledger,
    task::Held,
    time::{Mono, Now},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
    time::Duration,
};

/// How long others are waited for.
const PATIENCE: Duration = Duration::from_secs(1);
/// For a list, which may take a look at a million records.
const LIST_PATIENCE: Duration = Duration::from_secs(10);

/// What a user wants to know.
#[derive(Clone, Debug)]
pub enum Question {
    Show(TaskId),
    List(Box<Listing>),
    Resolve(String),
    /// Of one that has a ledger.
    Look(ledger::Query),
    /// Of one that holds what was certified last.
    Certified {
        behind: ledger::Index,
        proposal: Option<ledger::ProposalId>,
    },
    /// Where the committee stands.
    Committee,
    /// A node is to follow the committee.
    Recruit,
}

/// Questions under way.
#[derive(Debug, Default)]
pub struct Queries {
    next: u64,
    open: BTreeMap<u64, Open>,
}

#[derive(Debug)]
struct Open {
    request: RequestId,
    question: Question,
    waiting: BTreeSet<NodeId>,
    replies: BTreeMap<NodeId, QueryReply>,
    deadline: Mono,
    silent: Vec<NodeId>,
}

impl Open {
    fn pass(&mut self, node: NodeId) {
        if self.waiting.remove(&node) {
            self.silent.push(node);
        }
    }
}

impl Queries {
    pub fn deadline(&self) -> Option<Mono> {
        let due = |open: &Open| if open.waiting.is_empty() { Mono::default() } else { open.deadline };
        self.open.values().map(due).min()
    }

    /// It will not answer.
    pub fn gone(&mut self, node: NodeId) {
        self.open.values_mut().for_each(|open| open.pass(node));
    }

    /// It will not answer this one.
    pub fn pass(&mut self, query: u64, node: NodeId) {
        if let Some(open) = self.open.get_mut(&query) {
            open.pass(node);
        }
    }

    pub fn is_open(&self, query: u64) -> bool {
        self.open.contains_key(&query)
    }

    pub fn leave(&mut self, request: RequestId) {
        self.open.retain(|_, open| open.request != request);
    }
}

fn query(question: &Question) -> Query {
    match question {
        Question::Show(task) => Query::Task(*task),
        Question::List(listing) => listing.query(),
        Question::Resolve(prefix) => Query::Prefix(prefix.clone()),
        Question::Look(query) => Query::Agreement(agreement::Question::Ledger(query.clone())),
        Question::Certified { behind, proposal } => {
            let (behind, proposal) = (*behind, *proposal);
            Query::Agreement(agreement::Question::Certified { behind, proposal })
        }
        Question::Committee => Query::Agreement(agreement::Question::Standing),
        Question::Recruit => Query::Agreement(agreement::Question::Follow),
    }
}

fn stands(reply: &QueryReply) -> Option<Standing> {
    match reply {
        QueryReply::Agreement(Reply::Standing(standing)) => Some(*standing),
        _ => None,
    }
}

impl Coordinator {
    /// Asks every member that can be reached, and itself.
    pub(crate) fn ask_all(&mut self, now: Now, request: RequestId, question: Question) {
        let patience = if matches!(question, Question::List(_)) { LIST_PATIENCE } else { PATIENCE };
        self.ask_until(now, now.mono + patience, request, question);
    }

    fn ask_until(&mut self, now: Now, deadline: Mono, request: RequestId, question: Question) {
        let id = self.queries.next;
        self.queries.next += 1;
        let query = query(&question);
        let mut waiting: BTreeSet<NodeId> = self.members.connected().collect();
        let silent = self
            .members
            .others()
            .filter(|member| member.keeps_tasks() && !waiting.contains(&member.node))
            .map(|member| member.node)
            .collect();
        // What this node knows itself comes like the others' replies.
        let me = self.node();
        waiting.insert(me);
        if let Question::List(listing) = &question {
            waiting.retain(|node| !listing.gave_up(node));
        }
        for node in waiting.iter().filter(|node| **node != me) {
            self.control.push((*node, ControlMessage::Query { id, query: query.clone() }));
        }
        let asks_itself = waiting.contains(&me);
        self.queries.open.insert(id, Open { request, question, waiting, replies: BTreeMap::new(), deadline, silent });
        match query {
            _ if !asks_itself => {}
            Query::List(filter) => self.begin_scan(now, Asker::Own(id), Wanted::Matching(filter)),
            Query::Rows(tasks) => self.begin_scan(now, Asker::Own(id), Wanted::These(tasks.into())),
            Query::Task(task) => self.on_reply(now, self.node(), id, self.account_of(now, &task)),
            Query::Prefix(prefix) => self.on_reply(now, self.node(), id, self.ids_with(&prefix)),
            // Asked of some, not of all.
            Query::Agreement(_) => {}
        }
    }

    /// Asks these.
    pub(crate) fn ask_some(&mut self, now: Now, request: RequestId, question: Question, nodes: Vec<NodeId>) {
        let id = self.queries.next;
        self.queries.next += 1;
        let query = query(&question);
        for node in &nodes {
            self.control.push((*node, ControlMessage::Query { id, query: query.clone() }));
        }
        let waiting = BTreeSet::from_iter(nodes);
        let (replies, silent, deadline) = (BTreeMap::new(), Vec::new(), now.mono + PATIENCE);
        let is_nobody = waiting.is_empty();
        self.queries.open.insert(id, Open { request, question, waiting, replies, deadline, silent });
        if is_nobody {
            self.conclude(now, id);
        }
    }

    pub(crate) fn on_query(&mut self, now: Now, from: NodeId, id: u64, query: Query) {
        match query {
            Query::List(filter) => self.begin_scan(now, Asker::Peer(from, id), Wanted::Matching(filter)),
            Query::Rows(tasks) => self.begin_scan(now, Asker::Peer(from, id), Wanted::These(tasks.into())),
            Query::Task(task) => self.reply(from, id, self.account_of(now, &task)),
            Query::Prefix(prefix) => self.reply(from, id, self.ids_with(&prefix)),
            // Answered by agreement.
            Query::Agreement(_) => {}
        }
    }

    pub(crate) fn reply(&mut self, to: NodeId, id: u64, reply: QueryReply) {
        self.control.push((to, ControlMessage::Reply { id, reply }));
    }

    pub(crate) fn on_reply(&mut self, now: Now, from: NodeId, id: u64, reply: QueryReply) {
        let Some(open) = self.queries.open.get_mut(&id) else { return };
        if open.waiting.remove(&from) {
            // One that has a ledger is enough.
            let is_enough = matches!(reply, QueryReply::Agreement(Reply::Ledger(Some(_)) | Reply::Certified(Some(_))));
            open.replies.insert(from, reply);
            if open.waiting.is_empty() || is_enough {
                self.conclude(now, id);
            }
        }
    }

    /// Those that have not answered in time are named instead.
    pub(crate) fn answer_overdue(&mut self, now: Now) {
        let due: Vec<u64> = self
            .queries
            .open
            .iter()
            .filter(|(_, open)| open.deadline <= now.mono || open.waiting.is_empty())
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            self.conclude(now, id);
        }
    }

    fn conclude(&mut self, now: Now, id: u64) {
        let Some(mut open) = self.queries.open.remove(&id) else { return };
        open.silent.extend(&open.waiting);
        let answer = match open.question {
            Question::Show(task) => match view(task, open.replies, open.silent) {
                Some(view) => Answer::Task(Box::new(view)),
                None => Answer::Missing { task },
            },
            Question::List(mut listing) => match listing.take(open.replies, open.silent) {
                Some(list) => Answer::Tasks(list),
                // Who answers so late that nothing is left of this time has as much again.
                None => {
                    return self.ask_until(now, open.deadline + LIST_PATIENCE, open.request, Question::List(listing));
                }
            },
            Question::Resolve(_) => {
                let mut found: BTreeSet<TaskId> = BTreeSet::new();
                for reply in open.replies.into_values() {
                    if let QueryReply::Prefix(tasks) = reply {
                        found.extend(tasks);
                    }
                }
                Answer::Matches(found.into_iter().collect())
            }
            Question::Look(_) => Answer::Looked(open.replies.into_values().find_map(|reply| match reply {
                QueryReply::Agreement(Reply::Ledger(answer)) => answer,
                _ => None,
            })),
            Question::Certified { .. } => self.certified_view(open.replies),
            Question::Recruit => Answer::Recruited(open.replies.into_values().find_map(|reply| stands(&reply))),
            Question::Committee => self.agreement_view(&open.replies),
        };
        self.answer_only(open.request, answer);
    }

    fn agreement_view(&self, replies: &BTreeMap<NodeId, QueryReply>) -> Answer {
        let (Some(agreement), Some(mut view)) = (&self.agreement, self.agreement_now()) else {
            return Answer::Looked(None);
        };
        let standing = |node: &NodeId| match *node == self.node() {
            true => Some(agreement.standing()),
            false => replies.get(node).and_then(stands),
        };
        view.members = agreement.committee().iter().map(|node| (*node, standing(node))).collect();
        Answer::Agreement(Box::new(view))
    }

    fn agreement_now(&self) -> Option<AgreementView> {
        let mut view = self.agreement.as_ref()?.view();
        view.reachable = self.seats().map_or(0, |seats| u32::try_from(seats.sees).unwrap_or(u32::MAX));
        view.read_only = self.read_only();
        Some(view)
    }

    /// What this node itself knows of a task.
    fn account_of(&self, now: Now, task: &TaskId) -> QueryReply {
        let told = self.tasks.story_of(task).into_iter();
        QueryReply::Task {
            held: self.tasks.shelf().copy(task).map(|copy| copy.to_held()),
            driving: self.tasks.waiting_for(task),
            running: self.tasks.is_running(task),
            story: told.map(|(at, what)| StoryLine { at, node: self.node(), what }).collect(),
            lack: self.tasks.lack_of(task),
            outlook: self.tasks.outlook_of(now, task).map(Box::new),
            awaits: self.tasks.awaited_by(task),
        }
    }

    fn ids_with(&self, prefix: &str) -> QueryReply {
        let is_prefix = prefix.len() <= 64 && prefix.bytes().all(|b| b.is_ascii_hexdigit());
        let lowest = format!("{prefix:0<64}").parse::<TaskId>();
        let found = match (is_prefix, lowest) {
            (true, Ok(lowest)) => self
                .tasks
                .shelf()
                .glances(Bound::Included(lowest))
                .map(|(task, _)| *task)
                .take_while(|task| task.to_string().starts_with(prefix))
                .take(16)
                .collect(),
            _ => Vec::new(),
        };
        QueryReply::Prefix(found)
    }

    pub(crate) fn status(&self) -> StatusView {
        let totals = self.tasks.totals();
        let holding = || self.members.others().filter(|member| member.holds_tasks());
        let own = u32::from(self.members.me().holds_tasks());
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        StatusView {
            node: self.node(),
            store: self.store(),
            introduced: self.members.is_introduced(),
            members: count(holding().count()) + own,
            reachable: count(holding().filter(|member| self.members.is_connected(&member.node)).count()) + own,
            held: totals.held as u64,
            held_live: totals.held_live as u64,
            driving: totals.driving as u64,
            orphaned: totals.orphaned as u64,
            following: (totals.following + totals.placing) as u64,
            queued: totals.queued as u64,
            hoarded: totals.hoarded as u64,
            running: u64::from(totals.running),
            slots: self.config.tasks.slots,
            outbox: totals.outbox as u64,
            disk_has_room: self.has_room,
            partition: self.partition(),
            drain: self.members.me().drains.then(|| DrainView {
                to_move: totals.to_move.flatten().map(|records| records as u64),
                copies: u32::try_from(self.config.tasks.copies).unwrap_or(u32::MAX),
                polls: totals.polls as u64,
            }),
            keeps_tasks: self.members.me().keeps_tasks(),
            liveness: self.members.counters(),
            aggregations: self.aggregations.counters(),
            agreement: self.agreement_now(),
            serials: self.told_serials(),
            counters: self.tasks.counters().iter().map(|(name, count)| (name.to_owned(), count)).collect(),
        }
    }

    pub(crate) fn member_views(&self, now: Now) -> Vec<MemberView> {
        let others = self.members.others().map(|member| {
            let connected = self.members.is_connected(&member.node);
            let load = self.tasks.roster().seat(&member.node).map(|seat| seat.load);
            let state = match (member.standing, connected) {
                (mesh_membership::Standing::Left, _) => "left",
                (mesh_membership::Standing::Forgotten, _) => "forgotten",
                (mesh_membership::Standing::Joined, true) if member.drains => "draining",
                (mesh_membership::Standing::Joined, true) => "alive",
                (mesh_membership::Standing::Joined, false) => "silent",
            };
            let heard = self.members.last_heard(&member.node).filter(|heard| *heard > Mono::default());
            MemberView {
                node: member.node,
                store: member.store,
                role: role_text(member.role).into(),
                dated: member.dated,
                state: state.into(),
                addresses: member.addresses.clone(),
                name: member.name.clone(),
                zone: member.zone.clone(),
                capabilities: member.capabilities.clone(),
                load: load.filter(|_| connected).map(|load| (load.slots, load.running, load.queued)),
                standpoint: self.members.standpoint(&member.node),
                history: self.members.history(&member.node).copied().collect(),
                heard_ms: heard.map(|at| u64::try_from(now.mono.since(at).as_millis()).unwrap_or(u64::MAX)),
            }
        });
        let me = self.members.me();
        let totals = self.tasks.totals();
        let own = MemberView {
            node: me.node,
            store: me.store,
            role: role_text(me.role).into(),
            dated: me.dated,
            state: "self".into(),
            addresses: me.addresses.clone(),
            name: me.name.clone(),
            zone: me.zone.clone(),
            capabilities: me.capabilities.clone(),
            load: Some((self.config.tasks.slots, totals.running, u32::try_from(totals.queued).unwrap_or(u32::MAX))),
            heard_ms: Some(0),
            standpoint: None,
            history: Vec::new(),
        };
        std::iter::once(own).chain(others).collect()
    }
}

/// One account of a task out of many: the latest copy, what its driver waits for, and the story in order.
fn view(task: TaskId, replies: BTreeMap<NodeId, QueryReply>, silent: Vec<NodeId>) -> Option<TaskView> {
    let mut best: Option<Held> = None;
    let (mut driving, mut is_running, mut story, mut lack, mut outlook) = (None, false, Vec::new(), None, None);
    let mut awaits = Vec::new();
    let mut copies: Vec<Held> = Vec::new();
    for reply in replies.into_values() {
        let QueryReply::Task {
            held,
            driving: theirs,
            running,
            story: lines,
            lack: lacked,
            outlook: told,
            awaits: open,
        } = reply
        else {
            continue;
        };
        if let Some(held) = held.filter(|held| held.birth.task == task) {
            if best.as_ref().is_none_or(|best| (best.ballot, best.version) < (held.ballot, held.version)) {
                best = Some(held.clone());
            }
            copies.push(held);
        }
        driving = driving.or(theirs);
        lack = lack.or(lacked);
        outlook = outlook.or(told);
        if awaits.is_empty() {
            awaits = open;
        }
        is_running |= running;
        story.extend(lines);
    }
    let best = best?;
    let stamp = (best.ballot, best.version);
    let have = copies.iter().filter(|held| (held.ballot, held.version) == stamp).count();
    let holders: Vec<NodeId> = best.register.holders.iter().map(|holder| holder.node).collect();
    for failed in &best.register.failed {
        let what = format!("attempt {} failed: {}", failed.attempt.number, failed.why);
        story.push(StoryLine { at: failed.at, node: failed.attempt.executor, what });
    }
    story.sort();
    story.dedup();
    let in_force = have > holders.len() / 2;
    Some(TaskView {
        task,
        spec: best.birth.spec.clone(),
        gateway: best.birth.gateway,
        placed: best.birth.placed,
        ballot: best.ballot,
        version: best.version,
        register: Arc::clone(&best.register),
        in_force,
        running: is_running && best.register.ending().is_none(),
        lack: lack.filter(|_| best.register.ending().is_none()),
        outlook: outlook.filter(|_| best.register.ending().is_none()).map(|told| *told),
        awaits: if best.register.ending().is_none() { awaits } else { Vec::new() },
        waiting_for: match driving {
            Some(nodes) => nodes,
            None if in_force => Vec::new(),
            None => holders.into_iter().filter(|node| silent.contains(node)).collect(),
        },
        story,
        silent,
    })
}

fn role_text(role: Role) -> &'static str {
    match role {
        Role::Full => "full",
        Role::Worker => "worker",
        Role::Relay => "relay",
        Role::Client => "client",
    }
}
