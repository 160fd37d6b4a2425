//! What waits for a slot on this node.

use mesh_proto::{capability::Name, id::TaskId, task::Priority};
use std::{cmp::Reverse, collections::BTreeMap};

/// When it is its turn: by priority, and then in order.
pub(crate) type Turn = (Reverse<Priority>, u64);

/// What is begun independently of the rest: tasks for each kind of worker, which wait for one while slots are free, and all
/// others.
pub(crate) type Lane = Option<Name>;

/// Attempts that wait, lane by lane.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    lanes: BTreeMap<Lane, BTreeMap<Turn, TaskId>>,
    len: usize,
}

impl Queue {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn insert(&mut self, lane: &Lane, turn: Turn, task: TaskId) {
        if !self.lanes.contains_key(lane) {
            self.lanes.insert(lane.clone(), BTreeMap::new());
        }
        let Some(waiting) = self.lanes.get_mut(lane) else { return };
        self.len += usize::from(waiting.insert(turn, task).is_none());
    }

    pub fn remove(&mut self, lane: &Lane, turn: &Turn) -> Option<TaskId> {
        let waiting = self.lanes.get_mut(lane)?;
        let task = waiting.remove(turn)?;
        self.len -= 1;
        if waiting.is_empty() {
            self.lanes.remove(lane);
        }
        Some(task)
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The first of those lanes that are open; or of those the one that has waited longest, so that what is urgent never keeps
    /// the rest for ever.
    pub fn pop(&mut self, oldest: bool, is_open: impl Fn(&Lane) -> bool) -> Option<(Turn, TaskId)> {
        let open = self.lanes.iter().filter(|(lane, _)| is_open(lane));
        let (lane, turn) = match oldest {
            false => open.filter_map(first).min_by_key(|(_, turn)| *turn),
            true => open.flat_map(firsts).min_by_key(|(_, (_, number))| *number),
        }?;
        let (lane, turn) = (lane.clone(), turn);
        self.remove(&lane, &turn).map(|task| (turn, task))
    }

    /// Of what is first in whichever lane.
    pub fn priority(&self) -> Option<Priority> {
        self.lanes.iter().filter_map(first).map(|(_, (Reverse(priority), _))| priority).max()
    }

    /// So many of the last, those behind first.
    pub fn last(&self, most: usize) -> Vec<(&Lane, Turn, TaskId)> {
        let of_lane = |(lane, waiting)| {
            let behind = <BTreeMap<Turn, TaskId>>::iter(waiting).rev().take(most);
            behind.map(move |(turn, task)| (lane, *turn, *task))
        };
        let mut last: Vec<(&Lane, Turn, TaskId)> = self.lanes.iter().flat_map(of_lane).collect();
        last.sort_unstable_by_key(|(_, turn, _)| Reverse(*turn));
        last.truncate(most);
        last
    }
}

fn first<'a>((lane, waiting): (&'a Lane, &BTreeMap<Turn, TaskId>)) -> Option<(&'a Lane, Turn)> {
    waiting.first_key_value().map(|(turn, _)| (lane, *turn))
}

/// The first of each priority.
fn firsts<'a>(
    (lane, waiting): (&'a Lane, &'a BTreeMap<Turn, TaskId>),
) -> impl Iterator<Item = (&'a Lane, Turn)> + use<'a> {
    let of = |priority| waiting.range((Reverse(priority), 0)..=(Reverse(priority), u64::MAX)).next();
    Priority::ALL.into_iter().filter_map(of).map(move |(turn, _)| (lane, *turn))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(name: &str) -> Lane {
        (!name.is_empty()).then(|| name.parse().unwrap())
    }

    fn turn(priority: Priority, number: u64) -> Turn {
        (Reverse(priority), number)
    }

    /// Numbered as they come.
    fn queue(waiting: &[(&str, Priority)]) -> Queue {
        let mut queue = Queue::default();
        for (number, (name, priority)) in (0..).zip(waiting) {
            queue.insert(&lane(name), turn(*priority, number), TaskId::from_bytes([number as u8; 32]));
        }
        queue
    }

    fn all(mut queue: Queue, oldest: bool, open: &[&str]) -> Vec<u64> {
        let open: Vec<Lane> = open.iter().map(|name| lane(name)).collect();
        std::iter::from_fn(|| queue.pop(oldest, |lane| open.contains(lane))).map(|((_, number), _)| number).collect()
    }

    #[test]
    fn a_lane_that_is_closed_keeps_nobody_else_waiting() {
        use Priority::{High, Low, Medium};
        let waiting = [("worker.a", High), ("", Low), ("", Medium), ("worker.b", Medium), ("worker.a", Medium)];
        assert_eq!(all(queue(&waiting), false, &["", "worker.a", "worker.b"]), [0, 2, 3, 4, 1]);
        assert_eq!(all(queue(&waiting), false, &["", "worker.b"]), [2, 3, 1]);
        assert_eq!(all(queue(&waiting), true, &["", "worker.a", "worker.b"]), [0, 1, 2, 3, 4]);
        assert_eq!(all(queue(&waiting), true, &["worker.b", "worker.c"]), [3]);
        assert_eq!(all(queue(&waiting), false, &[]), []);
    }

    #[test]
    fn the_last_of_all_lanes_are_found_and_what_is_taken_out_is_not_counted() {
        use Priority::{High, Medium};
        let mut queue = queue(&[("worker.a", High), ("", Medium), ("worker.a", Medium), ("", High)]);
        let last = |queue: &Queue, most| queue.last(most).into_iter().map(|(_, (_, n), _)| n).collect::<Vec<_>>();
        assert_eq!(last(&queue, 9), [2, 1, 3, 0]);
        assert_eq!(last(&queue, 2), [2, 1]);
        assert_eq!((queue.len(), queue.priority()), (4, Some(High)));
        assert!(queue.remove(&lane("worker.a"), &turn(Medium, 2)).is_some());
        assert!(queue.remove(&lane("worker.a"), &turn(Medium, 2)).is_none());
        assert!(queue.remove(&lane("worker.b"), &turn(Medium, 1)).is_none());
        assert_eq!((queue.len(), last(&queue, 9)), (3, vec![1, 3, 0]));
    }
}
