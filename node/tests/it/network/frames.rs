//! Framed substreams between members.

use super::harness::{Member, Network, Node, QUIC, TCP, WEBSOCKET, memory, pair, within};
use bytes::Bytes;
use meshd::network::{Class, NetworkEvent, SendError};
use std::time::{Duration, Instant};

async fn exchange(transport: &str) {
    const FRAMES: u32 = 10_000;
    let (first, second) = pair(transport).await;
    let (to_first, to_second) = (first.node, second.node);
    let run = |mut node: Node, to| async move {
        let (mut sent, mut received) = (0, 0);
        while received < FRAMES {
            while sent < FRAMES {
                let mut frame = vec![0; (sent % 300) as usize + 4];
                frame[..4].copy_from_slice(&sent.to_be_bytes());
                match node.handle.send(to, Class::Task, frame.into()) {
                    Ok(()) => sent += 1,
                    Err(SendError::Full) => break,
                    Err(error) => panic!("{error}"),
                }
            }
            tokio::select! {
                Some((from, class, frame)) = node.frames.recv() => {
                    assert_eq!((from, class), (to, Class::Task));
                    assert_eq!(frame[..4], received.to_be_bytes());
                    assert_eq!(frame.len(), (received % 300) as usize + 4);
                    received += 1;
                }
                Some(event) = node.events.recv() => assert!(!matches!(event, NetworkEvent::Down { .. }), "{event:?}"),
            }
        }
        node
    };
    let both = async { tokio::join!(run(first, to_second), run(second, to_first)) };
    let (first, second) = within(Duration::from_secs(60), both).await;
    for node in [first, second] {
        assert_eq!(node.metric(r#"mesh_network_frames_total{class="task",direction="out"}"#), u64::from(FRAMES));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_cross_tcp_in_order() {
    exchange(TCP).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_cross_quic_in_order() {
    exchange(QUIC).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_cross_websocket_in_order() {
    exchange(WEBSOCKET).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_cross_memory_in_order() {
    exchange(&memory()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_frame_crosses_whole_in_every_class() {
    let (first, mut second) = pair(TCP).await;
    for class in Class::ALL {
        let frame: Bytes = (0..250_u32 * 1024).map(|byte| byte as u8).collect();
        first.handle.send(second.node, class, frame.clone()).unwrap();
        let (_, got_class, got) = within(Duration::from_secs(5), second.frames.recv()).await.unwrap();
        assert_eq!(got_class, class);
        assert!(got == frame, "{class}");
    }
    let too_large = Bytes::from(vec![0; 257 * 1024]);
    assert_eq!(first.handle.send(second.node, Class::Control, too_large), Err(SendError::TooLarge));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_above_the_receivers_limit_is_refused_and_counted() {
    let network = Network::new("limits");
    let small = |member: Member| member.configure(|config| config.frames.control.max_frame = 1000);
    let mut strict = small(network.member()).listen(TCP).start().await;
    let mut lax = network.member().bootstrap(&strict.address()).start().await;
    lax.up().await;
    strict.up().await;
    lax.handle.send(strict.node, Class::Control, Bytes::from(vec![0; 1001])).unwrap();
    assert_eq!(strict.down().await, lax.node);
    assert_eq!(strict.metric(r#"mesh_network_refused_total{reason="oversize_frame"}"#), 1);
    assert!(strict.frames.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_fills_the_queue_and_loses_nothing() {
    let (mut first, mut second) = pair(TCP).await;
    let to = second.node;
    let frame = |number: u32| {
        let mut frame = vec![0; 64 * 1024];
        frame[..4].copy_from_slice(&number.to_be_bytes());
        Bytes::from(frame)
    };
    // Nobody takes frames at the other end: 1,024 fit the channel, some megabytes the connection, the rest waits here.
    let (mut sent, start) = (0_u32, Instant::now());
    loop {
        match first.handle.send(to, Class::Bulk, frame(sent)) {
            Ok(()) => sent += 1,
            Err(SendError::Full) if start.elapsed() > Duration::from_secs(2) => break,
            Err(SendError::Full) => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(error) => panic!("{error}"),
        }
    }
    let reading = tokio::spawn(async move {
        for number in 0..=sent {
            let (_, _, frame) = within(Duration::from_secs(20), second.frames.recv()).await.unwrap();
            assert_eq!(frame[..4], number.to_be_bytes());
        }
        second
    });
    first.send(to, Class::Bulk, frame(sent)).await;
    reading.await.unwrap();
    assert!(first.metric(r#"mesh_network_queue_full_total{class="bulk"}"#) > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dials_that_cross_lose_nothing() {
    for _ in 0..5 {
        let network = Network::new("crossing");
        let mut first = network.member().listen(TCP).start().await;
        let mut second = network.member().listen(TCP).start().await;
        first.handle.dial(second.node, second.addresses.clone()).unwrap();
        second.handle.dial(first.node, first.addresses.clone()).unwrap();
        assert_eq!(first.up().await, second.node);
        assert_eq!(second.up().await, first.node);
        for number in 0..2_000_u32 {
            let frame = Bytes::copy_from_slice(&number.to_be_bytes());
            first.handle.send(second.node, Class::Task, frame.clone()).unwrap();
            second.handle.send(first.node, Class::Task, frame).unwrap();
        }
        for node in [&mut first, &mut second] {
            for number in 0..2_000_u32 {
                let (_, _, frame) = within(Duration::from_secs(10), node.frames.recv()).await.unwrap();
                assert_eq!(frame[..], number.to_be_bytes());
            }
            while let Ok(event) = node.events.try_recv() {
                assert!(!matches!(event, NetworkEvent::Down { .. }), "{event:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_is_reported_at_once_and_made_again() {
    let network = Network::new("loss");
    let gone = network.member().listen(TCP);
    let (secret, credential) = (gone.secret, gone.credential.clone());
    let gone = gone.start().await;
    let address = gone.addresses[0].clone();
    let mut stays = network.member().bootstrap(&gone.address()).start().await;
    assert_eq!(stays.up().await, gone.node);
    let (node, start) = (gone.node, Instant::now());
    drop(gone);
    assert_eq!(stays.down().await, node);
    // Not by its silence.
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(stays.handle.send(node, Class::Task, Bytes::new()), Err(SendError::NotConnected));
    // The same node again, on the same port: it is still being looked for.
    let mut back = network.member().listen(&address.to_string());
    (back.secret, back.credential) = (secret, credential);
    let mut back = back.start().await;
    assert_eq!(stays.up().await, node);
    assert_eq!(back.up().await, stays.node);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_of_other_protocols_are_taken_in_turn_and_bounded() {
    use futures::{AsyncReadExt, AsyncWriteExt};
    let (first, second) = pair(QUIC).await;
    let mut incoming = second.handle.incoming("/mesh/blob/1").unwrap();
    assert!(second.handle.incoming("/mesh/blob/1").is_none());
    let mut streams = Vec::new();
    for number in 0..32_u8 {
        let mut stream = first.handle.open_stream(second.node, "/mesh/blob/1").await.unwrap();
        stream.write_all(&[number]).await.unwrap();
        stream.flush().await.unwrap();
        streams.push(stream);
    }
    for _ in 0..32 {
        let (from, mut stream) = within(Duration::from_secs(5), incoming.recv()).await.unwrap();
        assert_eq!(from, first.node);
        let mut number = [0];
        stream.read_exact(&mut number).await.unwrap();
        assert!(number[0] < 32);
    }
    assert!(first.handle.open_stream(second.node, "/mesh/nothing/1").await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_peer_displaces_the_connection_of_its_earlier_run() {
    let network = Network::new("restart");
    let mut survivor = network.member().listen(QUIC).start().await;
    let earlier = network.member();
    let (secret, credential) = (earlier.secret, earlier.credential.clone());
    // It does not go away, as a machine whose power failed does not.
    let earlier = earlier.start().await;
    earlier.handle.dial(survivor.node, survivor.addresses.clone()).unwrap();
    assert_eq!(survivor.up().await, earlier.node);
    let mut later = network.member().bootstrap(&survivor.address());
    (later.secret, later.credential) = (secret, credential);
    let mut later = later.start().await;
    assert_eq!(later.up().await, survivor.node);
    assert_eq!(survivor.down().await, earlier.node);
    assert_eq!(survivor.up().await, later.node);
    survivor.handle.send(later.node, Class::Task, Bytes::from_static(b"to the later run")).unwrap();
    let (_, _, frame) = within(Duration::from_secs(5), later.frames.recv()).await.unwrap();
    assert_eq!(frame, "to the later run");
}
