//! Whole nodes inside the test's process, where their disks and clocks can be reached.

mod failing_disk;
mod malformed;
mod seam;
mod slow_disk;

use mesh_proto::{address::Addresses, role::Role};
use meshd::{
    api::members::MemberRow,
    client::{Ask, Client},
    config::{FileSource, Sources},
    identity::{self, ApiToken, DataDir, Identity, InviteTerms},
    log::{Disk, FileDisk},
    run::{Node, Options},
};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tempfile::TempDir;

/// One node, and a client of its API.
pub struct Inside {
    pub node: Node,
    pub id: String,
    pub client: Arc<Client>,
    identity: Identity,
    dir: TempDir,
}

impl Inside {
    /// The maker of a network, alone.
    pub async fn maker<D: Disk + 'static>(seam: impl FnOnce(FileDisk) -> D) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let identity =
            identity::init(&data(&dir), "inside".parse().unwrap(), false, meshd::brain::clock::wall()).unwrap();
        Self::start(dir, identity, seam).await
    }

    /// Another member, that knows where this one is.
    pub async fn member<D: Disk + 'static>(&self, seam: impl FnOnce(FileDisk) -> D) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let identity = self.join_in(&dir);
        Self::start(dir, identity, seam).await
    }

    /// The identity of another member, that is not started.
    pub fn join(&self) -> Identity {
        self.join_in(&tempfile::tempdir().unwrap())
    }

    fn join_in(&self, dir: &TempDir) -> Identity {
        let bootstrap = Addresses::new(vec![self.address()]).unwrap();
        let terms = InviteTerms { role: Role::Full, valid_for: Duration::from_secs(3600), bootstrap };
        let token =
            identity::invite(&self.identity, None, terms, meshd::brain::clock::wall()).unwrap().to_text().to_string();
        identity::join(&data(dir), &token, None, meshd::brain::clock::wall()).unwrap()
    }

    async fn start<D: Disk + 'static>(dir: TempDir, identity: Identity, seam: impl FnOnce(FileDisk) -> D) -> Self {
        let text = format!(
            "[node]\ndata_dir = {:?}\n\n[network]\nlisten = [\"/ip4/127.0.0.1/tcp/0\"]\nmdns = false\n\n[api]\nlisten = \"127.0.0.1:0\"\n",
            dir.path()
        );
        let file = Some(FileSource { path: PathBuf::from("meshd.toml"), text });
        let loaded = meshd::config::load(&Sources { file, ..Sources::default() }).unwrap();
        let node = Node::start_on(Options { loaded }, seam).await.unwrap();
        let token = ApiToken::load(dir.path()).unwrap().unwrap();
        let client = Arc::new(Client::new(vec![format!("http://{}", node.api())], token.as_str().to_owned()));
        Self { node, id: identity.key.node_id().to_string(), client, identity, dir }
    }

    /// Where it listens, and who it is.
    pub fn address(&self) -> String {
        format!("{}/p2p/{}", self.node.listening()[0], self.id)
    }

    pub async fn members(&self) -> Vec<MemberRow> {
        self.client.ask(&Ask::get("/v1/members")).await.unwrap()
    }

    pub async fn reaches(&self, count: usize) -> bool {
        self.members().await.iter().filter(|row| row.state == "alive").count() == count
    }

    /// Ends it well; its disk goes with it.
    pub async fn stop(self) {
        let Self { node, dir, .. } = self;
        tokio::task::spawn_blocking(move || node.stop()).await.unwrap();
        drop(dir);
    }
}

fn data(dir: &TempDir) -> DataDir {
    DataDir::lock(dir.path()).unwrap()
}
