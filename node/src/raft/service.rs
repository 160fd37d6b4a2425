//! The engine's life on this node: it begins when the brain says so, and ends when the committee goes on without it.

use super::{Parts, journal};
use crate::{
    brain::{Inbox, fatal},
    log::LogConfig,
};
use mesh_coordinator::{
    Input,
    agreement::{Begin, EngineStanding, PortInput},
};
use mesh_proto::id::{NodeId, StoreId};
use mesh_raft::{Config, Engine};
use std::{fs::File, io, path::PathBuf, sync::Arc, time::Duration};
use tokio::{
    sync::oneshot,
    time::{Instant, MissedTickBehavior, interval, sleep},
};

/// What the brain wants of it.
pub enum Wish {
    Run(Begin),
    /// The committee.
    Seat(Vec<NodeId>),
}

/// How often a node that is on its way in or out asks how far it is.
const PERIOD: Duration = Duration::from_millis(500);
/// How often the brain hears at most where the engine stands.
const TELL: Duration = Duration::from_millis(50);

/// Looks after one engine, or none.
pub struct Service {
    pub me: NodeId,
    pub store: StoreId,
    /// `raft` in the data directory.
    pub dir: PathBuf,
    pub log: LogConfig,
    pub config: Config,
    pub parts: Parts,
}

/// What it knows meanwhile.
#[derive(Default)]
struct State {
    committee: Vec<NodeId>,
    /// It had a seat at some time of this life.
    was_seated: bool,
    /// It goes on from a former life.
    is_resumed: bool,
    /// Until when it is expected to be taken in: it was asked to learn. What its own log says of it is old.
    invited_until: Option<Instant>,
    told: Option<EngineStanding>,
    told_at: Option<Instant>,
}

impl Service {
    /// Until `stop`.
    pub async fn run(mut self, mut stop: oneshot::Receiver<()>) {
        let mut state = State::default();
        let mut turns = interval(PERIOD);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let engine = self.parts.slot.engine();
            let runs = engine.is_some();
            // Gone when something happens: whoever ends the engine is the last to have it.
            let changed = async move {
                match engine {
                    Some(engine) => engine.changed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                wish = self.parts.wishes.recv() => match wish {
                    Some(wish) => self.take(&mut state, wish).await,
                    None => break,
                },
                _ = changed => self.tell(&mut state).await,
                _ = turns.tick(), if runs => self.turn(&mut state).await,
                _ = &mut stop => break,
            }
        }
        self.end().await;
    }

    async fn take(&mut self, state: &mut State, wish: Wish) {
        match wish {
            Wish::Seat(members) => {
                state.committee = members;
                state.was_seated |= state.committee.contains(&self.me);
            }
            Wish::Run(begin) => {
                if let Begin::Join { .. } = begin {
                    state.is_resumed = false;
                    state.invited_until = Some(Instant::now() + INVITED);
                }
                if self.parts.slot.engine().is_some() {
                    return;
                }
                match self.begin(begin).await {
                    Ok(Some(engine)) => {
                        state.is_resumed = begin == Begin::Resume;
                        state.told = None;
                        self.parts.slot.set(Some(Arc::new(engine)));
                        state.was_seated |= state.committee.contains(&self.me);
                        self.tell(state).await;
                    }
                    Ok(None) => tracing::info!("this node has left the committee: no engine is started"),
                    Err(why) => {
                        tracing::error!(%why, "Raft is not started");
                        self.say(PortInput::Ended(Some(why)));
                    }
                }
            }
        }
    }

    /// Nothing where this node resigned.
    async fn begin(&self, begin: Begin) -> Result<Option<Engine>, String> {
        let resigned = self.dir.join(RESIGNED);
        match (begin, resigned.exists()) {
            (Begin::Resume, true) => return Ok(None),
            (_, true) => self.forget_resignation().map_err(|error| format!("{}: {error}", resigned.display()))?,
            (_, false) => {}
        }
        let found = journal::open(&self.dir, &self.log, self.store).map_err(|error| error.to_string())?;
        if found.is_empty && matches!(begin, Begin::Resume | Begin::Join { had: true }) {
            let dir = self.dir.display();
            return Err(format!(
                "the log of Raft in {dir} is gone, and with it what this node promised: give its seat in the committee to another node"
            ));
        }
        let (ledger, wire) = (Arc::clone(&self.parts.ledger), self.parts.wire.clone());
        let (config, seats) = (self.config.clone(), self.parts.seats.clone());
        let engine = Engine::start(self.me, config, found.log, self.dir.clone(), ledger, wire, seats).await;
        let engine = engine.map_err(|error| error.to_string())?;
        if begin == Begin::Found && engine.is_pristine() {
            engine.found().await.map_err(|error| error.to_string())?;
        }
        Ok(Some(engine))
    }

    /// Where the engine stands, to the brain.
    async fn tell(&self, state: &mut State) {
        // At each entry something changes.
        if let Some(told_at) = state.told_at {
            sleep(TELL.saturating_sub(told_at.elapsed())).await;
        }
        let Some(engine) = self.parts.slot.engine() else { return };
        let standing = engine.standing();
        drop(engine);
        if let Some(why) = &standing.ended {
            return self.ended(why).await;
        }
        let standing = EngineStanding {
            term: standing.term,
            leader: standing.leader,
            is_voting: standing.is_voter,
            last: standing.last,
            snapshot: standing.snapshot,
        };
        state.told_at = Some(Instant::now());
        if state.told.as_ref() != Some(&standing) {
            state.told = Some(standing.clone());
            self.say(PortInput::Stands(standing));
        }
    }

    /// By itself. What the disk may have taken or not is not gone on with; where the ledger executes nothing more, the
    /// rest of the node goes on.
    async fn ended(&self, why: &str) {
        if !self.parts.ledger.is_halted() {
            fatal(&format!("the log of Raft cannot be written: {why}"));
        }
        self.end().await;
    }

    /// A node that is to be taken in asks to learn; one that is out of the committee leaves.
    async fn turn(&mut self, state: &mut State) {
        self.tell(state).await;
        let Some(engine) = self.parts.slot.engine() else { return };
        if state.committee.contains(&self.me) {
            state.invited_until = None;
            return engine.stand(true);
        }
        engine.stand(false);
        if state.invited_until.is_some_and(|until| Instant::now() < until) {
            if !engine.join(&self.parts.wire, &state.committee).await {
                tracing::debug!("no leader has this node learn yet");
            }
            return;
        }
        let standing = engine.standing();
        let was_in = state.was_seated || standing.is_voter || state.invited_until.is_some();
        let is_leaving = was_in || (state.is_resumed && !standing.is_in);
        // Until those who stay have decided that it is out its vote may be needed.
        if is_leaving && engine.is_out(&self.parts.wire, &state.committee, true).await {
            drop(engine);
            self.resign(state).await;
        }
    }

    async fn resign(&mut self, state: &mut State) {
        self.end().await;
        if let Err(error) = self.note_resignation() {
            // The next start finds out again.
            tracing::warn!(%error, "that this node left the committee is not noted");
        }
        tracing::info!("this node has left the committee");
        *state = State { committee: std::mem::take(&mut state.committee), ..State::default() };
        self.say(PortInput::Ended(None));
    }

    async fn end(&self) {
        let Some(mut engine) = self.parts.slot.set(None) else { return };
        engine.stop().await;
        let until = Instant::now() + Duration::from_secs(5);
        // Whoever was answered by it is told that it has ended.
        loop {
            match Arc::try_unwrap(engine) {
                Ok(engine) => return engine.close().await,
                Err(_) if Instant::now() >= until => return,
                Err(again) => engine = again,
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    fn note_resignation(&self) -> io::Result<()> {
        File::create(self.dir.join(RESIGNED))?.sync_all()?;
        File::open(&self.dir)?.sync_all()
    }

    fn forget_resignation(&self) -> io::Result<()> {
        std::fs::remove_file(self.dir.join(RESIGNED))?;
        File::open(&self.dir)?.sync_all()
    }

    fn say(&self, input: PortInput) {
        say(&self.parts.inbox, input);
    }
}

fn say(inbox: &Inbox, input: PortInput) {
    if inbox.answer(Input::Port(input)).is_err() {
        tracing::debug!("the brain has ended");
    }
}

const RESIGNED: &str = "resigned";
/// How long a node that was asked to learn waits to be taken in. Who asks repeats it.
const INVITED: Duration = Duration::from_secs(240);

impl Service {
    pub fn new(me: NodeId, store: StoreId, dir: PathBuf, log: LogConfig, config: Config, parts: Parts) -> Self {
        Self { me, store, dir, log, config, parts }
    }
}
