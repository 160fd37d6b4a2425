//! Names of nodes, looked up as the network's transports do it. Not by the C library: linked statically, as in an image with
//! nothing else in it, that one loads parts of itself which are not there.

use hickory_resolver::TokioResolver;
use hyper_util::client::legacy::connect::dns::Name;
use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::sync::OnceCell;
use tower::Service;

/// By `/etc/hosts` and the servers of `/etc/resolv.conf`, which are read when the first name is asked for: an address needs
/// neither.
#[derive(Clone, Default)]
pub struct Names(Arc<OnceCell<TokioResolver>>);

impl Names {
    async fn addresses(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        let begin = async || TokioResolver::builder_tokio()?.build();
        let resolver = self.0.get_or_try_init(begin).await.map_err(io::Error::other)?;
        let found = resolver.lookup_ip(name).await.map_err(io::Error::other)?;
        // Whoever asked puts the port in.
        Ok(found.iter().map(|address| SocketAddr::new(address, 0)).collect())
    }
}

impl Service<Name> for Names {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let names = self.clone();
        Box::pin(async move { Ok(names.addresses(name.as_str()).await?.into_iter()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn this_machine_is_found_by_its_name() {
        let found = Names::default().addresses("localhost").await.expect("it has one");
        assert!(!found.is_empty() && found.iter().all(|address| address.ip().is_loopback()), "{found:?}");
    }
}
