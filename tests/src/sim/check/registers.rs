//! Every register that any node ever wrote, sent or told of, and on which disks it was.
//!
//! # A known limit of the protocol
//!
//! Two births of one id meet because both need a majority of one home list. When a member joins, leaves or loses its
//! disk between them there are two home lists, and majorities of these need not meet: if besides the one that changed
//! another member of both lists cannot be reached, a repeat of a submission can be born a second time. What is found of
//! such a task is counted and not held against the machines, unless asked for.

use super::{Rule, Violation, task_map::TaskMap};
use mesh_proto::{
    id::{NodeId, StoreId, TaskId},
    task::{Ballot, Birth, Ending, Holder, Register, Spec, State, Version},
};
use std::sync::Arc;

/// Place in a record's history.
pub type Key = (Ballot, Version);

/// The histories of all tasks.
#[derive(Default)]
pub struct Registers {
    tasks: TaskMap<History>,
}

/// All registers of one task.
#[derive(Default)]
pub struct History {
    /// In order of their keys.
    writes: Vec<Write>,
    /// The lowest write of a terminal state that a majority had, and that state.
    chosen: Option<(Key, Arc<Register>)>,
    /// Births of which somebody said that all their holders have them.
    born: Vec<Ballot>,
}

/// One write and how far it came.
pub struct Write {
    pub key: Key,
    pub register: Arc<Register>,
    /// The part of the record that never changes, where it was seen with it.
    pub birth: Option<Arc<Birth>>,
    /// Stores that had it on disk at some time.
    pub on: Vec<StoreId>,
}

impl Registers {
    /// A register was seen, wherever.
    pub fn seen(&mut self, task: TaskId, key: Key, register: &Arc<Register>) -> Result<(), Violation> {
        self.tasks.entry(task).or_default().seen(task, key, register).1
    }

    /// A register is on a disk. Whether it is in force, and this disk counts for that.
    pub fn on_disk(
        &mut self,
        task: TaskId,
        key: Key,
        register: &Arc<Register>,
        store: StoreId,
    ) -> Result<bool, Violation> {
        let history = self.tasks.entry(task).or_default();
        let (place, judged) = history.seen(task, key, register);
        let write = &mut history.writes[place];
        if write.on.contains(&store) {
            return judged.map(|()| false);
        }
        write.on.push(store);
        let is_in_force = write.is_in_force();
        judged?;
        if is_in_force && write.register.ending().is_some() {
            history.choose(task, place)?;
        }
        Ok(is_in_force)
    }

    /// A write of the task was seen with this birth, and a record is both: for one key there is one.
    pub fn seen_with(&mut self, task: TaskId, key: Key, birth: &Arc<Birth>) -> Result<(), Violation> {
        let history = self.tasks.entry(task).or_default();
        let Some(write) = history.writes.iter_mut().rfind(|write| write.key == key) else { return Ok(()) };
        match &write.birth {
            Some(known) if !Arc::ptr_eq(known, birth) && known != birth => Err(Violation::new(
                Rule::OneRegister,
                format!("{task}: two births for {} {:?}: {known:?} and {birth:?}", key.0, key.1),
            )),
            Some(_) => Ok(()),
            None => {
                write.birth = Some(Arc::clone(birth));
                Ok(())
            }
        }
    }

    /// Somebody says that all holders of the birth have it.
    pub fn said_to_be_born(&mut self, task: TaskId, ballot: Ballot) -> Result<(), Violation> {
        let history = self.tasks.entry(task).or_default();
        let birth = history.writes.iter().find(|write| write.key == (ballot, Version::BIRTH));
        if !birth.is_some_and(Write::is_on_all) {
            let what = format!("{task}: said to be born with {ballot}, which not all of its holders had");
            return Err(Violation::new(Rule::AcknowledgedIsHeld, what));
        }
        if !history.born.contains(&ballot) {
            history.born.push(ballot);
        }
        Ok(())
    }

    /// Whether an attempt is in force: only then it may be granted, and run.
    pub fn is_granted(&self, task: &TaskId, attempt: u32, executor: NodeId) -> bool {
        self.history(task).iter().any(|write| match &write.register.state {
            State::Assigned(one) if one.number == attempt && one.executor == executor => {
                match is_placement(write.key) {
                    true => write.is_on_all(),
                    false => write.is_in_force(),
                }
            }
            State::Waiting | State::Assigned(_) | State::Ended(_) => false,
        })
    }

    /// How the task ended, once a majority of its holders had that on disk.
    pub fn chosen(&self, task: &TaskId) -> Option<&Arc<Register>> {
        self.tasks.get(task)?.chosen.as_ref().map(|(_, register)| register)
    }

    /// In order of their keys.
    pub fn history(&self, task: &TaskId) -> &[Write] {
        self.tasks.get(task).map_or(&[], |history| history.writes.as_slice())
    }

    /// What was decided, in the order in which it was: writes in force, and births that came about.
    pub fn decisions(&self, task: &TaskId) -> Vec<&Write> {
        let Some(history) = self.tasks.get(task) else { return Vec::new() };
        let mut decisions: Vec<&Write> = history.writes.iter().filter(|write| history.is_decided(write)).collect();
        decisions.sort_unstable_by_key(|write| precedence(write.key));
        decisions
    }

    /// Whether births of the task from different home lists came to disks: members had come or gone in between. That
    /// two of them meet is then not certain, see the limits in the module's documentation.
    pub fn has_two_homes(&self, task: &TaskId) -> bool {
        let written = self.history(task).iter().filter(|write| !write.on.is_empty());
        // A birth that a promise barred comes to a disk by whoever proposes it, and never as it was placed.
        let mut homes = written.filter_map(|write| match &write.birth {
            Some(birth) => Some(&birth.home),
            None => write.register.joint.as_ref().filter(|_| is_placement(write.key)),
        });
        let first = homes.next();
        homes.any(|home| Some(home) != first)
    }

    /// Whether it is a replica that was born again after it had ended: who polls asks for it as of then (`born`), so that a
    /// record that everybody has forgotten bars nothing. A user's task keeps the date of its key.
    pub fn is_replica_reborn(&self, task: &TaskId) -> bool {
        let ended = self.chosen(task).and_then(|chosen| chosen.ending()).map(|ending| ending.at);
        let births = self.history(task).iter().filter_map(|write| write.birth.as_ref());
        let later = births.filter(|birth| ended.is_some_and(|ended| birth.born > ended));
        later.take(1).any(|birth| Spec::decode(&birth.spec).is_ok_and(|spec| spec.replica_of().is_some()))
    }

    /// The histories of all tasks, in no order.
    pub fn all(&self) -> impl Iterator<Item = &[Write]> {
        self.tasks.values().map(|history| history.writes.as_slice())
    }

    /// A node says that the task has ended so.
    pub fn said_to_have_ended(&self, task: TaskId, register: &Register) -> Result<(), Violation> {
        let fault = |what: String| Err(Violation::new(Rule::EndedIsChosen, format!("{task}: {what}")));
        match (self.chosen(&task).and_then(|chosen| chosen.ending()), register.ending()) {
            (_, None) => fault("said to have ended with a register that is not terminal".into()),
            (None, Some(_)) => fault("said to have ended before a majority of its holders had it so".into()),
            (Some(chosen), Some(said)) if chosen != said => {
                fault(format!("said to have ended otherwise than it has: {}, not {}", brief(said), brief(chosen)))
            }
            _ => Ok(()),
        }
    }
}

impl History {
    /// A birth counts once its gateway has said that it is complete, or its driver has written upon it: before that it
    /// may be given up, however many have it.
    fn is_decided(&self, write: &Write) -> bool {
        let (ballot, _) = write.key;
        match is_placement(write.key) {
            false => write.is_in_force(),
            true => {
                let is_written_upon =
                    || self.writes.iter().any(|one| one.key.0 == ballot && one.key.1 > Version::BIRTH);
                write.is_on_all() && (self.born.contains(&ballot) || is_written_upon())
            }
        }
    }

    /// Where it is in the history, and what is wrong with it: it is remembered in any case.
    fn seen(&mut self, task: TaskId, key: Key, register: &Arc<Register>) -> (usize, Result<(), Violation>) {
        // Almost always the newest or nearly so.
        let place = self.writes.iter().rposition(|write| write.key <= key).map_or(0, |place| place + 1);
        if let Some(before) = place.checked_sub(1).filter(|&before| self.writes[before].key == key) {
            let known = &self.writes[before].register;
            if Arc::ptr_eq(known, register) || known == register {
                return (before, Ok(()));
            }
            let what = format!("{task}: two registers for {} {:?}: {known:?} and {register:?}", key.0, key.1);
            return (before, Err(Violation::new(Rule::OneRegister, what)));
        }
        self.writes.insert(place, Write { key, register: register.clone(), birth: None, on: Vec::new() });
        if let Some((chosen_key, chosen)) = &self.chosen
            && key > *chosen_key
            && !is_placement(key)
            && chosen.ending() != register.ending()
        {
            let what = format!(
                "{task}: ended at {} {:?} as {}, and yet at {} {:?} it is {}",
                chosen_key.0,
                chosen_key.1,
                state(chosen),
                key.0,
                key.1,
                state(register)
            );
            return (place, Err(Violation::new(Rule::OneEnding, what)));
        }
        (place, Ok(()))
    }

    /// The terminal write at `place` has its majority.
    fn choose(&mut self, task: TaskId, place: usize) -> Result<(), Violation> {
        let write = &self.writes[place];
        let fault = |key: Key, other: &Register| {
            Err(Violation::new(
                Rule::OneEnding,
                format!(
                    "{task}: a majority has it at {} {:?} as {}, and at {} {:?} it is {}",
                    write.key.0,
                    write.key.1,
                    state(&write.register),
                    key.0,
                    key.1,
                    state(other)
                ),
            ))
        };
        if let Some((key, chosen)) = &self.chosen
            && chosen.ending() != write.register.ending()
        {
            return fault(*key, chosen);
        }
        if let Some(later) = self.writes[place..]
            .iter()
            .find(|later| !is_placement(later.key) && later.register.ending() != write.register.ending())
        {
            return fault(later.key, &later.register);
        }
        if self.chosen.as_ref().is_none_or(|(key, _)| write.key < *key) {
            self.chosen = Some((write.key, write.register.clone()));
        }
        Ok(())
    }
}

impl Write {
    /// Whether majorities of all sets of holders that it needs had it.
    pub fn is_in_force(&self) -> bool {
        let majority = |holders: &[Holder]| {
            let have = holders.iter().filter(|holder| self.on.contains(&holder.store)).count();
            have > holders.len() / 2
        };
        self.register.lists().all(|holders| majority(holders))
    }

    /// Whether all its holders had it.
    pub fn is_on_all(&self) -> bool {
        self.register.holders.iter().all(|holder| self.on.contains(&holder.store))
    }
}

/// The order of decisions: that of the keys, except that among births, whose ballots nobody has prepared, the one that
/// was written upon stands above all others.
pub fn precedence(key: Key) -> (u32, bool, Ballot, Version) {
    (key.0.term, key.1 > Version::BIRTH, key.0, key.1)
}

/// A gateway places without having prepared: that its ballot is higher than that of another birth says nothing, and
/// the holders refuse it. Only what is written upon such a birth, after all its holders took it, must not be.
pub fn is_placement(key: Key) -> bool {
    key.0.term == 0 && key.1 == Version::BIRTH
}

fn state(register: &Register) -> String {
    match register.ending() {
        Some(ending) => brief(ending),
        None => "not ended".into(),
    }
}

fn brief(ending: &Ending) -> String {
    format!("{:?} by {:?} at {}", ending.how, ending.by, ending.at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::check::sample::{ballot, birth, ended, node, register, spec, task};
    use mesh_proto::task::{How, TaskKey};

    const V1: Version = Version::BIRTH;
    const S: [StoreId; 4] = [StoreId(0), StoreId(1), StoreId(2), StoreId(3)];

    #[test]
    fn two_registers_for_one_ballot_and_version_are_found() {
        let mut registers = Registers::default();
        let (a, b) = (register(&[0, 1, 2], 1), register(&[0, 1, 2], 2));
        registers.seen(task(1), (ballot(0, 0), V1), &a).unwrap();
        registers.seen(task(1), (ballot(0, 0), V1), &a.clone()).unwrap();
        registers.seen(task(2), (ballot(0, 0), V1), &b).unwrap();
        registers.seen(task(1), (ballot(0, 0), V1.next()), &b).unwrap();
        let error = registers.on_disk(task(1), (ballot(0, 0), V1), &b, S[0]).unwrap_err();
        assert_eq!(error.rule, Rule::OneRegister);
    }

    #[test]
    fn an_ending_is_chosen_by_a_majority_and_not_before() {
        let mut registers = Registers::default();
        let end = ended(&[0, 1, 2], How::Done, 1);
        let key = (ballot(0, 0), V1.next());
        registers.on_disk(task(1), key, &end, S[0]).unwrap();
        assert_eq!(registers.said_to_have_ended(task(1), &end).unwrap_err().rule, Rule::EndedIsChosen);
        registers.on_disk(task(1), key, &end, S[3]).unwrap();
        assert!(registers.chosen(&task(1)).is_none());
        registers.on_disk(task(1), key, &end, S[1]).unwrap();
        registers.said_to_have_ended(task(1), &end).unwrap();
        let other = ended(&[0, 1, 2], How::Failed, 1);
        assert_eq!(registers.said_to_have_ended(task(1), &other).unwrap_err().rule, Rule::EndedIsChosen);
    }

    #[test]
    fn a_chosen_ending_never_changes() {
        let end = ended(&[0, 1, 2], How::Done, 1);
        let chosen = || {
            let mut registers = Registers::default();
            for store in [S[0], S[1]] {
                registers.on_disk(task(1), (ballot(1, 0), V1), &end, store).unwrap();
            }
            registers
        };
        for other in [register(&[0, 1, 2], 3), ended(&[0, 1, 2], How::Cancelled, 1)] {
            let later = chosen().seen(task(1), (ballot(2, 1), V1), &other).unwrap_err();
            assert_eq!(later.rule, Rule::OneEnding);
            // One that was under way before and had no chance is no fault.
            chosen().seen(task(1), (ballot(0, 1), V1.next()), &other).unwrap();
        }
        // The same state under a higher ballot is a driver that finished what it found.
        chosen().seen(task(1), (ballot(2, 1), V1), &end).unwrap();
    }

    #[test]
    fn a_higher_write_that_did_not_know_is_found_when_the_lower_is_chosen() {
        let mut registers = Registers::default();
        registers.on_disk(task(1), (ballot(2, 1), V1), &ended(&[0, 1, 2], How::Failed, 1), S[2]).unwrap();
        let end = ended(&[0, 1, 2], How::Done, 1);
        registers.on_disk(task(1), (ballot(1, 0), V1), &end, S[0]).unwrap();
        let error = registers.on_disk(task(1), (ballot(1, 0), V1), &end, S[1]).unwrap_err();
        assert_eq!(error.rule, Rule::OneEnding);
    }

    #[test]
    fn a_placement_of_what_has_ended_is_no_fault_and_a_write_upon_it_is() {
        let mut registers = Registers::default();
        let end = ended(&[0, 1, 2], How::Done, 1);
        for store in [S[0], S[1]] {
            registers.on_disk(task(1), (ballot(0, 0), V1.next()), &end, store).unwrap();
        }
        registers.seen(task(1), (ballot(0, 1), V1), &register(&[1, 2, 3], 1)).unwrap();
        let error = registers.seen(task(1), (ballot(0, 1), V1.next()), &register(&[1, 2, 3], 1)).unwrap_err();
        assert_eq!(error.rule, Rule::OneEnding);
    }

    #[test]
    fn a_replica_that_is_asked_for_again_is_another() {
        use mesh_proto::{codec, time::Wall};
        let born = |key: TaskKey, at: u64| {
            let spec = Spec { key, born: Wall(at), ..spec() };
            Arc::new(Birth { spec: codec::encode(&spec).into(), born: Wall(at), ..Birth::clone(&birth(1)) })
        };
        let is_reborn = |key: TaskKey, at: u64| {
            let mut registers = Registers::default();
            let end = ended(&[0, 1, 2], How::Done, 1);
            for store in [S[0], S[1]] {
                registers.on_disk(task(1), (ballot(0, 0), V1.next()), &end, store).unwrap();
            }
            let key_of_it = (ballot(0, 1), V1);
            registers.seen(task(1), key_of_it, &register(&[1, 2, 3], 1)).unwrap();
            registers.seen_with(task(1), key_of_it, &born(key, at)).unwrap();
            registers.is_replica_reborn(&task(1))
        };
        let replica = || TaskKey::Replica(task(9), node(1));
        assert!(is_reborn(replica(), 3));
        assert!(!is_reborn(replica(), 2), "of before it ended");
        assert!(!is_reborn(TaskKey::Own(vec![1]), 3), "a user's");
    }

    #[test]
    fn births_from_two_home_lists_are_told_apart() {
        let mut registers = Registers::default();
        let birth = |home: &[u8]| {
            let mut birth = (*register(&[0, 1, 2], 1)).clone();
            birth.joint = Some(register(home, 1).holders.clone());
            Arc::new(birth)
        };
        registers.on_disk(task(1), (ballot(0, 0), V1), &birth(&[0, 1, 2, 3]), S[0]).unwrap();
        registers.on_disk(task(1), (ballot(0, 1), V1), &birth(&[0, 1, 2, 3]), S[1]).unwrap();
        registers.seen(task(1), (ballot(0, 2), V1), &birth(&[4, 1, 2, 3])).unwrap();
        assert!(!registers.has_two_homes(&task(1)));
        registers.on_disk(task(1), (ballot(0, 2), V1), &birth(&[4, 1, 2, 3]), S[2]).unwrap();
        assert!(registers.has_two_homes(&task(1)));
    }

    #[test]
    fn a_birth_that_was_proposed_has_a_home_too() {
        let mut registers = Registers::default();
        let home = |stores: &[u8]| register(stores, 1).holders.clone();
        let later = |stores: &[u8]| Arc::new(Birth { home: home(stores), ..Birth::clone(&birth(1)) });
        let mut placed = Register::clone(&register(&[0, 1, 2], 1));
        placed.joint = Some(home(&[0, 1, 2, 3]));
        registers.on_disk(task(1), (ballot(0, 0), V1), &Arc::new(placed.clone()), S[0]).unwrap();
        let mut proposed = |stores: &[u8], term: u32| {
            let key = (ballot(term, 2), Version(2));
            registers.on_disk(task(1), key, &Arc::new(placed.clone()), S[2]).unwrap();
            registers.seen_with(task(1), key, &later(stores)).unwrap();
            registers.has_two_homes(&task(1))
        };
        assert!(!proposed(&[0, 1, 2, 3], 1));
        assert!(proposed(&[4, 1, 2, 3], 2));
    }

    #[test]
    fn a_joint_register_needs_both_majorities() {
        let mut registers = Registers::default();
        let mut joint = (*ended(&[0, 1], How::Done, 1)).clone();
        joint.joint = Some(register(&[2, 3], 1).holders.clone());
        let joint = Arc::new(joint);
        let key = (ballot(1, 0), V1);
        for store in [S[0], S[1], S[2]] {
            registers.on_disk(task(1), key, &joint, store).unwrap();
            assert!(registers.chosen(&task(1)).is_none());
        }
        registers.on_disk(task(1), key, &joint, S[3]).unwrap();
        assert!(registers.chosen(&task(1)).is_some());
    }
}
