//! The HTTP API, one route family a file.
//!
//! It is written against what it needs and no more: a [`brain::Brain`] to ask, and the [`Ports`] for bytes, logs and
//! the network. It holds no state of its own but open requests. [`serve`] answers on a thread of its own and carries
//! out what is asked on the node's runtime, so that `/livez` answers when that runtime or the brain hangs.

pub mod access;
pub mod after;
pub mod aggregate;
pub mod blobs;
pub mod brain;
pub mod committee;
pub mod consensus;
pub mod content;
pub mod count;
pub mod drain;
mod events;
mod extract;
pub mod jobs;
pub mod ledger;
mod linger;
pub mod locks;
pub mod logs;
pub mod members;
pub mod memory;
mod meters;
pub mod node;
mod openapi;
pub mod order;
pub mod probes;
pub mod problem;
pub mod proposals;
mod pulse;
mod range;
pub mod result;
mod server;
mod signer;
pub mod submission;
pub mod tasks;
pub mod terms;
#[cfg(test)]
pub(crate) mod tests;
pub mod values;
pub mod view;
pub mod workers;

pub use access::{Hosts, Principal, Tokens};
pub use meters::Meters;
pub use problem::{Code, Problem};
pub use pulse::Pulse;
pub use server::{Listeners, ServeError, Served, serve};
pub use signer::{KeySigner, Signer};

use crate::{
    executor::{Containment, Workers},
    gauge::Gauge,
};
use axum::{Router, extract::DefaultBodyLimit, middleware};
use mesh_coordinator::StatusView;
use mesh_proto::{
    credential::Credential,
    id::{NetworkId, NodeId},
    time::Wall,
};
use std::{ops::Deref, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Shared by all requests; cheap to clone.
#[derive(Clone)]
pub struct Api(Arc<Shared>);

/// What the API is made of.
pub struct Shared {
    pub network: NetworkId,
    pub ports: Ports,
    pub access: Access,
    pub limits: Limits,
    pub meters: Meters,
    /// Jobs that are submitted through this node now.
    pub submissions: jobs::Submissions,
    /// What the committee is known to have executed.
    pub executed: order::Executed,
    /// Ends long answers (waits, streams) when the node shuts down.
    pub closing: CancellationToken,
}

/// What the API asks of the rest of the node.
#[derive(Clone)]
pub struct Ports {
    pub brain: Arc<dyn brain::Brain>,
    pub blobs: Arc<dyn blobs::Blobs>,
    pub logs: Arc<dyn logs::Logs>,
    pub membership: Arc<dyn members::Membership>,
    pub draining: Arc<dyn drain::Draining>,
    pub signer: Arc<dyn Signer>,
    /// What let a member in, if this node has seen it.
    pub credential: Arc<dyn Fn(NodeId) -> Option<Credential> + Send + Sync>,
    /// The connections of now.
    pub peers: Arc<dyn Fn() -> Vec<members::PeerView> + Send + Sync>,
    /// This node's own values, for what is computed over all nodes.
    pub gauge: Gauge,
    /// The text of `/metrics`.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Why the node is not ready for work; empty if it is.
    pub unready: Arc<dyn Fn() -> Vec<String> + Send + Sync>,
    /// What the brain said of itself last, if it has.
    pub last_status: Arc<dyn Fn() -> Option<StatusView> + Send + Sync>,
    /// Programs that are attached to this node.
    pub workers: Workers,
    /// What holds host commands, where they are allowed.
    pub containment: Arc<dyn Fn() -> Option<Containment> + Send + Sync>,
    /// The configuration in force as `config show --output json` has it.
    pub config: Arc<serde_json::Value>,
    pub pulse: Pulse,
}

/// Who may ask, and by what name.
#[derive(Clone, Default)]
pub struct Access {
    pub tokens: Tokens,
    pub hosts: Hosts,
}

/// Bounds of the API.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a JSON body. Default 2 MiB: the largest task with every byte escaped.
    pub body: usize,
    /// Items of one job that are placed and not ended before its stream is read on. Default 8,192.
    pub window: u32,
    /// Items in one command to the brain. Default 256, at most the brain's 1,024.
    pub batch: usize,
    /// How long an item of a job is offered again while nodes answer busy or are out of reach. Default 10 s.
    pub patience: Duration,
    /// Longest `?wait=`. Default 10 min.
    pub wait: Duration,
    /// How long the brain or the log may stand still before `/livez` fails. Default 5 s.
    pub stall: Duration,
    /// Connections at once on each listener. Default 4,096.
    pub connections: usize,
    /// How long a connection may take to send the head of a request, or none. Default 30 s.
    pub header: Duration,
    /// How long open requests may go on once the node shuts down. Default 5 s.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 2 * 1024 * 1024,
            window: 8_192,
            batch: 256,
            patience: Duration::from_secs(10),
            wait: Duration::from_secs(600),
            stall: Duration::from_secs(5),
            connections: 4_096,
            header: Duration::from_secs(30),
            grace: Duration::from_secs(5),
        }
    }
}

impl Api {
    pub fn new(network: NetworkId, ports: Ports, access: Access, mut limits: Limits, meters: Meters) -> Self {
        // A batch larger than the window would wait for places forever.
        limits.batch = limits.batch.clamp(1, limits.window.max(1) as usize);
        Self(Arc::new(Shared {
            network,
            ports,
            access,
            limits,
            meters,
            submissions: jobs::Submissions::default(),
            executed: order::Executed::default(),
            closing: CancellationToken::new(),
        }))
    }
}

impl Deref for Api {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// Every `/v1` route, behind the checks of token and name.
pub fn router(api: &Api) -> Router {
    let (routes, _) = documented().split_for_parts();
    routes
        .fallback(async || Problem::new(Code::NoSuchRoute, "see /v1/openapi.json for the routes there are"))
        .method_not_allowed_fallback(async || {
            Problem::new(Code::MethodNotAllowed, "see /v1/openapi.json for the methods of this route")
        })
        // Bodies are read under our own limits, by what each route takes.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(api.clone(), meters::count))
        .layer(middleware::from_fn_with_state(api.clone(), access::guard))
        .layer(middleware::map_response(problem::only_problems))
        // Around all that may refuse.
        .layer(middleware::from_fn_with_state(api.clone(), linger::linger))
        .with_state(api.clone())
}

fn documented() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(tasks::list::list, tasks::submit::submit))
        .routes(routes!(tasks::show::show, tasks::cancel::delete))
        .routes(routes!(tasks::cancel::cancel))
        .routes(routes!(tasks::explain::explain))
        .routes(routes!(tasks::auctions::auctions))
        .routes(routes!(tasks::retry::retry))
        .routes(routes!(tasks::result::result))
        .routes(routes!(tasks::result::stdout))
        .routes(routes!(tasks::result::stderr))
        .routes(routes!(tasks::result::file))
        .routes(routes!(logs::logs))
        .routes(routes!(jobs::list::list, jobs::submit::submit))
        .routes(routes!(jobs::show::show))
        .routes(routes!(jobs::results::results))
        .routes(routes!(jobs::cancel::cancel))
        .routes(routes!(members::list))
        .routes(routes!(members::show, members::forget))
        .routes(routes!(committee::revoke::revoke))
        .routes(routes!(committee::inviters::list))
        .routes(routes!(committee::inviters::add, committee::inviters::remove))
        .routes(routes!(members::peers))
        .routes(routes!(blobs::list, blobs::put, blobs::post))
        .routes(routes!(blobs::get, blobs::remove))
        .routes(routes!(memory::list::list))
        .routes(routes!(memory::get::get, memory::write::put, memory::write::delete))
        .routes(routes!(aggregate::aggregate))
        .routes(routes!(values::list))
        .routes(routes!(values::set, values::remove))
        .routes(routes!(proposals::list::list, proposals::propose::propose))
        .routes(routes!(proposals::show::show))
        .routes(routes!(proposals::votes::votes, proposals::votes::vote))
        .routes(routes!(proposals::close::close))
        .routes(routes!(committee::show::show, committee::change::change))
        .routes(routes!(locks::list::list))
        .routes(routes!(locks::list::show, locks::hold::take, locks::hold::renew, locks::hold::release))
        .routes(routes!(consensus::consensus))
        .routes(routes!(ledger::bundle))
        .routes(routes!(workers::list::list, workers::register::register))
        .routes(routes!(workers::register::detach))
        .routes(routes!(workers::heartbeat::heartbeat))
        .routes(routes!(workers::take::take))
        .routes(routes!(workers::logs::logs))
        .routes(routes!(workers::progress::progress))
        .routes(routes!(workers::result::result))
        .routes(routes!(workers::result::release))
        .routes(routes!(workers::files::input))
        .routes(routes!(workers::files::get, workers::files::put))
        .routes(routes!(node::status))
        .routes(routes!(node::config))
        .routes(routes!(drain::show, drain::begin, drain::end))
        .routes(routes!(drain::leave))
        .routes(routes!(events::events))
        .routes(routes!(openapi::document))
}

/// This node's date.
pub(crate) fn now() -> Wall {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Wall(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
