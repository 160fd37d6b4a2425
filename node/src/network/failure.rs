//! Why a peer could not be joined, in words that say what to do.

use super::{gate::Failure, reach::split_peer};
use libp2p::{Multiaddr, PeerId, TransportError, swarm::DialError};
use mesh_proto::admit::Refusal;
use std::{
    collections::{BTreeMap, VecDeque},
    error::Error,
    io::{self, ErrorKind},
};

/// Why there is no membership with the node at an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JoinFailure {
    #[error("nobody listens there: is the node running, and is the port right?")]
    NobodyListens,
    #[error("no answer in time: is the machine up, and does a firewall drop the packets?")]
    NoAnswer,
    #[error("no route to it: check the network of this machine and the address")]
    NoRoute,
    #[error("the name does not resolve: is it spelled right, and do this machine's name servers answer? {0}")]
    Name(String),
    #[error("another node answers there, {found}: correct the /p2p/ part, or leave it out")]
    WrongPeer { found: PeerId },
    #[error("the address is this node's own")]
    Itself,
    #[error("what listens there is not a mesh node, or speaks an incompatible version: {0}")]
    NotAMeshNode(String),
    #[error(
        "it hung up before it said who it is: it is stopping, or not a mesh node, or speaks an incompatible version: {0}"
    )]
    HungUp(String),
    #[error("it belongs to another network: use a token of that network, or another address")]
    WrongNetwork,
    #[error("it does not let this node in: {0}")]
    Refused(Refusal),
    #[error("this node does not accept it: {0}")]
    Unacceptable(Refusal),
    #[error("it took the connection and did not say whether it lets this node in")]
    NoVerdict,
    #[error(
        "this kind of address is not supported: use /ip4, /ip6, /dns4 or /dnsaddr with /tcp, /udp/…/quic-v1 or /ws"
    )]
    Unsupported,
    #[error("refused by a limit of this node: {0}")]
    Limit(String),
    #[error("the connection failed: {0}")]
    Broken(String),
}

impl JoinFailure {
    /// A label from a fixed set.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::NobodyListens => "nobody_listens",
            Self::NoAnswer => "no_answer",
            Self::NoRoute => "no_route",
            Self::Name(_) => "name",
            Self::WrongPeer { .. } => "wrong_peer",
            Self::Itself => "itself",
            Self::NotAMeshNode(_) => "not_a_mesh_node",
            Self::HungUp(_) => "hung_up",
            Self::WrongNetwork => "wrong_network",
            Self::Refused(_) => "refused",
            Self::Unacceptable(_) => "unacceptable",
            Self::NoVerdict => "no_verdict",
            Self::Unsupported => "unsupported",
            Self::Limit(_) => "limit",
            Self::Broken(_) => "broken",
        }
    }

    /// Two failures with the same are one to an operator, although details of them may differ.
    fn cause(&self) -> String {
        match self {
            Self::Refused(refusal) | Self::Unacceptable(refusal) => {
                format!("{} {:?}", self.label(), std::mem::discriminant(refusal))
            }
            other => other.label().to_owned(),
        }
    }

    /// Whether trying again soon is of no use: somebody has to change something first.
    pub const fn is_lasting(&self) -> bool {
        match self {
            Self::WrongPeer { .. }
            | Self::Itself
            | Self::NotAMeshNode(_)
            | Self::WrongNetwork
            | Self::Unacceptable(_)
            | Self::Unsupported => true,
            Self::Refused(refusal) => !matches!(refusal, Refusal::Busy { .. }),
            Self::NobodyListens
            | Self::NoAnswer
            | Self::NoRoute
            | Self::Name(_)
            | Self::HungUp(_)
            | Self::NoVerdict
            | Self::Limit(_)
            | Self::Broken(_) => false,
        }
    }

    /// What an admission that failed means for who asked.
    pub fn of_admission(failure: &Failure) -> Self {
        match failure {
            Failure::Refused(Refusal::Silent) | Failure::Unacceptable(Refusal::Silent) => Self::WrongNetwork,
            Failure::Refused(refusal) => Self::Refused(refusal.clone()),
            Failure::Unacceptable(refusal) => Self::Unacceptable(refusal.clone()),
            Failure::Foreign(what) => Self::NotAMeshNode(what.clone()),
            Failure::Timeout => Self::NoVerdict,
            Failure::Lost(error) => Self::Broken(error.to_string()),
        }
    }

    /// What a dial that failed means, for each address that was tried. `dialled` names the address where libp2p does
    /// not.
    pub fn of_dial(error: &DialError, dialled: &[Multiaddr]) -> Vec<(Multiaddr, Self)> {
        let all = |why: Self| dialled.iter().map(|address| (address.clone(), why.clone())).collect();
        match error {
            DialError::LocalPeerId { address } => vec![(address.clone(), Self::Itself)],
            DialError::WrongPeerId { obtained, address } => {
                vec![(address.clone(), Self::WrongPeer { found: *obtained })]
            }
            DialError::Transport(errors) => {
                errors.iter().map(|(address, error)| (address.clone(), Self::of_transport(error))).collect()
            }
            // The swarm leaves out the addresses it listens on; a dial of ours has at least one.
            DialError::NoAddresses => all(Self::Itself),
            DialError::Denied { cause } => all(Self::Limit(cause.to_string())),
            // Somebody else dials or is connected already: no failure.
            DialError::DialPeerConditionFalse(_) | DialError::Aborted => Vec::new(),
        }
    }

    fn of_transport(error: &TransportError<io::Error>) -> Self {
        match error {
            TransportError::MultiaddrNotSupported(_) => Self::Unsupported,
            TransportError::Other(error) => Self::of_io(error),
        }
    }

    /// libp2p wraps the system's error several times, and its name for some errors is only in the text.
    fn of_io(error: &io::Error) -> Self {
        match root_kind(error) {
            ErrorKind::ConnectionRefused => return Self::NobodyListens,
            ErrorKind::TimedOut => return Self::NoAnswer,
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => {
                return Self::NoRoute;
            }
            _ => {}
        }
        let text = innermost(error);
        let lower = text.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        if says(&["refused"]) {
            Self::NobodyListens
        } else if says(&["unreachable", "no route"]) {
            Self::NoRoute
        } else if says(&["unsupported resolved address", "not supported"]) {
            Self::Unsupported
        } else if says(&["record", "resolve", "dns", "name server", "nameserver", "lookup", "domain"]) {
            Self::Name(of_query(&text))
        } else if says(&["timed out", "timeout", "time out"]) {
            Self::NoAnswer
        } else if says(&["unexpected end", "eof", "reset", "broken pipe", "closed"]) {
            // A mesh node that does not want us says so behind the handshake; one that is killed says nothing.
            Self::HungUp(text)
        } else if says(&["handshake", "noise", "negotiat", "protocol", "multistream"]) {
            Self::NotAMeshNode(text)
        } else {
            Self::Broken(text)
        }
    }
}

/// What the resolver looked for in vain: it prints its whole query.
fn of_query(text: &str) -> String {
    let between = |before: &str, after: &str| text.split_once(before)?.1.split_once(after).map(|(found, _)| found);
    match (between("Name(\"", "\")"), between("query_type: ", ",")) {
        (Some(name), Some(kind)) => format!("({kind} of {})", name.trim_end_matches('.')),
        _ => format!("({text})"),
    }
}

fn root_kind(error: &io::Error) -> ErrorKind {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        next = error.source();
        if let Some(io) = error.downcast_ref::<io::Error>() {
            if io.kind() != ErrorKind::Other {
                return io.kind();
            }
            next = io.get_ref().map(|inner| inner as &(dyn Error + 'static));
        }
    }
    ErrorKind::Other
}

fn innermost(error: &io::Error) -> String {
    let mut text = error.to_string();
    let mut next: Option<&(dyn Error + 'static)> = error.get_ref().map(|inner| inner as &(dyn Error + 'static));
    while let Some(error) = next {
        if !error.to_string().is_empty() {
            text = error.to_string();
        }
        next = error.source();
    }
    text
}

/// What was reported last of each address, so that a cause is named once, however often it is tried, and again when it is
/// another. Bounded: the oldest is forgotten, and may then be named again.
#[derive(Debug, Default)]
pub struct Reported {
    last: BTreeMap<Multiaddr, String>,
    order: VecDeque<Multiaddr>,
}

impl Reported {
    const MOST: usize = 1024;

    /// Whether this is news.
    pub fn note(&mut self, address: &Multiaddr, why: &JoinFailure) -> bool {
        let (address, cause) = (split_peer(address.clone()).0, why.cause());
        match self.last.insert(address.clone(), cause.clone()) {
            Some(last) => last != cause,
            None => {
                self.order.push_back(address);
                if self.order.len() > Self::MOST
                    && let Some(oldest) = self.order.pop_front()
                {
                    self.last.remove(&oldest);
                }
                true
            }
        }
    }

    /// The address answered: whatever happens to it next is news.
    pub fn forget(&mut self, address: &Multiaddr) {
        let address = split_peer(address.clone()).0;
        self.order.retain(|known| *known != address);
        self.last.remove(&address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_query_its_name_and_kind_are_shown() {
        let said =
            "no records found for Query { name: Name(\"_dnsaddr.example.org.\"), query_type: TXT, query_class: IN }";
        assert_eq!(of_query(said), "(TXT of _dnsaddr.example.org)");
        assert_eq!(of_query("request timed out"), "(request timed out)");
    }

    #[test]
    fn a_cause_is_news_once_and_again_when_it_was_another_or_the_address_answered() {
        let mut reported = Reported::default();
        let address: Multiaddr = "/ip4/192.0.2.1/tcp/1".parse().unwrap();
        let with_peer = address.clone().with_p2p(PeerId::random()).unwrap();
        let refused = JoinFailure::Refused(Refusal::InvitationExpired);
        assert!(reported.note(&address, &JoinFailure::NoAnswer));
        assert!(!reported.note(&with_peer, &JoinFailure::NoAnswer), "the same address");
        assert!(reported.note(&address, &refused));
        assert!(!reported.note(&address, &refused));
        assert!(reported.note(&address, &JoinFailure::Refused(Refusal::Forgotten)));
        assert!(reported.note(&address, &JoinFailure::NoAnswer), "it changed, and changed back");
        reported.forget(&with_peer);
        assert!(reported.note(&address, &JoinFailure::NoAnswer));
        for port in 0..2 * Reported::MOST {
            reported.note(&format!("/ip4/192.0.2.1/tcp/{port}").parse().unwrap(), &JoinFailure::NoAnswer);
        }
        assert_eq!((reported.last.len(), reported.order.len()), (Reported::MOST, Reported::MOST));
    }
}
