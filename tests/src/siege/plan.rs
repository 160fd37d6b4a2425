use super::{
    ask::Asking,
    desk::Desk,
    figures::Figures,
    history::{self, History, HistoryError},
    judge::Judge,
    line::{Line, Siege},
    nemesis::Nemesis,
    reading::Reading,
    user::User,
    watch,
};
use crate::sim::dice::Dice;
use mesh_proto::genesis::Engine;
use meshd::{
    bench::consensus::committee,
    client::{Client, ClientError},
    testnet::{Options, Scratch, Testnet, TestnetError},
};
use std::{
    path::{Path, PathBuf},
    rc::Rc,
    time::{Duration, Instant},
};
use tokio::task::LocalSet;

/// What to do to which nodes.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The program that the nodes run.
    pub binary: PathBuf,
    pub nodes: usize,
    /// How long there is load and fire.
    pub time: Duration,
    pub clients: usize,
    pub kill_every: Duration,
    pub engine: Engine,
    /// Of all choices.
    pub seed: u64,
    /// Where to make the testnet. Default: the system's directory for temporary files.
    pub dir: Option<PathBuf>,
    /// The testnet's files and the history stay, also when nothing was found.
    pub keep: bool,
}

/// Why a siege did not come to a judgement.
#[derive(Debug, thiserror::Error)]
pub enum SiegeError {
    #[error(transparent)]
    Testnet(#[from] TestnetError),
    #[error(transparent)]
    History(#[from] HistoryError),
    #[error("what is there in the end was not told: {0}")]
    Reading(#[from] ClientError),
}

/// Operations of one siege: all of them are in memory when they are judged, some 300 bytes each.
const MOST_OPERATIONS: u32 = 2_000_000;
/// How long nodes have to find each other: many on few cores take their time.
const PATIENCE: Duration = Duration::from_secs(120);
/// Streams of draws: that of the nemesis, and those of users behind it.
const NEMESIS: u64 = 1;
const USERS: u64 = 2;

impl Plan {
    /// Sets up, lays siege, reads, judges, and takes down what is not to be looked at. On Linux the nodes end with the
    /// thread that this is run on, which must be one with a runtime of its own.
    pub async fn run(&self) -> Result<Figures, SiegeError> {
        let mut scratch = Scratch::new(self.dir.as_deref(), "meshd-siege")?;
        if self.keep {
            scratch.keep();
        }
        let path = scratch.path().join("history.ndjson");
        let result = LocalSet::new().run_until(self.lay(scratch.path(), &path)).await;
        // Whatever went wrong is to be looked at.
        let is_clean = result.as_ref().is_ok_and(|figures| figures.violations.is_empty());
        if !is_clean || self.keep {
            scratch.keep();
            eprintln!("all of it is in {}; judged again with --check {}", scratch.path().display(), path.display());
        }
        result
    }

    async fn lay(&self, dir: &Path, path: &Path) -> Result<Figures, SiegeError> {
        let mut options = Options::new(self.binary.clone());
        options.patience = PATIENCE;
        options.engine = self.engine;
        let mut net = Testnet::up(&dir.join("net"), self.nodes, &options).await?;
        committee::grow(&net, self.nodes).await?;
        let token = net.token()?;
        let clients = net.nodes().iter().map(|node| Client::new(vec![node.api()], token.clone())).collect();
        let clients: Rc<Vec<Client>> = Rc::new(clients);
        let network = net.status(0).await?.network;
        let desk = Rc::new(Desk::new(self.nodes, MOST_OPERATIONS, History::create(path)?));
        desk.note(&Line::Siege(self.describe(&network)));
        let begun = Instant::now();
        let first_view = watch::primary(&clients).await.map_or(0, |(_, view)| view);

        let asking = Asking { seed: self.seed, holder: net.nodes()[0].node.clone() };
        let users = self.users(&desk, &clients, asking);
        self.strike(&mut net, &desk, &clients).await?;
        self.heal(&mut net).await?;
        desk.close();
        for user in users {
            // A user who panicked has found a mistake of ours.
            user.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        }
        let took = begun.elapsed();
        let binary = self.binary.clone();
        let (engine, dir) = (self.engine, dir.to_owned());
        let reading = Reading { desk: desk.clone(), clients: clients.clone(), engine, network, binary, dir };
        let was_read = reading.run().await;
        let last_view = watch::primary(&clients).await.map_or(0, |(_, view)| view);
        desk.flush()?;
        net.kill_all()?;

        let judgement = judge(path)?;
        let views = last_view.saturating_sub(first_view);
        let figures = Figures::new(self, took, views, &desk.tally(), judgement);
        // What was found already says more than that the nodes did not answer in the end.
        match was_read {
            Err(error) if figures.violations.is_empty() => Err(error.into()),
            _ => Ok(figures),
        }
    }

    fn users(&self, desk: &Rc<Desk>, clients: &Rc<Vec<Client>>, asking: Asking) -> Vec<tokio::task::JoinHandle<()>> {
        let asking = Rc::new(asking);
        let user = |number: usize| User {
            number,
            dice: Dice::new(self.seed, USERS + number as u64),
            desk: desk.clone(),
            asking: asking.clone(),
            clients: clients.clone(),
            avoids: None,
        };
        (0..self.clients).map(|number| tokio::task::spawn_local(user(number).run())).collect()
    }

    async fn strike(&self, net: &mut Testnet, desk: &Rc<Desk>, clients: &Rc<Vec<Client>>) -> Result<(), TestnetError> {
        desk.begin();
        let mut dice = Dice::new(self.seed, NEMESIS);
        let until_all = dice.range(1..=3);
        let (clients, desk) = (clients.clone(), desk.clone());
        let every = self.kill_every;
        let mut nemesis = Nemesis { net, clients, desk, dice, every, is_first: true, until_all };
        nemesis.run(Instant::now() + self.time).await
    }

    async fn heal(&self, net: &mut Testnet) -> Result<(), TestnetError> {
        for node in 0..self.nodes {
            net.start(node)?;
        }
        net.wait_whole().await
    }

    fn describe(&self, network: &str) -> Siege {
        Siege {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            engine: self.engine.to_string(),
            network: network.to_owned(),
            seed: self.seed,
            nodes: self.nodes,
            clients: self.clients,
            kill_every_ms: u64::try_from(self.kill_every.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// What a history that was kept comes to.
pub fn judge(path: &Path) -> Result<super::Judgement, HistoryError> {
    let mut judge = Judge::default();
    for line in history::read(path)? {
        judge.hear(line?);
    }
    Ok(judge.judge())
}
