use super::{Api, Code, Hosts, Problem, probes, router};
use axum::{
    Router,
    extract::Request,
    response::{IntoResponse, Response},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};
use tokio::{
    net::TcpStream,
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};
use tower::ServiceExt;

/// The API could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("cannot serve the API: {0}")]
    Io(#[from] io::Error),
}

/// Where the API is answered.
pub struct Listeners {
    pub api: TcpListener,
    /// Where the probes and metrics are answered as well, and by what name.
    pub metrics: Option<(TcpListener, Hosts)>,
}

/// A served API. Dropping it lets it go on; [`Served::close`] ends it.
pub struct Served {
    address: SocketAddr,
    metrics: Option<SocketAddr>,
    api: Api,
    thread: JoinHandle<()>,
}

impl Served {
    /// Where it listens; with the port it got if 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the metrics are answered as well.
    pub fn metrics(&self) -> Option<SocketAddr> {
        self.metrics
    }

    /// Takes no more requests, gives open ones [`super::Limits::grace`], and waits for the end. Blocks.
    pub fn close(self) {
        self.api.closing.cancel();
        if self.thread.join().is_err() {
            tracing::error!("the API's thread ended by a panic");
        }
    }
}

/// Answers on `listeners`, on a thread of its own with a runtime of its own: probes are answered there and then, `/v1`
/// is carried out on `work`, so that a hanging handler, brain or runtime never silences `/livez`.
pub fn serve(listeners: Listeners, api: Api, work: Handle) -> Result<Served, ServeError> {
    let address = listeners.api.local_addr()?;
    let metrics = listeners.metrics.as_ref().map(|(listener, _)| listener.local_addr()).transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let app = probes::router(&api, api.access.hosts.clone()).merge(dispatch(&api, work));
    let mut all = vec![(listeners.api, app)];
    if let Some((listener, hosts)) = listeners.metrics {
        let nothing_else = async || Problem::new(Code::NoSuchRoute, "here are /metrics, /livez and /readyz only");
        all.push((listener, probes::router(&api, hosts).fallback(nothing_else)));
    }
    all.iter().try_for_each(|(listener, _)| listener.set_nonblocking(true))?;
    let served = api.clone();
    let thread = std::thread::Builder::new().name("api".to_string()).spawn(move || {
        let serving = all.into_iter().map(|(listener, app)| run(listener, app, served.clone()));
        if let Err(error) = runtime.block_on(futures::future::try_join_all(serving)) {
            tracing::error!(%error, "the API has ended");
        }
    })?;
    Ok(Served { address, metrics, api, thread })
}

/// Accepts until the node shuts down, and then gives what is open [`super::Limits::grace`].
async fn run(listener: TcpListener, app: Router, api: Api) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let places = Arc::new(Semaphore::new(api.limits.connections));
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            () = api.closing.cancelled() => break,
            (connection, place) = accept(&listener, &places) => {
                open.spawn(talk(connection, app.clone(), api.clone(), place));
            }
            Some(_) = open.join_next() => {}
        }
    }
    drop(listener);
    let all = async { while open.join_next().await.is_some() {} };
    if tokio::time::timeout(api.limits.grace, all).await.is_err() {
        tracing::warn!("open API requests were cut off at shutdown");
    }
    Ok(())
}

/// The next connection, once there is a place for it: until then it waits in the system's queue.
async fn accept(listener: &tokio::net::TcpListener, places: &Arc<Semaphore>) -> (TcpStream, OwnedSemaphorePermit) {
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { std::future::pending().await };
        match listener.accept().await {
            Ok((connection, _)) => return (connection, place),
            // Of one connection, or for want of descriptors: others must not be refused for it.
            Err(error) => {
                tracing::debug!(%error, "an API connection was not taken");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// After a connection that could not be taken.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers on one connection until it ends.
async fn talk(connection: TcpStream, app: Router, api: Api, _place: OwnedSemaphorePermit) {
    // Small answers must not wait for the acknowledgement of the ones before.
    if let Err(error) = connection.set_nodelay(true) {
        tracing::debug!(%error, "an API connection without TCP_NODELAY");
    }
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        // Who sends no request, or half of one, does not keep a place.
        .header_read_timeout(api.limits.header)
        .serve_connection(TokioIo::new(connection), TowerToHyperService::new(app));
    tokio::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = api.closing.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an API connection ended");
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
