//! `/mesh/raft/1`: answers the engines and gateways of other nodes.

use super::{
    Slot,
    wire::{read, write},
};
use crate::{network::NetworkHandle, run::Places};
use futures::AsyncReadExt as _;
use mesh_proto::id::NodeId;
use mesh_raft::{Request, Response};
use std::{future::Future, io, sync::Arc};
use tokio::sync::{Semaphore, mpsc};

/// The protocol's name.
pub const PROTOCOL: &str = "/mesh/raft/1";

/// Streams that are answered at once, and of one node.
const ANSWERED: usize = 256;
const ANSWERED_OF_ONE: usize = 4;
/// Requests of one stream that are under way: behind them it is not read on.
const UNDER_WAY: usize = 64;
/// Of these, orders, which wait for others: with more it is told to come again.
const ORDERS: usize = 48;

/// Answers other nodes; `None` if somebody else does already.
pub fn serve(network: &NetworkHandle, slot: Slot) -> Option<impl Future<Output = ()> + Send + 'static> {
    let mut incoming = network.incoming(PROTOCOL)?;
    let places = Places::new(ANSWERED, ANSWERED_OF_ONE);
    Some(async move {
        while let Some((who, stream)) = incoming.recv().await {
            // Who has its share is behind with closing the others.
            let Some(place) = places.take(who) else { continue };
            let slot = slot.clone();
            tokio::spawn(async move {
                if let Err(error) = answer(&slot, who, stream).await {
                    tracing::debug!(%who, %error, "a stream of Raft ended");
                }
                drop(place);
            });
        }
    })
}

async fn answer(slot: &Slot, who: NodeId, stream: libp2p::Stream) -> io::Result<()> {
    let (mut reader, mut writer) = stream.split();
    let (answers, mut ready) = mpsc::channel::<(u64, Vec<u8>)>(UNDER_WAY);
    let (under_way, orders) = (Arc::new(Semaphore::new(UNDER_WAY)), Arc::new(Semaphore::new(ORDERS)));
    let hearing = async {
        loop {
            let place = Arc::clone(&under_way).acquire_owned().await.map_err(io::Error::other)?;
            let (number, bytes) = read(&mut reader, Request::LIMIT).await?;
            let request = Request::decode(&bytes).map_err(io::Error::other)?;
            let order = request.is_order().then(|| Arc::clone(&orders).try_acquire_owned());
            let (engine, answers) = (slot.engine(), answers.clone());
            tokio::spawn(async move {
                let response = match (engine, order) {
                    (None, _) => Response::not_running(),
                    (Some(_), Some(Err(_))) => Response::busy(),
                    (Some(engine), _) => engine.answer(who, request).await,
                };
                if answers.send((number, response.encode())).await.is_err() {
                    tracing::trace!(%who, "nobody waits for the answer any more");
                }
                drop(place);
            });
        }
    };
    let speaking = async {
        while let Some((number, bytes)) = ready.recv().await {
            write(&mut writer, number, &bytes).await?;
        }
        Ok(())
    };
    tokio::select! {
        heard = hearing => heard,
        spoken = speaking => spoken,
    }
}
