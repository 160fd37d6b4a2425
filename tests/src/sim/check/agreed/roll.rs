use crate::sim::check::{Rule, Violation};
use mesh_proto::{
    domain::Epoch,
    id::NodeId,
    ledger::{Change, Motion},
    pbft::EpochConfig,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Who was of the committee in each epoch, and what was asked for by enough of those who may: that alone leads from one to
/// the next.
#[derive(Default)]
pub struct Roll {
    /// All epochs that some correct replica has come to.
    epochs: BTreeMap<Epoch, Arc<EpochConfig>>,
    asked: BTreeSet<(u64, Step)>,
}

/// One member more, or less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Add(NodeId),
    Remove(NodeId),
}

impl Roll {
    /// The first epoch, which nobody asks for.
    pub fn begin(&mut self, genesis: EpochConfig) {
        self.epochs.insert(genesis.epoch, Arc::new(genesis));
    }

    /// The motion is signed by as many as it takes, and from now on it may be made.
    pub fn asks(&mut self, motion: &Motion) {
        let step = match &motion.change {
            Change::CommitteeAdd(seat) => Step::Add(seat.node),
            Change::CommitteeRemove(node) => Step::Remove(*node),
            // These change no committee.
            Change::Revoke(_) | Change::InviterAdd { .. } | Change::InviterRemove(_) | Change::CommitteeAuto(_) => {
                return;
            }
        };
        self.asked.insert((motion.serial, step));
    }

    /// A correct replica is in this epoch.
    pub fn comes_to(&mut self, config: &Arc<EpochConfig>) -> Result<(), Violation> {
        if let Some(known) = self.epochs.get(&config.epoch) {
            return match (known.start, &known.members) == (config.start, &config.members) {
                true => Ok(()),
                false => forged(format!("one is in {config:?}, others are in {known:?}")),
            };
        }
        self.epochs.insert(config.epoch, Arc::clone(config));
        // A neighbour that nobody was in is judged when somebody is.
        let last = Epoch(config.epoch.0.saturating_sub(1));
        for before in [last, config.epoch] {
            if let (Some(before), Some(after)) = (self.epochs.get(&before), self.epochs.get(&Epoch(before.0 + 1))) {
                self.follows(before, after)?;
            }
        }
        Ok(())
    }

    /// Nothing but changes of the committee is asked for, so as many were made as epochs have begun.
    fn follows(&self, before: &EpochConfig, after: &EpochConfig) -> Result<(), Violation> {
        let [old, new] = [before, after].map(|config| config.members.iter().copied().collect::<BTreeSet<NodeId>>());
        let removed = old.difference(&new).map(|node| Step::Remove(*node));
        let steps: Vec<Step> = removed.chain(new.difference(&old).map(|node| Step::Add(*node))).collect();
        match steps[..] {
            [step] if self.asked.contains(&(before.epoch.0, step)) => Ok(()),
            _ => forged(format!("epoch {} began with {steps:?}, which nobody asked for", after.epoch.0)),
        }
    }
}

fn forged(what: String) -> Result<(), Violation> {
    Err(Violation::new(Rule::NoForgery, what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_proto::{key::SecretKey, ledger::Seat, pbft::Sequence};

    #[test]
    fn a_committee_that_nobody_asked_for_is_found() {
        let node = |n| SecretKey::from_bytes(&[n; 32]).node_id();
        let genesis = EpochConfig::genesis((1..=4).map(node)).unwrap();
        let epoch = |epoch: u64, members: &[u8]| {
            let mut members: Vec<NodeId> = members.iter().map(|n| node(*n)).collect();
            members.sort();
            let start = Sequence::new(epoch * 128);
            Arc::new(EpochConfig { epoch: Epoch(epoch), start, members, ..genesis.clone() })
        };
        let adds = |serial, n| Motion { serial, change: Change::CommitteeAdd(Seat { node: node(n), store: None }) };
        let removes = |serial, n| Motion { serial, change: Change::CommitteeRemove(node(n)) };
        let asked = |motions: &[Motion]| {
            let mut roll = Roll::default();
            roll.begin(genesis.clone());
            motions.iter().for_each(|motion| roll.asks(motion));
            roll
        };
        let five = epoch(1, &[1, 2, 3, 4, 5]);
        let mut roll = asked(&[adds(0, 5), removes(1, 2)]);
        assert_eq!(roll.comes_to(&five), Ok(()));
        assert_eq!(roll.comes_to(&five), Ok(()));
        assert!(roll.comes_to(&epoch(1, &[1, 2, 3, 4])).is_err(), "two committees in one epoch");
        assert_eq!(roll.comes_to(&epoch(2, &[1, 3, 4, 5])), Ok(()));
        assert!(asked(&[]).comes_to(&five).is_err());
        assert!(asked(&[removes(0, 5)]).comes_to(&five).is_err());
        assert!(asked(&[adds(1, 5)]).comes_to(&five).is_err(), "at another point");
        assert!(asked(&[adds(0, 5), adds(0, 6)]).comes_to(&epoch(1, &[1, 2, 3, 4, 5, 6])).is_err(), "two at once");
        assert!(asked(&[adds(0, 5)]).comes_to(&epoch(1, &[1, 2, 3, 4])).is_err(), "none");
        let mut roll = asked(&[adds(0, 5)]);
        assert_eq!(roll.comes_to(&epoch(2, &[1, 3, 4, 5])), Ok(()), "its neighbour is not known");
        assert!(roll.comes_to(&five).is_err());
    }
}
