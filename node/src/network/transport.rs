//! The ways to reach a peer: TCP and WebSocket (Noise, Yamux), QUIC, names by DNS, and memory for tests.

use super::config::Config;
use libp2p::{
    PeerId, Transport,
    core::{
        muxing::StreamMuxerBox,
        transport::{Boxed, MemoryTransport},
        upgrade::Version,
    },
    dns, identity, noise, quic, tcp, websocket, yamux,
};
use std::time::Duration;

/// A connection attempt, its handshakes included, is given up after this long.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// What one QUIC stream and one connection may have in flight. The defaults of 10 and 15 MB a peer are ours to pay when
/// a reader waits.
const QUIC_STREAM_WINDOW: u32 = 4 * 1024 * 1024;
const QUIC_CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;

/// Makes the transport. Fails only if the key cannot be used for Noise, which no ed25519 key does.
pub fn build(keypair: &identity::Keypair, config: &Config) -> Result<Boxed<(PeerId, StreamMuxerBox)>, noise::Error> {
    let noise = noise::Config::new(keypair)?;
    let nodelay = || tcp::tokio::Transport::new(tcp::Config::default().nodelay(true));

    let mut quic = quic::Config::new(keypair);
    quic.max_idle_timeout = u32::try_from(config.quic_idle_timeout.as_millis()).unwrap_or(u32::MAX);
    quic.keep_alive_interval = config.quic_keep_alive;
    quic.max_stream_data = QUIC_STREAM_WINDOW;
    quic.max_connection_data = QUIC_CONNECTION_WINDOW;
    let direct = || {
        let quic = quic::tokio::Transport::new(quic.clone());
        let tcp = nodelay()
            .upgrade(Version::V1Lazy)
            .authenticate(noise.clone())
            .multiplex(yamux::Config::default())
            .timeout(HANDSHAKE)
            .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
        let quic = quic.map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
        tcp.or_transport(quic).map(|either, _| either.into_inner())
    };
    let memory = MemoryTransport::new()
        .upgrade(Version::V1Lazy)
        .authenticate(noise.clone())
        .multiplex(yamux::Config::default())
        .timeout(HANDSHAKE)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    let websocket = websocket::Config::new(named(nodelay))
        .upgrade(Version::V1Lazy)
        .authenticate(noise.clone())
        .multiplex(yamux::Config::default())
        .timeout(HANDSHAKE)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));

    // Memory and WebSocket refuse at once what is not theirs; names are resolved before anything can be refused, so
    // they come last.
    let transport = memory
        .or_transport(websocket)
        .map(|either, _| either.into_inner())
        .or_transport(named(direct))
        .map(|either, _| either.into_inner())
        .boxed();
    Ok(transport)
}

/// Resolves names as the system does. A machine without `/etc/resolv.conf` still runs, and says so when a name is
/// dialled.
fn named<T>(transport: impl Fn() -> T) -> dns::tokio::Transport<T> {
    dns::tokio::Transport::system(transport()).unwrap_or_else(|error| {
        tracing::warn!(%error, "the system's name servers are not known: names in addresses will not resolve");
        dns::tokio::Transport::custom(transport(), dns::ResolverConfig::default(), dns::ResolverOpts::default())
    })
}
