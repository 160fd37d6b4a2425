//! What happened here, for people: a bounded memory, never logged, never relied on.

use mesh_proto::{
    id::{NodeId, TaskId},
    task::{Ballot, How},
    time::Wall,
};
use std::collections::{BTreeMap, VecDeque};

/// Reasons that are remembered in their words, at most.
const REASONS: usize = 4_096;

/// Nodes that are remembered by name, at most: their numbers have 16 bits.
const NODES: u16 = u16::MAX;

/// One thing that happened on this node to a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Submitted,
    Placed { copies: u32 },
    Held { gateway: NodeId },
    Queued { attempt: u32 },
    Started { attempt: u32 },
    Finished { attempt: u32 },
    Isolated { attempt: u32 },
    Granted { attempt: u32, executor: NodeId },
    Auctioned { text: String },
    Handed { attempt: u32, thief: NodeId },
    AttemptFailed { attempt: u32, why: String },
    Lacked { why: String },
    Awaits { text: String },
    InputsCame,
    Prepared { ballot: Ballot },
    Promised { ballot: Ballot },
    TookOver { ballot: Ballot },
    SteppedDown { to: Ballot },
    Replaced { lost: NodeId, by: NodeId },
    CancelAsked,
    Ended { how: How },
    Delivered,
}

/// An event with its time and its task, in 24 bytes: a node that sees thousands of tasks a second has tens of thousands
/// of these.
#[derive(Clone, Copy, Debug)]
struct Line {
    at: Wall,
    /// The first bytes of its id: enough to tell it from the others in memory.
    task: u64,
    /// An attempt, a term, a count, or the number of a second node or a reason.
    number: u32,
    node: u16,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Submitted,
    Placed,
    Held,
    Queued,
    Started,
    Finished,
    Isolated,
    Granted,
    Auctioned,
    Handed,
    AttemptFailed,
    Lacked,
    Awaits,
    InputsCame,
    Prepared,
    Promised,
    TookOver,
    SteppedDown,
    Replaced,
    CancelAsked,
    Done,
    Failed,
    Cancelled,
    DeadlinePassed,
    Delivered,
}

/// The latest events, oldest first.
#[derive(Debug)]
pub struct Story {
    lines: VecDeque<Line>,
    max: usize,
    nodes: Vec<NodeId>,
    numbers: BTreeMap<NodeId, u16>,
    /// The latest reasons with their attempts, and the number of the first of them.
    reasons: VecDeque<(u32, Box<str>)>,
    first_reason: u32,
}

impl Story {
    pub fn new(max: usize) -> Self {
        Self {
            lines: VecDeque::new(),
            max,
            nodes: Vec::new(),
            numbers: BTreeMap::new(),
            reasons: VecDeque::new(),
            first_reason: 0,
        }
    }

    pub fn tell(&mut self, at: Wall, task: TaskId, event: Event) {
        let (what, number, node) = self.pack(event);
        if self.lines.len() >= self.max {
            self.lines.pop_front();
        }
        self.lines.push_back(Line { at, task: start_of(&task), number, node, what });
    }

    /// Of one task, in order.
    pub fn of(&self, task: &TaskId) -> impl Iterator<Item = (Wall, String)> {
        let task = start_of(task);
        self.lines.iter().filter(move |line| line.task == task).map(|line| (line.at, self.text(line)))
    }

    fn pack(&mut self, event: Event) -> (What, u32, u16) {
        let mut ballot = |what, ballot: Ballot| (what, ballot.term, self.number_of(ballot.driver));
        match event {
            Event::Submitted => (What::Submitted, 0, 0),
            Event::Placed { copies } => (What::Placed, copies, 0),
            Event::Held { gateway } => (What::Held, 0, self.number_of(gateway)),
            Event::Queued { attempt } => (What::Queued, attempt, 0),
            Event::Started { attempt } => (What::Started, attempt, 0),
            Event::Finished { attempt } => (What::Finished, attempt, 0),
            Event::Isolated { attempt } => (What::Isolated, attempt, 0),
            Event::Granted { attempt, executor } => (What::Granted, attempt, self.number_of(executor)),
            Event::Auctioned { text } => (What::Auctioned, self.keep_reason(0, text), 0),
            Event::Handed { attempt, thief } => (What::Handed, attempt, self.number_of(thief)),
            Event::AttemptFailed { attempt, why } => (What::AttemptFailed, self.keep_reason(attempt, why), 0),
            Event::Lacked { why } => (What::Lacked, self.keep_reason(0, why), 0),
            Event::Awaits { text } => (What::Awaits, self.keep_reason(0, text), 0),
            Event::InputsCame => (What::InputsCame, 0, 0),
            Event::Prepared { ballot: of } => ballot(What::Prepared, of),
            Event::Promised { ballot: of } => ballot(What::Promised, of),
            Event::TookOver { ballot: of } => ballot(What::TookOver, of),
            Event::SteppedDown { to } => ballot(What::SteppedDown, to),
            Event::Replaced { lost, by } => (What::Replaced, u32::from(self.number_of(by)), self.number_of(lost)),
            Event::CancelAsked => (What::CancelAsked, 0, 0),
            Event::Ended { how: How::Done } => (What::Done, 0, 0),
            Event::Ended { how: How::Failed } => (What::Failed, 0, 0),
            Event::Ended { how: How::Cancelled } => (What::Cancelled, 0, 0),
            Event::Ended { how: How::DeadlinePassed } => (What::DeadlinePassed, 0, 0),
            Event::Delivered => (What::Delivered, 0, 0),
        }
    }

    fn text(&self, line: &Line) -> String {
        let Line { number, node, what, .. } = *line;
        let ballot = || format!("({number}, {})", self.name(node));
        let ended = |how| format!("{how}, on a majority of the holders");
        match what {
            What::Submitted => "submitted here".into(),
            What::Placed => format!("placed on {number} holders, acknowledged"),
            What::Held => format!("record held, from gateway {}", self.name(node)),
            What::Queued => format!("attempt {number} queued"),
            What::Started => format!("attempt {number} started"),
            What::Finished => format!("attempt {number} finished"),
            What::Isolated => format!("attempt {number} given back: this node has lost the mesh"),
            What::Granted => format!("attempt {number} granted to {}", self.name(node)),
            What::Handed => format!("attempt {number} is handed over to {}, who has a free slot", self.name(node)),
            What::AttemptFailed => match self.reason(number) {
                Some((attempt, why)) => format!("attempt {attempt} failed: {why}"),
                None => "an attempt failed".into(),
            },
            What::Auctioned => match self.reason(number) {
                Some((_, text)) => format!("auctioned: {text}"),
                None => "auctioned".into(),
            },
            What::Lacked => match self.reason(number) {
                Some((_, why)) => format!("waits: {why}"),
                None => "waits for a node that has what it requires".into(),
            },
            What::Awaits => match self.reason(number) {
                Some((_, tasks)) => format!("is to start after {tasks}"),
                None => "is to start after others".into(),
            },
            What::InputsCame => "all that it is to start after has ended well".into(),
            What::Prepared => format!("asks for promises of ballot {}", ballot()),
            What::Promised => format!("promised ballot {}", ballot()),
            What::TookOver => format!("took over with ballot {}", ballot()),
            What::SteppedDown => format!("stepped down for ballot {}", ballot()),
            What::Replaced => {
                let by = u16::try_from(number).map_or_else(|_| String::new(), |by| self.name(by));
                format!("copy on {} replaced by one on {by}", self.name(node))
            }
            What::CancelAsked => "cancellation asked for".into(),
            What::Done => ended("done"),
            What::Failed => ended("failed"),
            What::Cancelled => ended("cancelled"),
            What::DeadlinePassed => ended("deadline passed"),
            What::Delivered => "result delivered to its client".into(),
        }
    }

    fn number_of(&mut self, node: NodeId) -> u16 {
        if let Some(number) = self.numbers.get(&node) {
            return *number;
        }
        match u16::try_from(self.nodes.len()) {
            Ok(number) if number < NODES => {
                self.nodes.push(node);
                self.numbers.insert(node, number);
                number
            }
            Ok(_) | Err(_) => NODES,
        }
    }

    fn name(&self, number: u16) -> String {
        self.nodes.get(usize::from(number)).map_or_else(|| "one of too many nodes".into(), NodeId::to_string)
    }

    /// Unless it made room for later ones.
    fn reason(&self, number: u32) -> Option<&(u32, Box<str>)> {
        let at = number.wrapping_sub(self.first_reason);
        usize::try_from(at).ok().and_then(|at| self.reasons.get(at))
    }

    fn keep_reason(&mut self, attempt: u32, why: String) -> u32 {
        if self.reasons.len() >= REASONS {
            self.reasons.pop_front();
            self.first_reason = self.first_reason.wrapping_add(1);
        }
        let number = self.first_reason.wrapping_add(u32::try_from(self.reasons.len()).unwrap_or(u32::MAX));
        self.reasons.push_back((attempt, why.into_boxed_str()));
        number
    }
}

fn start_of(task: &TaskId) -> u64 {
    let (start, _) = task.as_bytes().split_at(8);
    start.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(n: u8) -> NodeId {
        NodeId::from_bytes([n; 32])
    }

    fn told(story: &Story, task: u8) -> Vec<String> {
        story.of(&TaskId::from_bytes([task; 32])).map(|(_, text)| text).collect()
    }

    #[test]
    fn each_event_is_told_as_it_was() {
        let ballot = Ballot { term: 7, nonce: 1, driver: node(3) };
        let driver = node(3);
        let events = [
            (Event::Submitted, "submitted here".to_owned()),
            (Event::Placed { copies: 3 }, "placed on 3 holders, acknowledged".into()),
            (Event::Held { gateway: driver }, format!("record held, from gateway {driver}")),
            (Event::Queued { attempt: 2 }, "attempt 2 queued".into()),
            (Event::Started { attempt: 2 }, "attempt 2 started".into()),
            (Event::Finished { attempt: 2 }, "attempt 2 finished".into()),
            (Event::Granted { attempt: 3, executor: driver }, format!("attempt 3 granted to {driver}")),
            (Event::AttemptFailed { attempt: 4, why: "no".into() }, "attempt 4 failed: no".into()),
            (Event::Lacked { why: "nobody".into() }, "waits: nobody".into()),
            (Event::Awaits { text: "another".into() }, "is to start after another".into()),
            (Event::InputsCame, "all that it is to start after has ended well".into()),
            (Event::Prepared { ballot }, format!("asks for promises of ballot {ballot}")),
            (Event::Promised { ballot }, format!("promised ballot {ballot}")),
            (Event::TookOver { ballot }, format!("took over with ballot {ballot}")),
            (Event::SteppedDown { to: ballot }, format!("stepped down for ballot {ballot}")),
            (Event::Replaced { lost: node(1), by: driver }, format!("copy on {} replaced by one on {driver}", node(1))),
            (Event::CancelAsked, "cancellation asked for".into()),
            (Event::Ended { how: How::DeadlinePassed }, "deadline passed, on a majority of the holders".into()),
            (Event::Delivered, "result delivered to its client".into()),
        ];
        let mut story = Story::new(100);
        for (at, (event, _)) in (0..).zip(&events) {
            story.tell(Wall(at), TaskId::from_bytes([1; 32]), event.clone());
            story.tell(Wall(at), TaskId::from_bytes([2; 32]), Event::Submitted);
        }
        let expected: Vec<String> = events.into_iter().map(|(_, text)| text).collect();
        assert_eq!(told(&story, 1), expected);
        assert_eq!(told(&story, 3), Vec::<String>::new());
    }

    #[test]
    fn the_oldest_lines_and_reasons_make_room() {
        let mut story = Story::new(5_000);
        for n in 0..10_000 {
            let event = Event::AttemptFailed { attempt: n, why: n.to_string() };
            story.tell(Wall(0), TaskId::from_bytes([1; 32]), event);
        }
        let lines = told(&story, 1);
        assert_eq!(lines.len(), 5_000);
        assert_eq!(lines.first().map(String::as_str), Some("an attempt failed"));
        assert_eq!(lines.get(5_000 - 4_096).map(String::as_str), Some("attempt 5904 failed: 5904"));
        assert_eq!(lines.last().map(String::as_str), Some("attempt 9999 failed: 9999"));
        assert_eq!(size_of::<Line>(), 24);
    }
}
