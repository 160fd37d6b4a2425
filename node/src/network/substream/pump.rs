//! The two tasks of a framed substream: one writes a queue out, one reads frames and hands them over.

use super::{
    Notice,
    codec::{HEADER, take_frame},
    queue::Queue,
};
use crate::network::{FrameHandler, class::Class, metrics::SubstreamMetrics};
use bytes::BytesMut;
use futures::{AsyncRead, AsyncWriteExt, future::poll_fn};
use libp2p::Stream;
use mesh_proto::id::NodeId;
use std::{
    cell::RefCell,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::sync::mpsc;

/// A buffer above this size is given back when a substream falls idle.
const KEPT: usize = 4 * 1024;
/// How much is read at once.
const SCRATCH: usize = 64 * 1024;

thread_local! {
    // Shared by all substreams of a thread, so that an idle one holds no buffer. Never held across an await.
    static SCRATCH_BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH]);
}

/// Who a substream belongs to, and whom its tasks tell what.
#[derive(Clone)]
pub struct Pump {
    pub node: NodeId,
    pub class: Class,
    pub metrics: SubstreamMetrics,
    pub notices: mpsc::Sender<Notice>,
}

/// Writes what is queued until the connection or the queue closes. Flushes when the queue has run empty, not per
/// frame: on TCP that is three times the throughput.
pub async fn write(mut stream: Stream, queue: Arc<Queue>, context: Pump) -> io::Result<()> {
    let mut buffer = BytesMut::new();
    loop {
        let taken = queue.take(&mut buffer);
        if taken.frames == 0 {
            if queue.is_closed() {
                return Ok(());
            }
            if buffer.capacity() > KEPT {
                buffer = BytesMut::new();
            }
            queue.filled().await;
            continue;
        }
        context.metrics.frames.inc_by(taken.frames);
        context.metrics.bytes.inc_by(taken.bytes);
        if taken.writable {
            let notice = Notice::Writable { node: context.node, class: context.class };
            if context.notices.send(notice).await.is_err() {
                return Ok(());
            }
        }
        stream.write_all(&buffer).await?;
        buffer.clear();
        if let Some(large) = taken.large {
            stream.write_all(&large).await?;
        }
        if taken.drained {
            stream.flush().await?;
        }
    }
}

/// Reads frames and hands each to the handler, one after another, until the substream ends. While the handler waits,
/// nothing is read, and the peer's writer comes to a stop.
pub async fn read(mut stream: Stream, limit: usize, handler: Arc<dyn FrameHandler>, context: Pump) -> io::Result<()> {
    let mut buffer = BytesMut::new();
    loop {
        let (mut frames, mut bytes) = (0, 0);
        loop {
            match take_frame(&mut buffer, limit) {
                Ok(Some(frame)) => {
                    frames += 1;
                    bytes += frame.len() as u64;
                    if let Err(violation) = handler.frame(context.node, context.class, frame).await {
                        let notice = Notice::Violation { node: context.node, reason: violation.reason };
                        if context.notices.send(notice).await.is_err() {
                            return Ok(());
                        }
                    }
                }
                Ok(None) => break,
                Err(oversize) => {
                    let notice = Notice::Violation { node: context.node, reason: "oversize_frame" };
                    if context.notices.send(notice).await.is_err() {
                        return Ok(());
                    }
                    return Err(io::Error::new(io::ErrorKind::InvalidData, oversize));
                }
            }
        }
        context.metrics.frames.inc_by(frames);
        context.metrics.bytes.inc_by(bytes);
        if poll_fn(|cx| read_some(cx, &mut stream, &mut buffer)).await? == 0 {
            return if buffer.len() >= HEADER { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) };
        }
    }
}

/// Appends what the stream has. A frame's room grows with the bytes that arrive, not with what its header claims.
fn read_some(cx: &mut Context<'_>, stream: &mut Stream, buffer: &mut BytesMut) -> Poll<io::Result<usize>> {
    SCRATCH_BUFFER.with_borrow_mut(|scratch| {
        let polled = Pin::new(stream).poll_read(cx, scratch);
        if polled.is_pending() && buffer.is_empty() && buffer.capacity() > KEPT {
            *buffer = BytesMut::new();
        }
        let read = ready!(polled)?;
        buffer.extend_from_slice(&scratch[..read]);
        Poll::Ready(Ok(read))
    })
}
