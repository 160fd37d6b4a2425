//! The state machine: openraft's view of whatever executes what is ordered.

use crate::{
    snapshot::{Reader, Snapshots, create},
    types::{Entry, LogId, Member, Membership, Meta, Payload, Ran, Snapshot, StorageError, StorageIOError, Types},
};
use mesh_proto::{pbft::Operations, task::Octets, time::Wall};
use openraft::{AnyError, EmptyNode, OptionalSend, RaftSnapshotBuilder, SnapshotMeta, storage::RaftStateMachine};
use std::{fs, future::Future, io, sync::Arc};

/// One entry of the log, to be executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ordered {
    /// Its place in the log; 0 is never executed.
    pub index: u64,
    /// By the clock of who led. Zero, and no requests, where the entry is Raft's own.
    pub time: Wall,
    pub requests: Vec<Operations>,
}

/// Why a machine executes nothing more: its own words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Stopped(pub String);

/// Executes what is ordered. One call at a time.
pub trait Machine: Send + Sync + 'static {
    type State: State;

    /// In order; of each entry, what came of each of its requests.
    fn execute(&self, entries: Vec<Ordered>) -> impl Future<Output = Result<Vec<Vec<Octets>>, Stopped>> + Send;

    /// The state behind what was executed last, to keep while execution goes on.
    fn state(&self) -> Self::State;

    /// The state that is given in pieces takes the place of what there was; with no pieces that of the beginning.
    fn install(&self, pieces: Vec<Vec<u8>>) -> impl Future<Output = Result<(), Stopped>> + Send;
}

/// A state that stays as it is.
pub trait State: Clone + Send + Sync + 'static {
    /// In pieces of at most 1 MiB, none empty.
    fn pieces(self) -> impl Iterator<Item = Vec<u8>>;
}

pub struct Adapter<M: Machine> {
    machine: Arc<M>,
    snapshots: Snapshots,
    applied: Option<LogId>,
    membership: Membership,
}

impl<M: Machine> Adapter<M> {
    /// Installs the last snapshot, or the beginning.
    pub async fn open(machine: Arc<M>, snapshots: Snapshots) -> io::Result<Self> {
        let (meta, pieces) = match snapshots.current() {
            Some(_) => {
                let path = snapshots.path();
                blocking(move || read(fs::File::open(path)?)).await?
            }
            None => (Meta::default(), Vec::new()),
        };
        machine.install(pieces).await.map_err(io::Error::other)?;
        let Meta { last_log_id: applied, last_membership: membership, .. } = meta;
        Ok(Self { machine, snapshots, applied, membership })
    }
}

impl<M: Machine> RaftStateMachine<Types> for Adapter<M> {
    type SnapshotBuilder = Builder<M::State>;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, Membership), StorageError> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Ran>, StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let (mut ordered, mut applied, mut before) = (Vec::new(), self.applied, 0);
        for Entry { log_id, payload } in entries {
            applied = Some(log_id);
            let batch = match payload {
                Payload::Normal(batch) => batch,
                Payload::Blank => Default::default(),
                Payload::Membership(membership) => {
                    self.membership = Membership::new(Some(log_id), membership);
                    Default::default()
                }
            };
            match log_id.index {
                // The configuration that the log begins with: the state before it is that behind it.
                0 => before += 1,
                index => ordered.push(Ordered { index, time: batch.time, requests: batch.requests }),
            }
        }
        let ran = match ordered.is_empty() {
            true => Vec::new(),
            false => self.machine.execute(ordered).await.map_err(|stopped| {
                let stopped = AnyError::new(&stopped);
                applied.map_or_else(
                    || StorageIOError::write_state_machine(stopped.clone()),
                    |applied| StorageIOError::apply(applied, stopped.clone()),
                )
            })?,
        };
        self.applied = applied;
        let none = std::iter::repeat_with(Ran::default).take(before);
        Ok(none.chain(ran.into_iter().map(|outcomes| Ran { outcomes })).collect())
    }

    async fn get_snapshot_builder(&mut self) -> Self::SnapshotBuilder {
        let id = self.applied.map_or_else(|| "0".to_owned(), |applied| applied.to_string());
        let meta =
            SnapshotMeta { last_log_id: self.applied, last_membership: self.membership.clone(), snapshot_id: id };
        Builder { state: self.machine.state(), meta, snapshots: self.snapshots.clone() }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<tokio::fs::File>, StorageError> {
        let file = create(&self.snapshots.coming()).map_err(|error| StorageIOError::write_snapshot(None, &error))?;
        Ok(Box::new(tokio::fs::File::from_std(file)))
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta<Member, EmptyNode>,
        mut snapshot: Box<tokio::fs::File>,
    ) -> Result<(), StorageError> {
        use tokio::io::AsyncWriteExt as _;
        let failed = |error: io::Error| StorageIOError::write_snapshot(Some(meta.signature()), &error);
        // What it still holds back is written.
        snapshot.flush().await.map_err(failed)?;
        let file = snapshot.into_std().await;
        let again = file.try_clone().map_err(failed)?;
        let (of, pieces) = blocking(move || read(file)).await.map_err(failed)?;
        if (of.last_log_id, &of.last_membership) != (meta.last_log_id, &meta.last_membership) {
            return Err(failed(io::Error::new(io::ErrorKind::InvalidData, "the snapshot is another one")).into());
        }
        self.machine.install(pieces).await.map_err(|stopped| failed(io::Error::other(stopped)))?;
        let (snapshots, accepted) = (self.snapshots.clone(), meta.clone());
        blocking(move || snapshots.accept(accepted, again)).await.map_err(failed)?;
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, StorageError> {
        current(&self.snapshots).await
    }
}

/// Writes one state.
pub struct Builder<S> {
    state: S,
    meta: Meta,
    snapshots: Snapshots,
}

impl<S: State> RaftSnapshotBuilder<Types> for Builder<S> {
    async fn build_snapshot(&mut self) -> Result<Snapshot, StorageError> {
        let (snapshots, meta, state) = (self.snapshots.clone(), self.meta.clone(), self.state.clone());
        let written = blocking(move || snapshots.write(meta, state.pieces())).await;
        written.map_err(|error| StorageIOError::write_snapshot(Some(self.meta.signature()), &error))?;
        let missing = || StorageIOError::read_snapshot(None, AnyError::error("the snapshot is gone"));
        Ok(current(&self.snapshots).await?.ok_or_else(missing)?)
    }
}

async fn current(snapshots: &Snapshots) -> Result<Option<Snapshot>, StorageError> {
    let Some(known) = snapshots.current() else { return Ok(None) };
    let path = snapshots.path();
    // What it says itself: another may have taken the name since.
    let opened = blocking(move || {
        let mut file = fs::File::open(path)?;
        let meta = Reader::new(file.try_clone()?)?.meta;
        // Both read from one place in it, and who is given it begins at the start.
        io::Seek::rewind(&mut file)?;
        Ok((meta, file))
    });
    let (meta, file) = opened.await.map_err(|error| StorageIOError::read_snapshot(Some(known.signature()), &error))?;
    Ok(Some(Snapshot { meta, snapshot: Box::new(tokio::fs::File::from_std(file)) }))
}

fn read(mut file: fs::File) -> io::Result<(Meta, Vec<Vec<u8>>)> {
    io::Seek::rewind(&mut file)?;
    let reader = Reader::new(file)?;
    Ok((reader.meta.clone(), reader.pieces()?))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
