//! What is said on an admission substream, one message behind its length after another:
//!
//! ```text
//! asker                          door
//! Knock            ->
//!                  <-            Known | Refused      only if the asker does not know the peer for a member
//! Enter, instance  ->
//!                  <-            Welcome, instance | Refused
//! Known | Refused  ->                                 the asker's verdict on the door's credential
//! ```
//!
//! Each side opens to the other between its own verdict and the message that tells it: whoever hears that it is let in
//! may use every protocol at once.

use crate::network::admission::{Admission, Guest};
use futures::{AsyncReadExt, AsyncWriteExt, FutureExt, future::BoxFuture};
use libp2p::Stream;
use mesh_proto::{
    admit::{AdmitReply, AdmitRequest, Refusal},
    codec,
    id::NodeId,
    limits,
};
use std::{io, time::Duration};

/// Why an admission came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The peer does not let us in.
    #[error("refused by the peer: {0}")]
    Refused(Refusal),
    /// We do not let the peer in.
    #[error("the peer's side: {0}")]
    Unacceptable(Refusal),
    /// The peer does not speak the protocol, or not as it should.
    #[error("not a node of a mesh: {0}")]
    Foreign(String),
    #[error("no admission in time")]
    Timeout,
    #[error("the connection was lost during admission: {0}")]
    Lost(#[from] io::Error),
}

/// An admission that came to nothing on this side, and what is still to be said.
pub struct Rejected {
    pub failure: Failure,
    /// Tells the peer why not. The connection is to stay until it ends.
    pub farewell: BoxFuture<'static, ()>,
}

impl<F: Into<Failure>> From<F> for Rejected {
    fn from(failure: F) -> Self {
        Self { failure: failure.into(), farewell: futures::future::ready(()).boxed() }
    }
}

/// Asks to be let in; the peer's credential is judged, and it has not been told how.
pub async fn ask(mut stream: Stream, admission: &Admission, peer: NodeId) -> Result<(Stream, Guest), Rejected> {
    if admission.knocks_first(peer) {
        send(&mut stream, &AdmitRequest::Knock(admission.proof(peer))).await?;
        match reply(&mut stream).await? {
            AdmitReply::Known(proof) if admission.is_proved(&proof, peer) => {}
            AdmitReply::Known(_) => return Err(Failure::Unacceptable(Refusal::Silent).into()),
            AdmitReply::Refused(refusal) => return Err(Failure::Refused(refusal).into()),
            AdmitReply::Welcome(_) => return Err(Failure::Foreign("a welcome to a knock".to_owned()).into()),
        }
    }
    send(&mut stream, &admission.enter(peer)).await?;
    send_bytes(&mut stream, &admission.instance().to_be_bytes()).await?;
    let welcome = match reply(&mut stream).await? {
        AdmitReply::Welcome(welcome) => welcome,
        AdmitReply::Refused(refusal) => return Err(Failure::Refused(refusal).into()),
        AdmitReply::Known(_) => return Err(Failure::Foreign("no answer to the request to enter".to_owned()).into()),
    };
    let instance = read_instance(&mut stream).await?;
    match admission.judge_welcome(peer, instance, *welcome) {
        Ok(guest) => Ok((stream, guest)),
        Err(refusal) => Err(refuse(stream, refusal)),
    }
}

/// Tells the door that it is good, after this side has opened.
pub async fn confirm(mut stream: Stream, admission: &Admission, peer: NodeId) -> Result<(), Failure> {
    send(&mut stream, &AdmitReply::Known(admission.proof(peer))).await?;
    stream.close().await?;
    Ok(())
}

/// Hears who asks; its credential is judged, and it has not been told how.
pub async fn hear(mut stream: Stream, admission: &Admission, peer: NodeId) -> Result<(Stream, Guest), Rejected> {
    // At most a knock and a request.
    for _ in 0..2 {
        let bytes = read_bytes(&mut stream, limits::ADMIT_REQUEST_BYTES).await?;
        let Some(request) = AdmitRequest::decode(&bytes).ok().filter(|it| admission.is_proved(it.proof(), peer)) else {
            return Err(refuse(stream, Refusal::Silent));
        };
        match request {
            AdmitRequest::Knock(_) => send(&mut stream, &AdmitReply::Known(admission.proof(peer))).await?,
            AdmitRequest::Enter(enter) => {
                let instance = read_instance(&mut stream).await?;
                return match admission.judge_enter(peer, instance, *enter) {
                    Ok(guest) => Ok((stream, guest)),
                    Err(refusal) => Err(refuse(stream, refusal)),
                };
            }
        }
    }
    Err(refuse(stream, Refusal::Silent))
}

/// Lets the asker in, after this side has opened, and hears its verdict on us.
pub async fn welcome(mut stream: Stream, admission: &Admission, peer: NodeId) -> Result<(), Failure> {
    send(&mut stream, &admission.welcome()).await?;
    send_bytes(&mut stream, &admission.instance().to_be_bytes()).await?;
    match reply(&mut stream).await? {
        AdmitReply::Known(proof) if admission.is_proved(&proof, peer) => Ok(()),
        AdmitReply::Refused(refusal) => Err(Failure::Refused(refusal)),
        AdmitReply::Known(_) | AdmitReply::Welcome(_) => Err(Failure::Foreign("no verdict on our welcome".to_owned())),
    }
}

/// Says why not, and gives the peer a moment to read it before the connection goes.
fn refuse(mut stream: Stream, refusal: Refusal) -> Rejected {
    let failure = Failure::Unacceptable(refusal.clone());
    let tell = async move {
        send(&mut stream, &AdmitReply::Refused(refusal)).await?;
        stream.close().await?;
        // The peer closes its side when it has read the reason. Whatever else it sends is not kept.
        let mut rest = [0; 64];
        while stream.read(&mut rest).await? > 0 {}
        Ok::<(), io::Error>(())
    };
    let farewell = async {
        if !matches!(tokio::time::timeout(LINGER, tell).await, Ok(Ok(()))) {
            tracing::trace!("a refused peer did not wait for the reason");
        }
    };
    Rejected { failure, farewell: farewell.boxed() }
}

const LINGER: Duration = Duration::from_secs(1);

async fn send(stream: &mut Stream, message: &impl serde::Serialize) -> io::Result<()> {
    send_bytes(stream, &codec::encode(message)).await
}

async fn send_bytes(stream: &mut Stream, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    stream.write_all(&length.to_be_bytes()).await?;
    stream.write_all(bytes).await?;
    stream.flush().await
}

async fn reply(stream: &mut Stream) -> Result<AdmitReply, Failure> {
    let bytes = read_bytes(stream, limits::ADMIT_REPLY_BYTES).await?;
    AdmitReply::decode(&bytes).map_err(|error| Failure::Foreign(error.to_string()))
}

async fn read_instance(stream: &mut Stream) -> Result<u64, Failure> {
    let bytes = read_bytes(stream, 8).await?;
    let bytes = bytes.try_into().map_err(|_| Failure::Foreign("not the number of a process".to_owned()))?;
    Ok(u64::from_be_bytes(bytes))
}

/// A message within `limit`, which is checked before room is made for it.
async fn read_bytes(stream: &mut Stream, limit: usize) -> Result<Vec<u8>, Failure> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await?;
    let length = u32::from_be_bytes(length) as usize;
    if length > limit {
        return Err(Failure::Foreign(format!("a message of {length} bytes, above {limit}")));
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}
