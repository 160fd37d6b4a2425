//! The negotiation of a substream: its name, and nothing else.

use futures::future::{Ready, ready};
use libp2p::{
    Stream, StreamProtocol,
    core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo},
};
use std::{convert::Infallible, sync::Arc};

/// Any of some protocols. Cheap to make: a connection asks for it at every turn.
#[derive(Clone, Debug)]
pub struct AnyOf(pub Arc<[StreamProtocol]>);

/// The names of an [`AnyOf`], in order.
#[derive(Debug)]
pub struct Names {
    list: Arc<[StreamProtocol]>,
    next: usize,
}

impl Iterator for Names {
    type Item = StreamProtocol;

    fn next(&mut self) -> Option<StreamProtocol> {
        let name = self.list.get(self.next)?;
        self.next += 1;
        Some(name.clone())
    }
}

impl UpgradeInfo for AnyOf {
    type Info = StreamProtocol;
    type InfoIter = Names;

    fn protocol_info(&self) -> Names {
        Names { list: self.0.clone(), next: 0 }
    }
}

impl InboundUpgrade<Stream> for AnyOf {
    type Output = (Stream, StreamProtocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, name: StreamProtocol) -> Self::Future {
        ready(Ok((stream, name)))
    }
}

impl OutboundUpgrade<Stream> for AnyOf {
    type Output = (Stream, StreamProtocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, name: StreamProtocol) -> Self::Future {
        ready(Ok((stream, name)))
    }
}
