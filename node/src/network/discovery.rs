//! mDNS: who else is on the local network. It only discovers; whom it finds must still be let in. Where multicast is
//! forbidden (many containers) it fails, and that is a warning.

use libp2p::{PeerId, mdns, swarm::behaviour::toggle::Toggle};
use std::time::Duration;

/// Both sides discover each other at the same moment. The one with the smaller id dials; the other gives it this long,
/// and then dials itself, for multicast may work in one direction only.
pub const YIELD: Duration = Duration::from_secs(2);

pub fn build(enabled: bool, local: PeerId) -> Toggle<mdns::tokio::Behaviour> {
    let mdns = enabled.then(|| mdns::tokio::Behaviour::new(mdns::Config::default(), local));
    Toggle::from(mdns.and_then(|started| {
        started
            .inspect_err(|error| {
                tracing::warn!(%error, "no discovery on the local network: use --bootstrap, or --mdns=false to be quiet");
            })
            .ok()
    }))
}

/// How long to wait before dialling a peer that mDNS found.
pub fn delay(local: &PeerId, found: &PeerId) -> Duration {
    if local < found { Duration::ZERO } else { YIELD }
}
