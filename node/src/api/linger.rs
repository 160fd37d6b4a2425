//! Who is refused while still sending is to hear why.
//!
//! A connection that is closed with bytes in it that nobody has read is reset, and the answer goes with it. So what a
//! handler leaves of a request is read on for a while after the answer, and thrown away.

use super::Api;
use axum::{
    body::{Body, HttpBody},
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Frame, SizeHint};
use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// So much is thrown away at most: a client that sends without end does not cost more.
const MOST: u64 = 64 << 20;
/// So long the connection stays at most, so that a client which sends slowly, or hears only when it has sent all, may
/// still read the answer.
const LONGEST: Duration = Duration::from_secs(5);

/// Over all routes.
pub async fn linger(State(api): State<Api>, request: Request, next: Next) -> Response {
    let closing = api.closing.clone();
    next.run(request.map(|body| Body::new(Lingering { body: Some(body), closing }))).await
}

/// A request's body.
struct Lingering {
    /// Until its end, or the connection's.
    body: Option<Body>,
    closing: CancellationToken,
}

impl HttpBody for Lingering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(context);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) else { return };
        // None is left where the node has ended.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let closing = self.closing.clone();
        runtime.spawn(async move {
            tokio::select! {
                _ = tokio::time::timeout(LONGEST, drain(body)) => {}
                () = closing.cancelled() => {}
            }
        });
    }
}

/// Reads to the end, or so much; then holds still, which holds the sender still.
async fn drain(mut body: Body) {
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read += frame.data_ref().map_or(0, |data| data.len() as u64);
        if read > MOST {
            std::future::pending::<()>().await;
        }
    }
}
