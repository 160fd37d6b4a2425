//! What the coming or going of a member means for each task: looked through a part at a time, since a turn of the brain
//! must not take longer the more there is.

use crate::{effect::Context, tasks::Tasks};
use mesh_proto::id::{NodeId, TaskId};
use std::{collections::VecDeque, ops::Bound};

/// Tasks looked at in one turn.
const ROUND: usize = 1_000;

/// Walks under way: at most one for each member.
#[derive(Debug, Default)]
pub struct Walks(VecDeque<Walk>);

#[derive(Debug)]
struct Walk {
    news: News,
    table: Table,
    /// The last task that was looked at in that table.
    after: Option<TaskId>,
}

/// What is to be told to each task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// It can be talked to again: all that it may have missed is said.
    Back(NodeId),
    /// It is silent: what it was to do falls to others.
    Gone(NodeId),
}

/// What is walked through, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Table {
    /// Tasks that this node drives, or would.
    Driven,
    /// Records held here that have not ended.
    Live,
    /// Tasks whose end somebody here waits for.
    Followed,
    /// Results that wait to be settled.
    Outbox,
}

impl Walks {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was to be told of the same member before is overtaken.
    fn begin(&mut self, news: News) {
        self.0.retain(|walk| walk.news.node() != news.node());
        self.0.push_back(Walk { news, table: Table::Driven, after: None });
    }
}

impl News {
    fn node(self) -> NodeId {
        match self {
            Self::Back(node) | Self::Gone(node) => node,
        }
    }
}

impl Table {
    fn next(self) -> Option<Self> {
        match self {
            Self::Driven => Some(Self::Live),
            Self::Live => Some(Self::Followed),
            Self::Followed => Some(Self::Outbox),
            Self::Outbox => None,
        }
    }
}

impl Tasks {
    /// Begins to tell all tasks, and gets through at once where there are few.
    pub(crate) fn spread_news(&mut self, cx: &mut Context<'_>, news: News) {
        self.walks.begin(news);
        self.walk(cx);
    }

    /// One turn's part of the walks.
    pub(crate) fn walk(&mut self, cx: &mut Context<'_>) {
        let mut left = ROUND;
        while left > 0
            && let Some(mut walk) = self.walks.0.pop_front()
        {
            if !self.is_news(walk.news) {
                continue;
            }
            let part = self.part(&walk, left);
            left -= part.len();
            // A result may be there more than once, one for each attempt.
            for (at, task) in part.iter().enumerate() {
                if at == 0 || part[at - 1] != *task {
                    self.tell_news(cx, &walk, *task);
                }
            }
            if left == 0 {
                walk.after = part.last().copied();
                self.walks.0.push_front(walk);
            } else if let Some(table) = walk.table.next() {
                self.walks.0.push_front(Walk { table, after: None, ..walk });
            }
        }
    }

    /// Whether it still is so. If not, something else was or will be said.
    fn is_news(&self, news: News) -> bool {
        match news {
            News::Back(node) => self.roster.can_send(&node),
            News::Gone(node) => self.roster.is_silent(&node),
        }
    }

    fn part(&self, walk: &Walk, most: usize) -> Vec<TaskId> {
        let range = (walk.after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        match walk.table {
            Table::Driven => self.drivers.range(range).map(|(task, _)| *task).take(most).collect(),
            Table::Live => self.shelf.live().range(range).copied().take(most).collect(),
            Table::Followed => self.gateway.following.range(range).map(|(task, _)| *task).take(most).collect(),
            Table::Outbox => {
                let start = walk.after.map_or(Bound::Unbounded, |task| Bound::Excluded((task, u32::MAX)));
                self.shelf.outbox().range((start, Bound::Unbounded)).map(|((task, _), _)| *task).take(most).collect()
            }
        }
    }

    fn tell_news(&mut self, cx: &mut Context<'_>, walk: &Walk, task: TaskId) {
        match (walk.news, walk.table) {
            (News::Back(node), Table::Driven) => self.resend_ballot(cx, task, node),
            (News::Back(node), Table::Live) => self.pull_from(task, node),
            (News::Back(node), Table::Outbox) => self.report_to(task, node),
            (News::Gone(node), Table::Driven) => {
                self.executor_gone(cx, task, node);
                self.hasten_write(cx, task);
            }
            (News::Gone(node), Table::Live) => self.driver_gone(cx, task, node),
            (News::Gone(node), Table::Followed) => self.followed_gone(cx, task, node),
            (News::Back(_), Table::Followed) => self.followed_back(cx, task),
            (News::Gone(_), Table::Outbox) => {}
        }
    }
}
