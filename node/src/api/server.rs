use super::{Api, Code, Problem, probes, router};
use axum::{
    Router,
    extract::Request,
    response::{IntoResponse, Response},
    serve::ListenerExt,
};
use std::{
    io,
    net::{SocketAddr, TcpListener},
    thread::JoinHandle,
};
use tokio::runtime::Handle;
use tower::ServiceExt;

/// The API could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("cannot serve the API: {0}")]
    Io(#[from] io::Error),
}

/// A served API. Dropping it lets it go on; [`Served::close`] ends it.
pub struct Served {
    address: SocketAddr,
    api: Api,
    thread: JoinHandle<()>,
}

impl Served {
    /// Where it listens; with the port it got if 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests, gives open ones [`super::Limits::grace`], and waits for the end. Blocks.
    pub fn close(self) {
        self.api.closing.cancel();
        if self.thread.join().is_err() {
            tracing::error!("the API's thread ended by a panic");
        }
    }
}

/// Answers on `listener`, on a thread of its own with a runtime of its own: probes are answered there and then, `/v1`
/// is carried out on `work`, so that a hanging handler, brain or runtime never silences `/livez`.
pub fn serve(listener: TcpListener, api: Api, work: Handle) -> Result<Served, ServeError> {
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let app = probes::router(&api).merge(dispatch(&api, work));
    let served = api.clone();
    let thread = std::thread::Builder::new().name("api".to_string()).spawn(move || {
        if let Err(error) = runtime.block_on(run(listener, app, served)) {
            tracing::error!(%error, "the API has ended");
        }
    })?;
    Ok(Served { address, api, thread })
}

async fn run(listener: TcpListener, app: Router, api: Api) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?.tap_io(|connection| {
        // Small answers must not wait for the acknowledgement of the ones before.
        if let Err(error) = connection.set_nodelay(true) {
            tracing::debug!(%error, "an API connection without TCP_NODELAY");
        }
    });
    let closing = api.closing.clone();
    let serving = axum::serve(listener, app).with_graceful_shutdown(closing.clone().cancelled_owned());
    let cut = async {
        closing.cancelled().await;
        tokio::time::sleep(api.limits.grace).await;
    };
    tokio::select! {
        ended = serving.into_future() => ended,
        () = cut => {
            tracing::warn!("open API requests were cut off at shutdown");
            Ok(())
        }
    }
}

/// Everything but the probes, handed to the node's runtime. A panic there ends that request alone, with a 500.
fn dispatch(api: &Api, work: Handle) -> Router {
    let routes = router(api);
    let api = api.clone();
    Router::new().fallback(move |request: Request| {
        let (routes, api, work) = (routes.clone(), api.clone(), work.clone());
        async move {
            let mut carried = AbortOnDrop(work.spawn(routes.oneshot(request)));
            match (&mut carried.0).await {
                Ok(Ok(response)) => response,
                Ok(Err(never)) => match never {},
                Err(error) => failed(&api, &error),
            }
        }
    })
}

fn failed(api: &Api, error: &tokio::task::JoinError) -> Response {
    if error.is_panic() {
        api.meters.panics.inc();
        tracing::error!(%error, "a handler of the API panicked");
        return Problem::new(Code::Internal, "a bug in meshd; its log has the details").into_response();
    }
    Problem::new(Code::ShuttingDown, "this node is shutting down").retry_after_ms(2_000).into_response()
}

/// A client that hangs up ends what is done for it.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
