//! Every cause of not joining is named, once.

use super::harness::{Member, Network, Node, TCP, now};
use libp2p::{Multiaddr, PeerId, multiaddr::Protocol};
use mesh_proto::{admit::Refusal, credential::Standing, id::NodeId, member::MemberEntry, time::Wall};
use meshd::network::{Backoff, Directory, JoinFailure, NetworkEvent};
use rustix::net::{AddressFamily, SocketType};
use std::{
    net::{Ipv4Addr, SocketAddrV4, TcpListener},
    sync::Arc,
    time::Duration,
};

/// Retries quickly, so that a second report would be seen.
fn hasty(member: Member) -> Member {
    let backoff = Backoff { first: Duration::from_millis(50), longest: Duration::from_millis(100) };
    member.configure(|config| config.backoff = backoff)
}

/// The one cause that a joiner reports.
async fn cause(node: &mut Node) -> (Multiaddr, JoinFailure) {
    let found = node
        .wait("Unreachable", |event| match event {
            NetworkEvent::Unreachable { address, why, .. } => Some((address, why)),
            NetworkEvent::Up { node, .. } => panic!("{node} is up"),
            _ => None,
        })
        .await;
    // Long enough for several more attempts.
    tokio::time::sleep(Duration::from_millis(700)).await;
    while let Ok(event) = node.events.try_recv() {
        assert!(!matches!(event, NetworkEvent::Unreachable { .. }), "named twice: {event:?}");
    }
    found
}

async fn cause_of(member: Member, address: &Multiaddr) -> JoinFailure {
    let mut node = hasty(member).bootstrap(address).start().await;
    cause(&mut node).await.1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_another_network_is_told_so_and_learns_nothing() {
    let network = Network::new("ours");
    let member = network.member().listen(TCP).start().await;
    let why = cause_of(Network::new("theirs").member(), &member.address()).await;
    assert_eq!(why, JoinFailure::WrongNetwork);
    assert!(member.metric(r#"mesh_network_refused_total{reason="stranger"}"#) > 0);
    assert_eq!(member.handle.peers().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_invitation_lets_nobody_in() {
    let network = Network::new("expired");
    let member = network.member().listen(TCP).start().await;
    let hour = 3_600_000;
    let late = network.invited(Wall(now().0 - 2 * hour), Wall(now().0 - hour), Wall(now().0 - hour - 1));
    let why = cause_of(late, &member.address()).await;
    assert_eq!(why, JoinFailure::Refused(Refusal::InvitationExpired));
    assert!(why.to_string().contains("ask for a new token"), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credential_of_another_node_lets_nobody_in() {
    let network = Network::new("copied");
    let member = network.member().listen(TCP).start().await;
    let mut thief = network.member();
    thief.credential = network.member().credential;
    assert_eq!(cause_of(thief, &member.address()).await, JoinFailure::Refused(Refusal::NotThisPeer));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_without_a_good_credential_is_not_joined_either() {
    let network = Network::new("mutual");
    let mut door = network.member();
    door.credential = network.member().credential;
    let mut door = door.listen(TCP).start().await;
    let why = cause_of(network.member(), &door.address()).await;
    assert_eq!(why, JoinFailure::Unacceptable(Refusal::NotThisPeer));
    assert!(door.events.try_recv().is_err(), "the door saw a member");
    assert_eq!(door.metric(r#"mesh_network_admissions_total{result="admitted"}"#), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_peer_at_the_address_is_named() {
    let network = Network::new("wrong-peer");
    let member = network.member().listen(TCP).start().await;
    for transport in [0, 1] {
        let listens = ["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"][transport];
        let member = network.member().listen(listens).start().await;
        let address = member.addresses[0].clone().with(Protocol::P2p(PeerId::random()));
        let why = cause_of(network.member(), &address).await;
        assert_eq!(why, JoinFailure::WrongPeer { found: member.node.to_peer_id() });
    }
    drop(member);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_no_answer_and_no_mesh_node_are_told_apart() {
    let network = Network::new("nobody");
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let why = cause_of(network.member(), &format!("/ip4/127.0.0.1/tcp/{closed}").parse().unwrap()).await;
    assert_eq!(why, JoinFailure::NobodyListens);

    // Something that answers in another language.
    let web = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = web.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = web.accept().await.unwrap();
            stream.writable().await.unwrap();
            stream.try_write(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        }
    });
    // Which comes first, that it hangs up or that nobody understands it, is chance.
    let why = cause_of(network.member(), &format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap()).await;
    assert!(matches!(why, JoinFailure::NotAMeshNode(_) | JoinFailure::HungUp(_)), "{why:?}");

    // Something that hangs up, as a node does that is killed: it is tried again soon.
    let dying = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = dying.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            drop(dying.accept().await.unwrap());
        }
    });
    let why = cause_of(network.member(), &format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap()).await;
    assert!(matches!(why, JoinFailure::HungUp(_)) && !why.is_lasting(), "{why:?}");

    let why = cause_of(network.member(), &"/dns4/nowhere.invalid/tcp/7440".parse().unwrap()).await;
    assert!(matches!(why, JoinFailure::Name(_)), "{why:?}");
    let why = cause_of(network.member(), &"/unix/%2Ftmp%2Fsocket".parse().unwrap()).await;
    assert_eq!(why, JoinFailure::Unsupported);
}

/// Everybody in this table was forgotten, at this time.
struct ForgetsAll(Wall);

impl Directory for ForgetsAll {
    fn standing(&self, _: NodeId) -> Standing {
        Standing::Forgotten { at: self.0 }
    }

    fn welcome(&self) -> Vec<MemberEntry> {
        Vec::new()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_forgotten_is_told_so_and_let_in_by_an_invitation_of_later() {
    let network = Network::new("forgotten");
    let forgotten = now();
    let mut member = network.member().directory(Arc::new(ForgetsAll(forgotten))).listen(TCP).start().await;
    let invited = |issued| network.invited(issued, Wall(forgotten.0 + 60_000), forgotten);
    for issued in [Wall(forgotten.0 - 1000), forgotten] {
        let why = cause_of(invited(issued), &member.address()).await;
        assert_eq!(why, JoinFailure::Refused(Refusal::Forgotten));
        assert!(why.to_string().contains("`meshd join` with a token made since"), "{why}");
    }
    let mut back = invited(Wall(forgotten.0 + 1)).bootstrap(&member.address()).start().await;
    assert_eq!(back.up().await, member.node);
    assert_eq!(member.up().await, back.node);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_a_day_off_is_told_so() {
    let network = Network::new("clock");
    let member = network.member().listen(TCP).start().await;
    let tomorrow = Wall(now().0 + 24 * 3_600_000);
    let fast = network.invited(tomorrow, Wall(tomorrow.0 + 60_000), tomorrow);
    let why = cause_of(fast, &member.address()).await;
    assert_eq!(why, JoinFailure::Refused(Refusal::Clock));
    assert!(why.to_string().contains("set the clock"), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_swallows_all_and_one_without_a_route_are_told_apart() {
    let network = Network::new("black-hole");
    // Nobody takes from it, and its queue is full: the system drops what else comes, as a firewall would.
    let hole = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&hole, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).unwrap();
    rustix::net::listen(&hole, 0).unwrap();
    let at: SocketAddrV4 = rustix::net::getsockname(&hole).unwrap().try_into().unwrap();
    let _fills_it = std::net::TcpStream::connect(at).unwrap();
    let address: Multiaddr = format!("/ip4/127.0.0.1/tcp/{}", at.port()).parse().unwrap();
    let silent = cause_of(network.member(), &address);
    // The system has no route for connections to the broadcast address.
    let unreachable = "/ip4/255.255.255.255/tcp/7440".parse().unwrap();
    let nowhere = cause_of(network.member(), &unreachable);
    // Of UDP nobody says that nobody listens.
    let closed = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let closed = format!("/ip4/127.0.0.1/udp/{closed}/quic-v1").parse().unwrap();
    let unheard = cause_of(network.member(), &closed);
    let (silent, nowhere, unheard) = tokio::join!(silent, nowhere, unheard);
    assert_eq!((silent, nowhere, unheard), (JoinFailure::NoAnswer, JoinFailure::NoRoute, JoinFailure::NoAnswer));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_dials_itself_is_told_so() {
    let member = Network::new("self").member().listen(TCP).start().await;
    let mut node = member;
    node.handle.bootstrap(node.addresses[0].clone()).unwrap();
    assert_eq!(cause(&mut node).await.1, JoinFailure::Itself);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_starts_before_its_bootstrap_node_finds_it_later() {
    let network = Network::new("patience");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address: Multiaddr = format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap();
    let mut early = hasty(network.member()).bootstrap(&address).start().await;
    assert_eq!(cause(&mut early).await.1, JoinFailure::NobodyListens);
    let late = network.member().listen(&address.to_string()).start().await;
    assert_eq!(early.up().await, late.node);
    let known = early.handle.known_addresses();
    assert_eq!(known, [(late.node, vec![address])]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn discovery_that_does_not_work_is_no_obstacle() {
    let network = Network::new("mdns");
    let with_mdns = |member: Member| member.configure(|config| config.mdns = true);
    let mut first = with_mdns(network.member()).listen(TCP).start().await;
    let mut second = with_mdns(network.member()).bootstrap(&first.address()).start().await;
    second.up().await;
    first.up().await;
}
