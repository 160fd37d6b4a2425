//! Lists: what all in reach hold, a page at a time.
//!
//! A node offers what would be listed by its own account, and that may be behind: only its executor and its driver know
//! that a task runs, and a holder that was away has missed an end. So where what is asked for changes, all are asked for
//! their accounts of what was offered, and the most advanced one of each task decides. Nothing is missed: whoever has that
//! account has offered it, if it is what is asked for. Since some offers come to nothing, a page may take several rounds.

use crate::{Coordinator, ListFilter, Query, QueryReply, TaskList, TaskSummary};
use mesh_proto::{
    id::{NodeId, TaskId},
    task::{How, Program, Register, Spec, State, Status},
};
use std::collections::{BTreeMap, BTreeSet};

/// Ids or summaries in one reply, at most.
pub(crate) const REPLY_MAX: u32 = mesh_proto::limits::REPLY_TASKS as u32;
/// Rounds for one page, at most: then it is shorter, and says where the next one begins. All but the first have
/// [`REPLY_MAX`] offers, so that this many offers come to nothing only where nearly all nodes are behind.
const ROUNDS: u32 = 16;

/// A page under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Its `after` is where the next round begins, its `limit` that of the page.
    filter: ListFilter,
    rounds: u32,
    /// Offered in this round, and asked for.
    offered: Option<Offered>,
    list: TaskList,
    silent: BTreeSet<NodeId>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Offered {
    /// The most advanced account of each.
    accounts: BTreeMap<TaskId, TaskSummary>,
    /// Where there is more: behind this one.
    next: Option<TaskId>,
}

impl Listing {
    pub(crate) fn new(mut filter: ListFilter) -> Self {
        filter.limit = filter.limit.min(REPLY_MAX);
        Self { filter, rounds: 0, offered: None, list: TaskList::default(), silent: BTreeSet::new() }
    }

    /// What to ask all for now.
    pub(crate) fn query(&self) -> Query {
        match &self.offered {
            Some(offered) => Query::Rows(offered.accounts.keys().copied().collect()),
            None => Query::List(ListFilter { limit: self.offers(), ..self.filter.clone() }),
        }
    }

    /// It has not answered before, and is waited for no more.
    pub(crate) fn gave_up(&self, node: &NodeId) -> bool {
        self.silent.contains(node)
    }

    /// Takes what was answered to its query; the page, or nothing if there is more to ask.
    pub(crate) fn take(&mut self, replies: BTreeMap<NodeId, QueryReply>, silent: Vec<NodeId>) -> Option<TaskList> {
        self.silent.extend(silent);
        let lists: Vec<Vec<TaskSummary>> = replies
            .into_values()
            .filter_map(|reply| match reply {
                QueryReply::List(list) => Some(list),
                _ => None,
            })
            .collect();
        match self.offered.take() {
            Some(mut offered) => {
                offered.hear(lists.into_iter().flatten());
                self.accept(offered)
            }
            None => {
                // Where nobody else answers, there is no other account.
                let is_one_account = lists.len() < 2;
                let offered = self.offers_of(lists);
                if is_one_account || offered.accounts.is_empty() || !changes(&self.filter) {
                    return self.accept(offered);
                }
                self.offered = Some(offered);
                None
            }
        }
    }

    /// How many each may offer.
    fn offers(&self) -> u32 {
        if self.rounds == 0 { self.filter.limit } else { REPLY_MAX }
    }

    fn offers_of(&self, lists: Vec<Vec<TaskSummary>>) -> Offered {
        let limit = self.offers() as usize;
        let mut is_cut = false;
        let mut accounts = BTreeMap::new();
        for mut list in lists {
            // One that offers what is not asked for must not make this go in circles.
            list.retain(|summary| self.filter.after.is_none_or(|after| after < summary.task));
            is_cut |= list.len() >= limit;
            list.into_iter().for_each(|summary| advance(&mut accounts, summary));
        }
        // Whoever was cut off had so many up to there: of what is kept, everybody has offered all.
        let rest = accounts.keys().nth(limit).copied();
        if let Some(rest) = rest {
            accounts.split_off(&rest);
        }
        let last = accounts.keys().next_back().copied();
        Offered { accounts, next: last.filter(|_| is_cut || rest.is_some()) }
    }

    /// Puts what is asked for into the page. The page, if it is full or there is no more.
    fn accept(&mut self, offered: Offered) -> Option<TaskList> {
        self.rounds += 1;
        let limit = self.filter.limit as usize;
        let mut accounts = offered.accounts.into_values();
        while self.list.rows.len() < limit
            && let Some(summary) = accounts.next()
        {
            if is_listed(&self.filter, &summary) {
                self.list.rows.push(summary);
            }
        }
        let last = self.list.rows.last().map(|row| row.task);
        self.list.next = match accounts.next() {
            Some(_) => last,
            None => offered.next,
        };
        if self.list.next.is_some() && self.list.rows.len() < limit && self.rounds < ROUNDS {
            self.filter.after = self.list.next;
            return None;
        }
        let mut list = std::mem::take(&mut self.list);
        list.silent = std::mem::take(&mut self.silent).into_iter().collect();
        Some(list)
    }
}

impl Offered {
    fn hear(&mut self, told: impl Iterator<Item = TaskSummary>) {
        for summary in told {
            if self.accounts.contains_key(&summary.task) {
                advance(&mut self.accounts, summary);
            }
        }
    }
}

/// Each task once: the most advanced account of it.
fn advance(accounts: &mut BTreeMap<TaskId, TaskSummary>, summary: TaskSummary) {
    let rank = |summary: &TaskSummary| match summary.state.as_str() {
        WAITING => (false, summary.attempts, false),
        RUNNING => (false, summary.attempts, true),
        _ => (true, summary.attempts, false),
    };
    match accounts.get(&summary.task) {
        Some(known) if rank(known) >= rank(&summary) => {}
        Some(_) | None => {
            accounts.insert(summary.task, summary);
        }
    }
}

const WAITING: &str = "waiting";
const RUNNING: &str = "running";
/// Dead letters: failed by no doing of their own. No node could run them, or all that tried were lost.
const DEAD: &str = "dead";
const FAILED: &str = "failed";

/// Whether what is asked for is something that a holder may be behind with.
fn changes(filter: &ListFilter) -> bool {
    filter.state.is_some() || filter.executor.is_some()
}

/// By what is known of it from all. That a failed one is dead only its register tells, by which it was offered.
fn is_listed(filter: &ListFilter, summary: &TaskSummary) -> bool {
    let state = filter.state.as_deref().map(|state| if state == DEAD { FAILED } else { state });
    state.is_none_or(|state| state == summary.state) && matches(filter, summary)
}

impl Coordinator {
    /// A record as a list has it, if this node would list it. What costs least is looked at first: of a million records
    /// hardly one is.
    pub(crate) fn summary_if(
        &self,
        filter: &ListFilter,
        task: &TaskId,
        copy: &mesh_tasks::Copy,
    ) -> Option<TaskSummary> {
        let state = self.tasks.state_of(task)?;
        let is_wanted = match filter.state.as_deref() {
            None => true,
            Some(DEAD) => is_dead(&copy.register),
            Some(wanted) => wanted == state.name(),
        };
        if !is_wanted {
            return None;
        }
        // An id stands in a specification as it is.
        if filter.job.is_some_and(|job| !contains(&copy.birth.spec, job.as_bytes())) {
            return None;
        }
        let summary = self.summary(task, copy, state)?;
        matches(filter, &summary).then_some(summary)
    }

    /// The same of any that is held.
    pub(crate) fn row_of(&self, task: &TaskId) -> Option<TaskSummary> {
        let (copy, state) = (self.tasks.shelf().copy(task)?, self.tasks.state_of(task)?);
        self.summary(task, &copy, state)
    }

    fn summary(&self, task: &TaskId, copy: &mesh_tasks::Copy, state: mesh_tasks::TaskState) -> Option<TaskSummary> {
        let spec = Spec::decode(&copy.birth.spec).ok()?;
        let (executor, attempts) = match &copy.register.state {
            State::Waiting => (None, 0),
            State::Assigned(attempt) => (Some(attempt.executor), attempt.number),
            State::Ended(ending) => {
                let failed = copy.register.failed.iter().map(|failed| failed.attempt.number).max();
                let by = ending.by.map(|(number, _)| number);
                (ending.by.map(|(_, executor)| executor), by.max(failed).unwrap_or(0))
            }
        };
        let count = match &spec.program {
            Program::Manifest { count, .. } => Some(*count),
            _ => None,
        };
        Some(TaskSummary {
            task: *task,
            state: state.name().into(),
            program: program_text(&spec.program),
            placed: copy.birth.placed,
            job: spec.job,
            count,
            executor,
            attempts,
        })
    }
}

fn contains(bytes: &[u8], id: &[u8; 32]) -> bool {
    let starts = bytes.iter().enumerate().filter(|(_, byte)| **byte == id[0]);
    starts.into_iter().any(|(at, _)| bytes[at..].starts_with(id))
}

fn is_dead(register: &Register) -> bool {
    let outcome = register.ending().filter(|ending| ending.how == How::Failed).and_then(|end| end.outcome.as_ref());
    let status = outcome.map(|outcome| &outcome.status);
    matches!(status, Some(Status::Failed(failure)) if failure.kind.is_worth_another_node())
}

/// All that a list asks for but the state, which its register tells.
fn matches(filter: &ListFilter, summary: &TaskSummary) -> bool {
    filter.job.is_none_or(|job| summary.job.is_some_and(|(of, _)| of == job))
        && (!filter.jobs_only || summary.count.is_some())
        && filter.executor.is_none_or(|executor| summary.executor == Some(executor))
}

fn program_text(program: &Program) -> String {
    match program {
        Program::Echo => "echo".into(),
        Program::Sleep { ms } => format!("sleep {ms}ms"),
        Program::Sha256 => "sha256".into(),
        Program::Exec(exec) => exec.argv.join(" ").chars().take(120).collect(),
        Program::Wasm(wasm) => wasm.argv.join(" ").chars().take(120).collect(),
        Program::Worker(worker) => {
            let words = std::iter::once(worker.kind.as_str()).chain(worker.argv.iter().map(String::as_str));
            words.collect::<Vec<_>>().join(" ").chars().take(120).collect()
        }
        Program::Manifest { name, count } => format!("job {name} ({count} tasks)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_proto::{
        task::{Attempt, Ending, FailureKind, Outcome},
        time::Wall,
    };

    #[test]
    fn dead_is_what_failed_by_no_doing_of_its_own() {
        let register = |state| Register { holders: vec![], joint: None, passed_by: vec![], state, failed: vec![] };
        let ended = |how, outcome| register(State::Ended(Ending { how, by: None, outcome, at: Wall(1) }));
        let failed = |kind| Some(Outcome::failed(kind, "why"));
        for (kind, dead) in [
            (FailureKind::Lost, true),
            (FailureKind::NotAllowed, true),
            (FailureKind::CannotStart, true),
            (FailureKind::TimeLimit, false),
            (FailureKind::BadOutput, false),
            (FailureKind::BadTask, false),
            (FailureKind::Trap, false),
        ] {
            assert_eq!(is_dead(&ended(How::Failed, failed(kind))), dead, "{kind:?}");
        }
        let exited = Outcome { status: Status::Exit(1), ..Outcome::failed(FailureKind::Lost, "") };
        assert!(!is_dead(&ended(How::Failed, Some(exited))));
        assert!(!is_dead(&ended(How::Cancelled, None)));
        let attempt = Attempt { number: 1, executor: NodeId::from_bytes([1; 32]), granted: Wall(1) };
        assert!(!is_dead(&register(State::Assigned(attempt))));
    }

    const E: NodeId = NodeId::from_bytes([1; 32]);
    const F: NodeId = NodeId::from_bytes([2; 32]);

    fn node(n: u8) -> NodeId {
        NodeId::from_bytes([100 + n; 32])
    }

    /// What a holder has of a task.
    fn row(task: u8, state: &str, attempts: u32, executor: NodeId) -> TaskSummary {
        TaskSummary {
            task: TaskId::from_bytes([task; 32]),
            state: state.into(),
            program: "echo".into(),
            placed: Wall(1),
            job: None,
            count: None,
            executor: Some(executor),
            attempts,
        }
    }

    fn asked(state: Option<&str>, executor: Option<NodeId>, limit: u32) -> ListFilter {
        ListFilter { state: state.map(str::to_owned), executor, limit, ..ListFilter::default() }
    }

    /// What nodes answer that hold these, as [`Coordinator::summary_if`] and [`Coordinator::row_of`] have it.
    fn answers(query: &Query, held: &[Vec<TaskSummary>]) -> BTreeMap<NodeId, QueryReply> {
        let of = |held: &Vec<TaskSummary>| -> Vec<TaskSummary> {
            match query {
                Query::List(filter) => held
                    .iter()
                    .filter(|row| filter.after.is_none_or(|after| after < row.task) && is_listed(filter, row))
                    .take(filter.limit as usize)
                    .cloned()
                    .collect(),
                Query::Rows(tasks) => held.iter().filter(|row| tasks.contains(&row.task)).cloned().collect(),
                other => panic!("{other:?}"),
            }
        };
        (0u8..).zip(held).map(|(n, held)| (node(n), QueryReply::List(of(held)))).collect()
    }

    /// One page, with what was asked for it.
    fn page(filter: ListFilter, held: &[Vec<TaskSummary>]) -> (TaskList, u32) {
        let mut listing = Listing::new(filter);
        for asked in 1.. {
            if let Some(list) = listing.take(answers(&listing.query(), held), Vec::new()) {
                return (list, asked);
            }
        }
        unreachable!()
    }

    /// All pages, each behind the `next` of the one before.
    fn pages(filter: &ListFilter, held: &[Vec<TaskSummary>]) -> Vec<u8> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let list = page(ListFilter { after, ..filter.clone() }, held).0;
            found.extend(list.rows.iter().map(|row| row.task.as_bytes()[0]));
            after = list.next;
            if after.is_none() {
                return found;
            }
        }
    }

    #[test]
    fn a_holder_that_does_not_know_that_a_task_runs_does_not_list_it_as_waiting() {
        let held = [vec![row(1, "waiting", 1, E), row(2, "waiting", 1, E)], vec![row(1, "running", 1, E)]];
        assert_eq!(pages(&asked(Some("waiting"), None, 10), &held), [2]);
        assert_eq!(pages(&asked(Some("running"), None, 10), &held), [1]);
        // One that has missed an end, or that an attempt was lost.
        let held = [
            vec![row(1, "running", 1, E), row(2, "running", 1, E)],
            vec![row(1, "done", 1, E), row(2, "waiting", 2, F)],
        ];
        for (state, found) in [("running", vec![]), ("waiting", vec![2]), ("done", vec![1])] {
            assert_eq!(pages(&asked(Some(state), None, 10), &held), found, "{state}");
        }
        for (executor, found) in [(E, vec![1]), (F, vec![2])] {
            assert_eq!(pages(&asked(None, Some(executor), 10), &held), found, "{executor}");
        }
    }

    #[test]
    fn what_comes_to_nothing_hides_nothing_behind_it() {
        // Of 200 that one holder takes to be waiting, the other knows that all but every tenth run.
        let stale: Vec<TaskSummary> = (1..=200).map(|task| row(task, "waiting", 1, E)).collect();
        let known = |task| row(task, if task % 10 == 0 { "waiting" } else { "running" }, 1, E);
        let held = [stale, (1..=200).map(known).collect()];
        let waiting: Vec<u8> = (1..=20).map(|n| n * 10).collect();
        let running: Vec<u8> = (1..=200).filter(|task| task % 10 > 0).collect();
        for limit in [1, 3, 20, 1_000] {
            assert_eq!(pages(&asked(Some("waiting"), None, limit), &held), waiting, "{limit}");
            assert_eq!(pages(&asked(Some("running"), None, limit), &held), running, "{limit}");
            assert_eq!(pages(&asked(None, None, limit), &held).len(), 200);
            let (list, _) = page(asked(Some("waiting"), None, limit), &held);
            assert_eq!(list.rows.len(), 20.min(limit as usize), "a page is full where there is enough");
        }
        let (list, _) = page(asked(Some("waiting"), None, 0), &held);
        assert_eq!(list, TaskList::default());
    }

    #[test]
    fn what_never_changes_and_what_one_alone_knows_is_asked_for_once() {
        let held = [vec![row(1, "waiting", 1, E)], vec![row(1, "running", 1, E)]];
        assert_eq!(page(asked(None, None, 10), &held).1, 1);
        assert_eq!(page(asked(Some("waiting"), None, 10), &held[..1]).1, 1);
        assert_eq!(page(asked(Some("waiting"), None, 10), &held).1, 2);
    }

    #[test]
    fn who_does_not_answer_is_named_and_not_waited_for_twice() {
        let held = [vec![row(1, "waiting", 1, E)], vec![row(1, "waiting", 1, E)]];
        let mut listing = Listing::new(asked(Some("waiting"), None, 10));
        assert_eq!(listing.take(answers(&listing.query(), &held), vec![node(9)]), None);
        assert!(listing.gave_up(&node(9)) && !listing.gave_up(&node(1)));
        let list = listing.take(answers(&listing.query(), &held[..1]), vec![node(1)]).unwrap();
        assert_eq!((list.rows.len(), list.silent), (1, vec![node(1), node(9)]));
    }

    #[test]
    fn one_that_offers_what_nobody_asked_for_does_not_keep_it_going() {
        let mut listing =
            Listing::new(ListFilter { after: Some(TaskId::from_bytes([50; 32])), ..asked(Some("done"), None, 2) });
        let endless = || {
            let list = vec![row(1, "done", 1, E), row(2, "done", 1, E)];
            BTreeMap::from([(node(0), QueryReply::List(list.clone())), (node(1), QueryReply::List(list))])
        };
        assert_eq!(listing.take(endless(), Vec::new()), Some(TaskList::default()));
        // Nor one that takes back all it offers, for ever.
        let mut listing = Listing::new(asked(Some("waiting"), None, 1));
        let mut asked = 0;
        let list = loop {
            asked += 1;
            let list = match listing.query() {
                Query::List(filter) => {
                    let first =
                        filter.after.map_or(0, |after| u32::from_be_bytes(after.as_bytes()[..4].try_into().unwrap()));
                    (1..=filter.limit)
                        .map(|n| {
                            let mut task = [0; 32];
                            task[..4].copy_from_slice(&(first + n).to_be_bytes());
                            TaskSummary { task: TaskId::from_bytes(task), ..row(0, "waiting", 1, E) }
                        })
                        .collect()
                }
                Query::Rows(tasks) => {
                    tasks.into_iter().map(|task| TaskSummary { task, ..row(0, "running", 1, E) }).collect::<Vec<_>>()
                }
                other => panic!("{other:?}"),
            };
            let replies = BTreeMap::from([(node(0), QueryReply::List(list)), (node(1), QueryReply::List(vec![]))]);
            if let Some(list) = listing.take(replies, Vec::new()) {
                break list;
            }
        };
        assert!(list.rows.is_empty() && list.next.is_some() && asked <= 2 * ROUNDS, "{asked}");
    }
}
