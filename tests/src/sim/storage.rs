//! The disk of a simulated node, with the real log and the real store on it.

use super::{clock::Clock, options::Options};
use mesh_coordinator::{Config, Coordinator, Fact};
use mesh_proto::{
    codec,
    id::{LogPosition, StoreId},
};
use meshd::{
    log::{
        Log, LogConfig, LogError, NewLog,
        sim_disk::{Mount, SimDisk},
    },
    store::{Store, StoreConfig, StoreError},
};

/// What survives a crash.
pub struct Medium {
    log: SimDisk,
    store: SimDisk,
    config: LogConfig,
}

/// What a running node has open.
pub struct Storage {
    log: Log<Mount>,
    store: Store,
    buffer: Vec<u8>,
}

/// A node that has read its disk.
pub struct Loaded {
    pub storage: Storage,
    pub brain: Coordinator,
    /// The last record that is durable.
    pub position: LogPosition,
    /// Records that turned out to be durable, though the crash came before anybody was told.
    pub surprises: Vec<Fact>,
}

/// Why a node cannot start. Every one of them is a fault of ours: the simulated disk only does what disks may do.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Decode(#[from] codec::DecodeError),
    #[error("{known} was durable, the log ends at {found}")]
    Lost { known: LogPosition, found: LogPosition },
    #[error("agreement cannot go on with it: {0}")]
    Broken(String),
}

impl Medium {
    pub fn new(options: &Options) -> Self {
        let config = LogConfig { segment_size: options.segment, ..LogConfig::default() };
        Self { log: SimDisk::new(), store: SimDisk::new(), config }
    }

    /// Reads everything, as a node does when it starts. `durable` is what it knew to be durable when it ended.
    pub fn load(&self, config: Config, salt: u64, durable: LogPosition) -> Result<Loaded, LoadError> {
        let store_id = config.me.store;
        let opened = Log::open(self.log.mount(), &self.config, NewLog { store_id, salt })?;
        let store_config = StoreConfig { cache_bytes: 1 << 20 };
        let store = Store::open_disk(&mut self.store.mount(), "store", opened.store_id, &store_config)?;
        let mut brain = Coordinator::new(config);
        store.for_each(|key, value| brain.load(key, value).map_err(LoadError::from))?;
        brain.loaded(store.position());
        let mut surprises = Vec::new();
        let last = opened.log.replay(store.position(), |position, record| {
            let fact: Fact = codec::decode(record, Fact::LIMIT)?;
            if position > durable {
                surprises.push(fact.clone());
            }
            brain.apply(fact);
            Ok::<(), LoadError>(())
        })?;
        if last < durable {
            return Err(LoadError::Lost { known: durable, found: last });
        }
        if let Some(why) = brain.broken() {
            return Err(LoadError::Broken(why.to_owned()));
        }
        let storage = Storage { log: opened.log, store, buffer: Vec::new() };
        Ok(Loaded { storage, brain, position: last, surprises })
    }

    /// A first record, before the node's first start.
    pub fn begin(&self, store_id: StoreId, fact: &Fact) -> Result<LogPosition, LogError> {
        let mut log = Log::open(self.log.mount(), &self.config, NewLog { store_id, salt: 1 })?.log;
        log.append(&codec::encode(fact))?;
        log.commit()
    }

    /// The machine stops; what was not synced is there or not, as drawn from `seed`.
    pub fn crash(&self, seed: u64) {
        self.log.crash(seed);
        self.store.crash(seed ^ 1);
    }

    /// The process stops and the machine goes on: what was written is there, synced or not.
    pub fn restart(&self) {
        self.log.restart();
        self.store.restart();
    }

    /// Nothing is left.
    pub fn lose(&self) {
        self.log.wipe();
        self.store.wipe();
    }

    /// Lets the power fail in the commit that comes next, at its write or at its sync.
    pub fn fail_next_commit(&self, at_sync: bool) {
        self.log.lose_power_after(u64::from(at_sync));
    }
}

/// One of the two disks of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Log,
    Store,
}

impl Medium {
    /// Lets the power fail in one of the next operations of a disk, or never mind if there are not so many.
    pub fn lose_power_after(&self, part: Part, operations: u64) {
        match part {
            Part::Log => self.log.lose_power_after(operations),
            Part::Store => self.store.lose_power_after(operations),
        }
    }

    /// The power did not fail, and will not.
    pub fn keep_power(&self) {
        self.log.keep_power();
        self.store.keep_power();
    }

    pub fn is_off(&self) -> bool {
        self.log.is_off() || self.store.is_off()
    }
}

impl Storage {
    /// One write and one sync for all of `facts`.
    pub fn commit(&mut self, facts: &[Fact]) -> Result<LogPosition, LogError> {
        for fact in facts {
            let mut buffer = std::mem::take(&mut self.buffer);
            buffer.clear();
            self.buffer = codec::encode_into(buffer, fact);
            self.log.append(&self.buffer)?;
        }
        self.log.commit()
    }

    /// The store takes in what the brain has changed, and the log lets go of it. Everything up to the brain's
    /// position must be durable.
    pub fn absorb(&mut self, brain: &mut Coordinator) -> Result<(), LoadError> {
        let (position, mut changes, pages) = brain.take_changes();
        changes.extend(pages.changes());
        self.store.write(position, changes)?;
        self.log.release(position)?;
        Ok(())
    }

    /// Between two commits: proves the last one and makes room for the next.
    pub fn idle(&mut self) -> Result<(), LogError> {
        self.log.seal()?;
        self.log.prepare()
    }
}

/// The clock of node `index`, as drawn.
pub fn draw_clock(dice: &mut super::dice::Dice, options: &Options) -> Clock {
    let drift = dice.range(0..=2 * options.drift) as i64 - options.drift as i64;
    let ahead = dice.range(0..=400) as i64 - 200;
    Clock::new(dice.range(0..=1_000_000_000_000), drift, ahead)
}
