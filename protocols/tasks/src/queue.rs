//! What waits for a slot on this node.

use mesh_proto::{
    capability::{Name, Requirements},
    id::TaskId,
    task::Priority,
};
use std::{
    cmp::{Ordering, Reverse},
    collections::BTreeMap,
    ops::Bound,
    sync::Arc,
};

/// When it is its turn: by priority, and then in order.
pub(crate) type Turn = (Reverse<Priority>, u64);

/// What is begun independently of the rest: tasks for each kind of worker, which wait for one while slots are free, and all
/// others.
pub(crate) type Lane = Option<Name>;

/// What all that wait alike ask of whoever runs them. Of each class one look says whether it may go to some other node.
#[derive(Debug)]
pub(crate) struct Class {
    pub lane: Lane,
    /// In their words, by which classes are ordered.
    text: Box<str>,
    pub requirements: Requirements,
}

impl Class {
    pub fn new(lane: Lane, requirements: Requirements) -> Self {
        Self { lane, text: requirements.to_string().into(), requirements }
    }
}

impl Ord for Class {
    fn cmp(&self, other: &Self) -> Ordering {
        self.lane.cmp(&other.lane).then_with(|| self.text.cmp(&other.text))
    }
}

impl PartialOrd for Class {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Class {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Class {}

/// What waits: a task, and its class if it may run elsewhere at all.
#[derive(Debug)]
struct Entry {
    task: TaskId,
    class: Option<Arc<Class>>,
}

/// Attempts that wait, lane by lane; and those that may move, class by class.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    lanes: BTreeMap<Lane, BTreeMap<Turn, Entry>>,
    len: usize,
    movable: BTreeMap<Arc<Class>, BTreeMap<Turn, TaskId>>,
    /// The class that was looked at last: where there are many, each is looked at in its turn.
    looked_at: Option<Arc<Class>>,
}

impl Queue {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn insert(&mut self, lane: &Lane, turn: Turn, task: TaskId, class: Option<Arc<Class>>) {
        if !self.lanes.contains_key(lane) {
            self.lanes.insert(lane.clone(), BTreeMap::new());
        }
        // One of a class stands for all of them.
        let class = class.map(|class| match self.movable.get_key_value(&class) {
            Some((one, _)) => Arc::clone(one),
            None => class,
        });
        let Some(waiting) = self.lanes.get_mut(lane) else { return };
        if let Some(class) = &class {
            self.movable.entry(Arc::clone(class)).or_default().insert(turn, task);
        }
        self.len += usize::from(waiting.insert(turn, Entry { task, class }).is_none());
    }

    pub fn remove(&mut self, lane: &Lane, turn: &Turn) -> Option<TaskId> {
        let waiting = self.lanes.get_mut(lane)?;
        let Entry { task, class } = waiting.remove(turn)?;
        self.len -= 1;
        if waiting.is_empty() {
            self.lanes.remove(lane);
        }
        if let Some(class) = class
            && let Some(alike) = self.movable.get_mut(&class)
        {
            alike.remove(turn);
            if alike.is_empty() {
                self.movable.remove(&class);
            }
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

    /// So many of the last of each class that fits, those behind first.
    pub fn last(&mut self, most: usize, fits: impl Fn(&Class) -> bool) -> Vec<(Arc<Class>, Turn, TaskId)> {
        if most == 0 {
            return Vec::new();
        }
        let from = self.looked_at.take().map_or(Bound::Unbounded, Bound::Excluded);
        let until = match &from {
            Bound::Excluded(class) | Bound::Included(class) => Bound::Included(Arc::clone(class)),
            Bound::Unbounded => Bound::Excluded(Arc::new(Class::new(None, Requirements::default()))),
        };
        let ahead = self.movable.range((from, Bound::Unbounded)).chain(self.movable.range((Bound::Unbounded, until)));
        let mut last: Vec<(Arc<Class>, Turn, TaskId)> = Vec::new();
        for (class, alike) in ahead.take(CLASSES) {
            if fits(class) {
                let behind = alike.iter().rev().take(most);
                last.extend(behind.map(|(turn, task)| (Arc::clone(class), *turn, *task)));
            }
            self.looked_at = Some(Arc::clone(class));
        }
        last.sort_unstable_by_key(|(_, turn, _)| Reverse(*turn));
        last
    }
}

/// Classes that are looked at in one turn.
const CLASSES: usize = 256;

fn first<'a>((lane, waiting): (&'a Lane, &BTreeMap<Turn, Entry>)) -> Option<(&'a Lane, Turn)> {
    waiting.first_key_value().map(|(turn, _)| (lane, *turn))
}

/// The first of each priority.
fn firsts<'a>(
    (lane, waiting): (&'a Lane, &'a BTreeMap<Turn, Entry>),
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
            let class = Arc::new(Class::new(lane(name), Requirements::default()));
            queue.insert(&lane(name), turn(*priority, number), TaskId::from_bytes([number as u8; 32]), Some(class));
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

    fn numbers(last: Vec<(Arc<Class>, Turn, TaskId)>) -> Vec<u64> {
        last.into_iter().map(|(_, (_, number), _)| number).collect()
    }

    #[test]
    fn the_last_of_all_lanes_are_found_and_what_is_taken_out_is_not_counted() {
        use Priority::{High, Medium};
        let mut queue = queue(&[("worker.a", High), ("", Medium), ("worker.a", Medium), ("", High)]);
        assert_eq!(numbers(queue.last(9, |_| true)), [2, 1, 3, 0]);
        assert_eq!(numbers(queue.last(1, |_| true)), [2, 1], "of each class");
        assert_eq!(numbers(queue.last(9, |class| class.lane.is_none())), [1, 3]);
        assert_eq!((queue.len(), queue.priority()), (4, Some(High)));
        assert!(queue.remove(&lane("worker.a"), &turn(Medium, 2)).is_some());
        assert!(queue.remove(&lane("worker.a"), &turn(Medium, 2)).is_none());
        assert!(queue.remove(&lane("worker.b"), &turn(Medium, 1)).is_none());
        assert_eq!((queue.len(), numbers(queue.last(9, |_| true))), (3, vec![1, 3, 0]));
        queue.pop(false, |lane| lane.is_some());
        assert_eq!((queue.movable.len(), numbers(queue.last(9, |_| true))), (1, vec![1, 3]));
    }

    #[test]
    fn what_may_not_move_hides_nothing_and_is_not_looked_at() {
        let mut queue = queue(&[("", Priority::Low)]);
        for number in 1..100_000u32 {
            let task = TaskId::from_bytes([0; 32]);
            queue.insert(&None, turn(Priority::Low, u64::from(number)), task, None);
        }
        assert_eq!(numbers(queue.last(9, |_| true)), [0]);
        assert_eq!((queue.len(), queue.movable.values().map(BTreeMap::len).sum::<usize>()), (100_000, 1));
    }

    /// However many there are of which none fits: the one that does is found within a few turns.
    #[test]
    fn of_many_classes_each_is_looked_at_in_its_turn() {
        let mut queue = Queue::default();
        for number in 0..1_000u64 {
            let requirements: Requirements = format!("cores>={number}").parse().unwrap();
            let class = Arc::new(Class::new(None, requirements));
            queue.insert(&None, turn(Priority::Low, number), TaskId::from_bytes([1; 32]), Some(class));
        }
        for wanted in [0, 500, 999] {
            let is_wanted = |class: &Class| *class.text == *format!("cores>={wanted}");
            let looks = std::cell::Cell::new(0);
            let mut found = Vec::new();
            for _ in 0..4 {
                found.extend(numbers(queue.last(9, |class| {
                    looks.set(looks.get() + 1);
                    is_wanted(class)
                })));
            }
            assert!(found.first() == Some(&wanted) && looks.get() <= 4 * CLASSES, "{found:?} {}", looks.get());
        }
    }
}
