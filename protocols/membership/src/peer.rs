use crate::{Member, history::History, suspicion::Suspicion};
use mesh_proto::{id::StoreId, time::Mono};

/// Another member, and what is known of its life.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) member: Member,
    /// The disk that its entry names. While it is connected the connection says which is there.
    pub(crate) named: StoreId,
    pub(crate) connected: bool,
    /// When it was connected last.
    pub(crate) up: Mono,
    pub(crate) heard: Mono,
    /// When it was lost, until it is back or counted as silent.
    pub(crate) lost: Option<Mono>,
    pub(crate) silent: bool,
    /// It was connected since this process began, or was last frozen.
    pub(crate) was_met: bool,
    /// From when on it is missed though it was never met.
    pub(crate) counts_from: Mono,
    pub(crate) suspicion: Option<Suspicion>,
    /// Until then it is not suspected: it has just refuted that.
    pub(crate) trusted_until: Mono,
    pub(crate) history: History,
    pub(crate) next_dial: Mono,
    pub(crate) dials: u32,
}

impl Peer {
    /// Known from its row alone, and not heard.
    pub(crate) fn new(member: Member) -> Self {
        Self {
            named: member.store,
            member,
            connected: false,
            up: Mono::default(),
            heard: Mono::default(),
            lost: Some(Mono::default()),
            silent: false,
            was_met: false,
            counts_from: Mono::default(),
            suspicion: None,
            trusted_until: Mono::default(),
            history: History::default(),
            next_dial: Mono::default(),
            dials: 0,
        }
    }

    /// It is not connected: its entry says which disk it has.
    pub(crate) fn settle_store(&mut self) -> Option<Member> {
        (std::mem::replace(&mut self.member.store, self.named) != self.named).then(|| self.member.clone())
    }
}
