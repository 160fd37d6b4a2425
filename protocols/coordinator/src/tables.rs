//! Member tables: what a node says of itself, hears of others, and compares with whom it meets.
//!
//! A changed entry is announced to all by gossip. What that misses (a partition, a node that was down, a lost message)
//! the comparison of two tables finds, when two nodes connect and now and then: see [`mesh_membership::Mark`].

use crate::{Command, ControlMessage, Coordinator, Effect, Marks};
use mesh_membership::{Mark, Member, PARTS};
use mesh_proto::{id::NodeId, time::Now};
use mesh_tasks::Holding;

/// Whether others are told of what was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassOn {
    /// It came from an operator, or from a comparison: whoever else lacks it may not have been asked.
    Yes,
    /// Gossip passes on by itself; and what fills an empty table is known to all others.
    No,
}

/// What it does with tasks, by its entry.
pub(crate) fn holding(member: &Member) -> Holding {
    match (member.keeps_tasks(), member.drains) {
        (false, _) => Holding::Nothing,
        (true, true) => Holding::Drains,
        (true, false) => Holding::Holds,
    }
}

/// Entries in one message.
const ENTRIES: usize = mesh_proto::limits::CONTROL_MEMBERS;

/// Bytes of entries in one message, about; one more may be as large as an entry can be.
const BYTES: usize = 128 * 1024;

/// Marks in one message, unless one part alone has more.
const MARKS: usize = 1024;

/// With more new entries than this in one message it was this node that had been away, and all others know them.
const NEWS: usize = 16;

impl Coordinator {
    /// This node's own word of itself. It is a fact before anybody hears it: a node that forgot what it said would say
    /// something else under the same incarnation.
    pub(crate) fn speak(&mut self, now: Now, member: Member, effects: &mut Vec<Effect>) {
        let stored = self.members.me().incarnation;
        if member.incarnation <= stored {
            // The clock went back since the last start.
            effects.push(Effect::Speak { above: stored });
            return;
        }
        self.members.set_me(member.clone());
        // Who leaves knows that it holds nothing new, as the others will.
        self.with_tasks(now, effects, |tasks, cx| {
            tasks.member(cx, member.node, member.store, holding(&member));
            tasks.have(cx, &member.capabilities);
        });
        self.keep(member.clone(), effects);
        self.announce(member);
    }

    pub(crate) fn learn(&mut self, now: Now, member: Member, pass_on: PassOn, effects: &mut Vec<Effect>) {
        let mut asked = Vec::new();
        // What is refused is old news, and costs nothing.
        let is_news = self.members.learn(now, member.clone(), &mut asked).is_ok();
        self.carry_out(now, asked, effects);
        // What was only seen at the door has no entry to pass on yet.
        if is_news && pass_on == PassOn::Yes && member.is_told() {
            self.announce(member);
        }
    }

    pub(crate) fn compare_with(&mut self, node: NodeId) {
        let digests = self.members.digests();
        self.control.push((node, ControlMessage::Digests(digests)));
    }

    pub(crate) fn on_digests(&mut self, from: NodeId, theirs: &[u64]) {
        let parts = self.members.differing(theirs);
        match parts.is_empty() {
            true => self.told(from),
            false => self.send_marks(from, &parts, false),
        }
    }

    pub(crate) fn on_marks(&mut self, from: NodeId, theirs: Marks) {
        let Marks { mut parts, marks, last, answer } = theirs;
        // Once each: for every part the whole table is looked through.
        parts.sort_unstable();
        parts.dedup();
        parts.retain(|part| usize::from(*part) < PARTS);
        for entries in messages(self.members.lacking(&parts, &marks)) {
            self.control.push((from, ControlMessage::Members(entries)));
        }
        // An answer is not answered: what one side refuses to take would go to and fro for ever.
        if !answer && self.members.lacks(&marks) {
            self.send_marks(from, &parts, true);
        }
        if last {
            self.told(from);
        }
    }

    pub(crate) fn on_members(&mut self, now: Now, members: Vec<Member>, effects: &mut Vec<Effect>) {
        let is_news = self.members.is_introduced() && members.len() <= NEWS;
        let pass_on = if is_news { PassOn::Yes } else { PassOn::No };
        members.into_iter().for_each(|member| self.learn(now, member, pass_on, effects));
    }

    pub(crate) fn on_told(&mut self, introduced: bool, effects: &mut Vec<Effect>) {
        if introduced {
            self.introduced(effects);
        }
    }

    /// While it does not know who else is in the mesh, a node takes nothing from users: it would place their tasks with
    /// itself alone, and tell them that nobody knows the tasks that others hold. How many refusals the command gets.
    pub(crate) fn refused_items(&self, command: &Command) -> Option<usize> {
        if self.members.is_introduced() {
            return None;
        }
        match command {
            Command::Submit { specs, .. } => Some(specs.len()),
            Command::Follow { tasks } | Command::Cancel { tasks } => Some(tasks.len()),
            Command::Show { .. } | Command::List { .. } | Command::Resolve { .. } => Some(1),
            Command::Leave { .. }
            | Command::Referenced { .. }
            | Command::Named { .. }
            | Command::Order { .. }
            | Command::Look { .. }
            | Command::Certified { .. }
            | Command::Agreement
            | Command::Recruit { .. }
            | Command::StopRunning
            | Command::Aggregate { .. }
            | Command::Status
            | Command::Members => None,
        }
    }

    fn told(&mut self, to: NodeId) {
        let introduced = self.members.is_introduced();
        self.control.push((to, ControlMessage::Told { introduced }));
    }

    /// What this node has in these parts, whole parts in each message.
    fn send_marks(&mut self, to: NodeId, parts: &[u8], answer: bool) {
        let mut message = Marks { parts: Vec::new(), marks: Vec::new(), last: false, answer };
        for part in parts {
            let marks: Vec<Mark> = self.members.marks(&[*part]);
            if !message.parts.is_empty() && message.marks.len() + marks.len() > MARKS {
                let full = std::mem::replace(&mut message, Marks { parts: vec![], marks: vec![], last: false, answer });
                self.control.push((to, ControlMessage::Marks(full)));
            }
            message.parts.push(*part);
            message.marks.extend(marks);
        }
        message.last = true;
        self.control.push((to, ControlMessage::Marks(message)));
    }
}

/// As many in one message as it may have, and as fit: what members say that they have makes some of them large.
fn messages(entries: Vec<Member>) -> Vec<Vec<Member>> {
    let (mut messages, mut bytes) = (Vec::<Vec<Member>>::new(), 0);
    for entry in entries {
        // The row says most of what is in the entry once more.
        let more = 2 * entry.entry.len();
        match messages.last_mut().filter(|message| message.len() < ENTRIES && bytes < BYTES) {
            Some(message) => message.push(entry),
            None => {
                bytes = 0;
                messages.push(vec![entry]);
            }
        }
        bytes += more;
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_proto::{
        capability::Capabilities,
        codec,
        id::StoreId,
        limits,
        table::{Role, Standing},
        time::Wall,
    };

    #[test]
    fn a_message_of_the_largest_entries_is_within_its_limit() {
        let texts: Vec<String> = (0..limits::CAPABILITIES).map(|n| format!("aaaaaaaaaaaaa{n:03}")).collect();
        let largest = Member {
            node: NodeId::from_bytes([1; 32]),
            store: StoreId(u64::MAX),
            role: Role::Full,
            standing: Standing::Joined,
            dated: Wall(u64::MAX),
            incarnation: u64::MAX,
            addresses: vec!["a".repeat(limits::ADDRESS_BYTES); limits::ADDRESSES],
            name: None,
            zone: None,
            drains: false,
            capabilities: Capabilities::parse(texts.iter().map(String::as_str)).unwrap(),
            entry: vec![0; limits::MEMBER_BYTES].into(),
        };
        let usual = Member {
            addresses: Vec::new(),
            capabilities: Capabilities::default(),
            entry: vec![0; 700].into(),
            ..largest.clone()
        };
        for (entry, each) in [(largest, 4), (usual, ENTRIES)] {
            let messages = messages(vec![entry; 200]);
            assert_eq!(messages.iter().map(Vec::len).sum::<usize>(), 200);
            assert_eq!(messages[0].len(), each);
            for message in messages {
                let bytes = codec::encode(&ControlMessage::Members(message));
                assert!(bytes.len() <= limits::CONTROL_BYTES, "{} bytes", bytes.len());
            }
        }
    }
}
