//! Who knows whom: a disk that has had nobody's table, a node that is behind its own word, tables that differ.

use crate::world::spec;
use mesh_coordinator::{Answer, Command, Config, ControlMessage, Coordinator, Effect, Fact, Input, Message, RequestId};
use mesh_membership::{Member, Role, Standing};
use mesh_proto::{
    capability::Capabilities,
    id::{NetworkId, NodeId, StoreId},
    task::{Octets, Program},
    time::{Mono, Now, Wall},
};
use std::collections::{BTreeMap, BTreeSet};

/// Brains and the messages between them. Gossip is only noted.
pub struct Few {
    pub brains: Vec<Coordinator>,
    pub inboxes: Vec<Vec<Input>>,
    pub connected: BTreeSet<(usize, usize)>,
    announced: Vec<(usize, Member)>,
    pub asked_to_speak: Vec<(usize, u64)>,
    disconnected: Vec<(usize, NodeId)>,
    pub answers: BTreeMap<(usize, u64), Vec<Answer>>,
    facts: BTreeMap<usize, Vec<Fact>>,
    entries_sent: usize,
    now: u64,
}

pub fn id(n: usize) -> NodeId {
    NodeId::from_bytes([n as u8 * 8 + 1; 32])
}

pub fn entry(n: usize, incarnation: u64) -> Member {
    Member {
        node: id(n),
        store: StoreId(n as u64),
        role: Role::Full,
        standing: Standing::Joined,
        dated: Wall(0),
        incarnation,
        addresses: vec![format!("/memory/{}", n + 1)],
        name: None,
        zone: None,
        drains: false,
        capabilities: Capabilities::default(),
        entry: Octets::from(vec![n as u8, incarnation as u8]),
    }
}

fn brain(n: usize, alone: bool) -> Coordinator {
    let me = Member { incarnation: 0, entry: Octets::default(), ..entry(n, 0) };
    Coordinator::new(Config {
        network: NetworkId::from_bytes([9; 32]),
        seed: n as u64,
        me,
        alone,
        agreement: None,
        membership: mesh_membership::Config::default(),
        aggregation: mesh_gossip::Config::default(),
        tasks: mesh_tasks::Config::default(),
    })
}

impl Few {
    /// The first made the network; all have said who they are, and nobody is connected.
    pub fn new(n: usize) -> Self {
        let inboxes = (0..n).map(|at| vec![Input::Restarted, Input::Me(entry(at, 1))]).collect();
        let mut few = Self {
            brains: (0..n).map(|at| brain(at, at == 0)).collect(),
            inboxes,
            connected: BTreeSet::new(),
            announced: Vec::new(),
            asked_to_speak: Vec::new(),
            disconnected: Vec::new(),
            answers: BTreeMap::new(),
            facts: BTreeMap::new(),
            entries_sent: 0,
            now: 0,
        };
        few.run(2);
        few.announced.clear();
        few
    }

    pub fn connect(&mut self, a: usize, b: usize) {
        for (a, b) in [(a, b), (b, a)] {
            self.connected.insert((a, b));
            let seen = Member { incarnation: 0, entry: Octets::default(), ..entry(b, 0) };
            self.inboxes[a].push(Input::Member(seen));
            self.inboxes[a].push(Input::Up { node: id(b), store: StoreId(b as u64) });
        }
    }

    pub fn run(&mut self, ms: u64) {
        for _ in 0..ms {
            self.now += 1;
            (0..self.brains.len()).for_each(|at| self.step(at));
        }
    }

    fn step(&mut self, at: usize) {
        let now = Now { mono: Mono(self.now * 1000), wall: Wall(1_000_000 + self.now) };
        let mut effects = Vec::new();
        for input in std::mem::take(&mut self.inboxes[at]) {
            self.brains[at].handle(now, input, &mut effects);
        }
        if self.brains[at].deadline().is_some_and(|deadline| deadline <= now.mono) {
            self.brains[at].handle_deadline(now, &mut effects);
        }
        self.brains[at].flush(now, &mut effects);
        for effect in effects {
            match effect {
                Effect::Send { to, message, .. } => {
                    let to = (0..self.brains.len()).find(|n| id(*n) == to).expect("a node of these");
                    if let Message::Control(ControlMessage::Members(members)) = &message {
                        self.entries_sent += members.len();
                    }
                    let from = id(at);
                    if self.connected.contains(&(at, to)) {
                        self.inboxes[to].push(match message {
                            Message::Control(message) => Input::Control { from, message },
                            Message::Task(frame) => Input::Task { from, frame },
                            Message::Consensus(_) => unreachable!("nothing is agreed on in this world"),
                        });
                    }
                }
                Effect::Announce { member, .. } => self.announced.push((at, member)),
                // Its own number is each one's value of whatever name.
                Effect::Measure { id, .. } => {
                    self.inboxes[at].push(Input::Measured { id, values: Some(vec![at as f64]) });
                }
                Effect::Speak { above } => self.asked_to_speak.push((at, above)),
                Effect::Disconnect { node } => self.disconnected.push((at, node)),
                Effect::Answer { request, answers, .. } => {
                    self.answers.entry((at, request.0)).or_default().extend(answers);
                }
                Effect::Persist(fact) => self.facts.entry(at).or_default().push(fact),
                _ => {}
            }
        }
    }

    pub fn ask(&mut self, at: usize, request: u64, command: Command) -> Vec<Answer> {
        self.inboxes[at].push(Input::Command { request: RequestId(request), command });
        self.run(3);
        self.answers.remove(&(at, request)).unwrap_or_default()
    }

    fn is_introduced(&self, at: usize) -> bool {
        self.brains[at].members().is_introduced()
    }

    fn incarnation(&self, at: usize, of: usize) -> Option<u64> {
        self.brains[at].members().get(&id(of)).map(|member| member.incarnation)
    }
}

fn is_refused(answers: &[Answer]) -> bool {
    let (last, refused) = answers.split_last().expect("there is an answer");
    matches!(last, Answer::Finished)
        && !refused.is_empty()
        && refused
            .iter()
            .all(|answer| matches!(answer, Answer::Refused { why: mesh_coordinator::Refusal::Unintroduced { .. }, .. }))
}

#[test]
fn only_who_made_the_network_begins_alone() {
    let mut few = Few::new(2);
    let submit =
        |key: u8| Command::Submit { specs: vec![spec(key, Program::Echo), spec(key + 1, Program::Echo)], follow: true };
    let task = few.brains[0].node();
    let task = mesh_proto::id::TaskId::from_bytes(*task.as_bytes());
    assert!(few.is_introduced(0) && !few.is_introduced(1));
    assert!(matches!(few.ask(0, 1, submit(1)).first(), Some(Answer::Placed { .. })));
    for (request, command) in [
        submit(1),
        Command::Follow { tasks: vec![task] },
        Command::Cancel { tasks: vec![task] },
        Command::Show { task },
        Command::List { filter: mesh_coordinator::ListFilter::default() },
        Command::Resolve { prefix: "00000000".into() },
    ]
    .into_iter()
    .enumerate()
    {
        let answers = few.ask(1, 10 + request as u64, command);
        assert!(is_refused(&answers), "{answers:?}");
    }
    let status = few.ask(1, 20, Command::Status);
    assert!(matches!(status.as_slice(), [Answer::Status(view), Answer::Finished] if !view.introduced));
    assert!(few.facts[&1].iter().all(|fact| !matches!(fact, Fact::Task(_))), "it placed something");

    few.connect(0, 1);
    few.run(5);
    assert!(few.is_introduced(1));
    assert!(few.facts[&1].contains(&Fact::Introduced));
    assert!(matches!(few.ask(1, 30, submit(5)).first(), Some(Answer::Placed { copies: 2, .. })));
}

#[test]
fn two_who_have_had_nobodys_table_do_not_introduce_each_other() {
    let mut few = Few::new(3);
    few.connect(1, 2);
    few.run(10);
    assert!(!few.is_introduced(1) && !few.is_introduced(2));
    // They know each other all the same, and when one of them is told, it tells the other at the next heartbeat.
    assert_eq!(few.incarnation(1, 2), Some(1));
    few.connect(0, 1);
    few.run(3_100);
    assert!(few.is_introduced(1) && few.is_introduced(2));
    assert_eq!(few.incarnation(2, 0), Some(1));
}

#[test]
fn an_introduction_outlives_a_restart_by_log_and_by_store() {
    let mut few = Few::new(2);
    few.connect(0, 1);
    few.run(5);
    let mut from_log = brain(1, false);
    for fact in few.facts[&1].clone() {
        from_log.apply(fact);
    }
    assert!(from_log.members().is_introduced());
    assert_eq!(from_log.members().me().incarnation, 1, "it knows what it said of itself");
    let mut from_store = brain(1, false);
    for (key, value) in few.brains[1].take_changes().1 {
        from_store.load(&key, &value.expect("nothing was removed")).unwrap();
    }
    assert!(from_store.members().is_introduced());
    assert_eq!(from_store.members().me().incarnation, 1);
    assert_eq!(from_store.members().others().count(), 1);
}

#[test]
fn who_is_behind_its_own_word_hears_of_it_and_speaks_above_it() {
    let mut few = Few::new(3);
    few.connect(0, 1);
    few.run(5);
    few.announced.clear();
    few.inboxes[1].push(Input::Me(entry(1, 50)));
    few.run(2);
    assert_eq!(few.announced, [(1, entry(1, 50))]);
    few.inboxes[0].push(Input::Announced(entry(1, 50)));
    few.run(2);

    // Its disk is lost, and its clock is back.
    few.connected.clear();
    few.brains[1] = brain(1, false);
    few.inboxes[1] = vec![Input::Restarted, Input::Me(entry(1, 7))];
    few.inboxes[0].push(Input::Down { node: id(1) });
    few.run(2);
    few.connect(0, 1);
    few.run(5);
    assert!(!few.asked_to_speak.is_empty() && few.asked_to_speak.iter().all(|asked| *asked == (1, 50)));
    few.inboxes[1].push(Input::Me(entry(1, 51)));
    few.run(2);
    few.inboxes[0].push(Input::Announced(entry(1, 51)));
    few.run(2);
    assert_eq!(few.incarnation(0, 1), Some(51));

    // A clock that went back between two words of one life: the brain does not say what nobody would believe.
    few.inboxes[1].push(Input::Me(entry(1, 20)));
    few.run(2);
    assert_eq!(few.asked_to_speak.last(), Some(&(1, 51)));
    assert_eq!(few.brains[1].members().me().incarnation, 51);
}

/// What was said before its disk was lost comes after the new disk has connected.
#[test]
fn an_old_word_does_not_say_which_disk_a_connected_member_has() {
    let mut few = Few::new(2);
    few.connect(0, 1);
    few.run(5);
    few.inboxes[0].push(Input::Down { node: id(1) });
    few.inboxes[0].push(Input::Up { node: id(1), store: StoreId(11) });
    few.inboxes[0].push(Input::Announced(entry(1, 5)));
    few.run(2);
    assert_eq!(few.incarnation(0, 1), Some(5));
    let disk = few.brains[0].tasks().roster().holder(&id(1)).map(|holder| holder.store);
    assert_eq!(disk, Some(StoreId(11)));
}

#[test]
fn tables_that_a_partition_made_different_become_one_and_only_the_difference_crosses() {
    let mut few = Few::new(7);
    for a in 0..7 {
        for b in 0..a {
            few.connect(a, b);
        }
    }
    few.run(3_100);
    assert!((0..7).all(|at| few.is_introduced(at)));
    few.connected.retain(|(a, b)| (*a < 3) == (*b < 3));
    // One word on each side, which gossip carries within it.
    for (of, sides) in [(1, 0..3), (6, 3..7)] {
        few.inboxes[of].push(Input::Me(entry(of, 9)));
        sides.filter(|at| *at != of).for_each(|at| few.inboxes[at].push(Input::Announced(entry(of, 9))));
    }
    few.run(3);
    assert_eq!((few.incarnation(0, 6), few.incarnation(5, 1)), (Some(1), Some(1)));

    (few.entries_sent, few.announced) = (0, Vec::new());
    for at in [0, 5] {
        few.inboxes[at].push(Input::Down { node: id(5 - at) });
    }
    few.connect(0, 5);
    few.run(5);
    assert_eq!((few.incarnation(0, 6), few.incarnation(5, 1)), (Some(9), Some(9)));
    assert_eq!(few.entries_sent, 2);
    // What the comparison brought is passed on to those who were not asked.
    let mut told: Vec<_> = few.announced.iter().map(|(at, member)| (*at, member.node)).collect();
    told.sort();
    assert_eq!(told, [(0, id(6)), (5, id(1))]);
}

#[test]
fn a_change_is_announced_once_and_not_sent_to_each() {
    let mut few = Few::new(5);
    for a in 0..5 {
        for b in 0..a {
            few.connect(a, b);
        }
    }
    few.run(3_100);
    (few.entries_sent, few.announced) = (0, Vec::new());
    few.inboxes[2].push(Input::Me(entry(2, 7)));
    few.run(5);
    few.inboxes[0].push(Input::Announced(entry(2, 7)));
    few.run(5);
    assert_eq!(few.announced, [(2, entry(2, 7))], "what gossip brought, gossip takes further");
    assert_eq!(few.entries_sent, 0);
    // What gossip did not bring to the others, they find by themselves.
    few.run(120_000);
    assert!((0..5).all(|at| few.incarnation(at, 2) == Some(7)));
}

/// It was let in, and forgotten or revoked before the brain heard of the connection.
#[test]
fn who_is_out_does_not_stay_connected() {
    let mut few = Few::new(2);
    few.inboxes[0].push(Input::Member(Member {
        standing: Standing::Forgotten,
        dated: Wall(5),
        entry: Octets::default(),
        ..entry(1, 0)
    }));
    few.run(1);
    few.disconnected.clear();
    few.announced.clear();
    few.connect(0, 1);
    few.run(1);
    assert_eq!(few.disconnected, vec![(0, id(1))]);
    assert!(!few.brains[0].members().is_connected(&id(1)));
    assert!(few.announced.iter().all(|(_, member)| member.node != id(1)), "what the ledger says is told to nobody");
    // Invited since.
    few.inboxes[0].push(Input::Member(Member { dated: Wall(6), ..entry(1, 7) }));
    few.inboxes[0].push(Input::Up { node: id(1), store: StoreId(1) });
    few.run(1);
    assert!(few.brains[0].members().is_connected(&id(1)));
}

#[test]
fn what_others_say_of_their_ledgers_is_kept_while_they_are_there() {
    let mut few = Few::new(2);
    let heartbeat = |serial| {
        let message = ControlMessage::Heartbeat(mesh_coordinator::Heartbeat { serial, ..Default::default() });
        Input::Control { from: id(1), message }
    };
    let serials = |few: &mut Few| match few.ask(0, 1, Command::Status).remove(0) {
        Answer::Status(status) => status.serials,
        other => panic!("{other:?}"),
    };
    few.inboxes[0].push(heartbeat(3));
    assert_eq!(serials(&mut few), vec![], "of nobody who is not connected");
    few.inboxes[0].push(Input::Member(entry(1, 0)));
    few.inboxes[0].push(Input::Up { node: id(1), store: StoreId(1) });
    few.inboxes[0].extend([heartbeat(3), heartbeat(4)]);
    assert_eq!(serials(&mut few), vec![(id(1), 4)]);
    few.inboxes[0].push(Input::Down { node: id(1) });
    assert_eq!(serials(&mut few), vec![]);
}
