//! Makes networks, members and strangers.

use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use libp2p::{Multiaddr, identity::Keypair};
use mesh_proto::{
    address::Addresses,
    credential::Credential,
    genesis::{Engine, Founders, Genesis},
    id::{NodeId, StoreId},
    key::SecretKey,
    role::Role,
    time::Wall,
    token::{InvitationTerms, Token},
};
use meshd::identity::Identity;
use meshd::network::{
    Class, Config, Directory, FrameHandler, KnowsNobody, NetworkEvent, NetworkHandle, NetworkIdentity, SendError,
    Violation, start,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::sync::mpsc;

/// Nothing of this is measured: what takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(20);

pub const TCP: &str = "/ip4/127.0.0.1/tcp/0";
pub const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";
pub const WEBSOCKET: &str = "/ip4/127.0.0.1/tcp/0/ws";

/// A network, in the hands of its maker.
pub struct Network {
    maker: SecretKey,
    pub genesis: Genesis,
}

impl Network {
    pub fn new(name: &str) -> Self {
        Self::of_maker(&rand::random(), name)
    }

    /// The same network in every process that has the maker's key.
    pub fn of_maker(maker: &[u8; 32], name: &str) -> Self {
        let maker = SecretKey::from_bytes(maker);
        let genesis = Genesis {
            name: name.parse().unwrap(),
            nonce: [7; 32],
            maker: maker.node_id(),
            engine: Engine::Pbft,
            open: false,
            created: Wall(0),
            committee: Founders::alone(maker.node_id()),
        };
        Self { maker, genesis }
    }

    /// A new member, not yet running.
    pub fn member(&self) -> Member {
        self.invited(now(), Wall(now().0 + 60_000), now())
    }

    /// A node that used an invitation of these dates, or says so.
    pub fn invited(&self, issued: Wall, expires: Wall, used: Wall) -> Member {
        let terms = InvitationTerms { role: Role::Full, issued, expires, member_until: None };
        let invitation = SecretKey::from_bytes(&rand::random());
        let token = Token::invite(&self.maker, self.genesis.clone(), Addresses::default(), invitation, terms).unwrap();
        let secret: [u8; 32] = rand::random();
        let credential = token.credential(&SecretKey::from_bytes(&secret), None, used).unwrap();
        Member {
            secret,
            genesis: self.genesis.clone(),
            credential,
            config: quiet(),
            handler: None,
            directory: Arc::new(KnowsNobody),
        }
    }
}

/// The defaults of `meshd`, on no port and without mDNS.
fn quiet() -> Config {
    Config { listen: Vec::new(), mdns: false, ..Config::default() }
}

/// A node that can be started.
pub struct Member {
    pub secret: [u8; 32],
    pub genesis: Genesis,
    pub credential: Credential,
    pub config: Config,
    handler: Option<Arc<dyn FrameHandler>>,
    directory: Arc<dyn Directory>,
}

impl Member {
    /// A member of a network that was made elsewhere.
    pub fn of(identity: &Identity) -> Self {
        Self {
            secret: *identity.key.to_bytes(),
            genesis: identity.genesis.clone(),
            credential: identity.credential.clone(),
            config: quiet(),
            handler: None,
            directory: Arc::new(KnowsNobody),
        }
    }

    pub fn listen(mut self, address: &str) -> Self {
        self.config.listen.push(address.parse().unwrap());
        self
    }

    pub fn bootstrap(mut self, address: &Multiaddr) -> Self {
        self.config.bootstrap.push(address.clone());
        self
    }

    pub fn configure(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    pub fn handler(mut self, handler: Arc<dyn FrameHandler>) -> Self {
        self.handler = Some(handler);
        self
    }

    /// Another member table than an empty one.
    pub fn directory(mut self, directory: Arc<dyn Directory>) -> Self {
        self.directory = directory;
        self
    }

    pub async fn start(self) -> Node {
        let (sender, frames) = mpsc::channel(1024);
        let handler = self.handler.unwrap_or_else(|| Arc::new(Forward(sender)));
        let identity = NetworkIdentity {
            keypair: Keypair::ed25519_from_bytes(self.secret).unwrap(),
            genesis: self.genesis,
            credential: self.credential,
            store: StoreId(1),
            directory: self.directory,
            remembered: Vec::new(),
        };
        let mut registry = libp2p::metrics::Registry::default();
        let listens = self.config.listen.len();
        let (handle, mut events) = start(self.config, identity, handler, &mut registry).await.unwrap();
        let mut addresses = Vec::new();
        while addresses.len() < listens {
            match within(PATIENCE, events.recv()).await {
                Some(NetworkEvent::Listening(address)) => addresses.push(address),
                other => panic!("{other:?} before it listens"),
            }
        }
        Node { node: handle.node(), handle, events, frames, addresses, registry }
    }
}

/// A running node. Dropping it is a kill, as far as its peers can see.
pub struct Node {
    pub node: NodeId,
    pub handle: NetworkHandle,
    pub events: mpsc::Receiver<NetworkEvent>,
    pub frames: mpsc::Receiver<(NodeId, Class, Bytes)>,
    pub addresses: Vec<Multiaddr>,
    pub registry: libp2p::metrics::Registry,
}

impl Node {
    /// The address it listens on, with its peer id.
    pub fn address(&self) -> Multiaddr {
        self.addresses[0].clone().with(libp2p::multiaddr::Protocol::P2p(self.node.to_peer_id()))
    }

    /// The first event that `pick` takes; others are passed over.
    pub async fn wait<T>(&mut self, what: &str, mut pick: impl FnMut(NetworkEvent) -> Option<T>) -> T {
        let found = async {
            loop {
                let event = self.events.recv().await.expect("the network runs");
                if let Some(found) = pick(event) {
                    return found;
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("no {what} in {PATIENCE:?}"))
    }

    pub async fn up(&mut self) -> NodeId {
        self.wait("Up", |event| match event {
            NetworkEvent::Up { node, .. } => Some(node),
            _ => None,
        })
        .await
    }

    pub async fn down(&mut self) -> NodeId {
        self.wait("Down", |event| match event {
            NetworkEvent::Down { node } => Some(node),
            _ => None,
        })
        .await
    }

    /// Sends, waiting while the queue is full.
    pub async fn send(&mut self, to: NodeId, class: Class, frame: Bytes) {
        loop {
            match self.handle.send(to, class, frame.clone()) {
                Ok(()) => return,
                Err(SendError::Full) => {
                    self.wait("Writable", |event| matches!(event, NetworkEvent::Writable { .. }).then_some(())).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// What the registry shows, as `/metrics` would.
    pub fn metrics(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text
    }

    /// The value of the one series that begins so.
    pub fn metric(&self, series: &str) -> u64 {
        let text = self.metrics();
        let line = text.lines().find(|line| line.starts_with(series));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
    }
}

/// Passes frames on; a full channel is back-pressure.
struct Forward(mpsc::Sender<(NodeId, Class, Bytes)>);

impl FrameHandler for Forward {
    fn frame(&self, from: NodeId, class: Class, frame: Bytes) -> BoxFuture<'_, Result<(), Violation>> {
        async move {
            if self.0.send((from, class, frame)).await.is_err() {
                return Err(Violation { reason: "nobody_listens" });
            }
            Ok(())
        }
        .boxed()
    }
}

/// Two members that are up to each other, over one transport. The second dials.
pub async fn pair(transport: &str) -> (Node, Node) {
    let network = Network::new("pair");
    let mut first = network.member().listen(transport).start().await;
    let mut second = network.member().bootstrap(&first.address()).start().await;
    assert_eq!(second.up().await, first.node);
    assert_eq!(first.up().await, second.node);
    (first, second)
}

/// A memory address that no other test has.
pub fn memory() -> String {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    format!("/memory/{}", 7_000 + u64::from(NEXT.fetch_add(1, Ordering::Relaxed)))
}

pub async fn within<T>(time: Duration, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(time, future).await.unwrap_or_else(|_| panic!("not within {time:?}"))
}

pub fn now() -> Wall {
    Wall(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap())
}
