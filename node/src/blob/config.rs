//! What an operator may set, with its reason.

use std::time::Duration;

/// Limits and times of a [`BlobStore`](super::BlobStore). Every queue, buffer and wait of this module is bounded here.
#[derive(Debug, Clone)]
pub struct BlobConfig {
    /// Bytes that blobs, their trees, and uploads and downloads under way may take together. Default 10 GiB.
    pub quota_bytes: u64,
    /// Bytes that must stay free on the file system, so that the log can finish what was accepted. Default 256 MiB.
    pub free_floor_bytes: u64,
    /// How long an uploaded or fetched blob is kept before anything refers to it. Default 1 h. DESIGN section 7.
    pub upload_lease: Duration,
    /// The longest lease that a peer may ask for, and that is believed of a file after a restart, whatever the wall
    /// clock did meanwhile. Default 24 h.
    pub lease_max: Duration,
    /// How long the word of a holder lasts that a record needs a blob of this node; holders repeat it three times as
    /// often. Default 1 h.
    pub keep_lease: Duration,
    /// How long a holder that is back in reach has to say what it needs; it does so at once. Default 5 min.
    pub keep_settle: Duration,
    /// How much longer a blob is kept for a holder that is out of reach: it may hold the only record that names the
    /// blob. Default 24 h.
    pub silent_keep: Duration,
    /// How long a blob that nothing needs is spared after its last use, unless its room is wanted: the program of the
    /// next task is often that of the last. Default 10 min.
    pub warm: Duration,
    /// How long an interrupted download is kept for its continuation. Default 1 h.
    pub partial_keep: Duration,
    /// Interrupted downloads kept at most; the oldest goes first. Default 64.
    pub partials_max: usize,
    /// File operations at once, each on a blocking thread. More lets concurrent syncs share a journal commit. Default 8.
    pub disk_jobs_max: usize,
    /// Uploads read at once; more wait. Each holds two buffers of 256 KiB. Default 32.
    pub uploads_max: usize,
    /// How long an upload may send nothing. Default 60 s.
    pub upload_idle: Duration,
    /// Downloads at once; more wait. Each holds two buffers of 512 KiB. Default 8.
    pub fetches_max: usize,
    /// Downloads under way and waiting together; more are refused as busy. Default 1,024.
    pub fetches_waiting_max: usize,
    /// Blobs of other nodes that are passed on to users at once; more come by this disk. Each holds a buffer of 512 KiB.
    /// Default 32.
    pub relays_max: usize,
    /// Times that a fetch goes through its providers: who was busy, silent or cut off gets another chance, who lied or
    /// has nothing does not. Default 2.
    pub fetch_rounds: u32,
    /// Streams served at once, of all peers; more are told that we are busy. Default 32.
    pub serves_max: usize,
    /// Streams served at once of one peer, so that a flood costs only its sender. Default 8.
    pub serves_per_peer_max: usize,
    /// How long opening a stream to a provider may take. Default 10 s.
    pub open_timeout: Duration,
    /// How long the peer may take for one message. Must exceed `room_wait`. Default 30 s.
    pub reply_timeout: Duration,
    /// How long one segment of 512 KiB may take; the slowest link that is used is thus 17 KiB/s, and a peer that
    /// trickles holds nothing for long. Default 30 s.
    pub segment_timeout: Duration,
    /// How long a peer that has received a whole blob may take to make it durable. Default 2 min.
    pub keep_timeout: Duration,
    /// Between the two times that the owner of the records is asked about a blob that goes. Default 5 s.
    pub collect_grace: Duration,
    /// Between collections. Default 60 s.
    pub collect_every: Duration,
    /// How long an upload waits for a collection when the quota is full. Default 5 s.
    pub room_wait: Duration,
}

impl Default for BlobConfig {
    fn default() -> Self {
        Self {
            quota_bytes: 10 << 30,
            free_floor_bytes: 256 << 20,
            upload_lease: Duration::from_secs(3600),
            lease_max: Duration::from_secs(24 * 3600),
            keep_lease: Duration::from_secs(3600),
            keep_settle: Duration::from_secs(300),
            silent_keep: Duration::from_secs(24 * 3600),
            warm: Duration::from_secs(600),
            partial_keep: Duration::from_secs(3600),
            partials_max: 64,
            disk_jobs_max: 8,
            uploads_max: 32,
            upload_idle: Duration::from_secs(60),
            fetches_max: 8,
            relays_max: 32,
            fetches_waiting_max: 1024,
            fetch_rounds: 2,
            serves_max: 32,
            serves_per_peer_max: 8,
            open_timeout: Duration::from_secs(10),
            reply_timeout: Duration::from_secs(30),
            segment_timeout: Duration::from_secs(30),
            keep_timeout: Duration::from_secs(120),
            collect_grace: Duration::from_secs(5),
            collect_every: Duration::from_secs(60),
            room_wait: Duration::from_secs(5),
        }
    }
}

impl BlobConfig {
    /// The operator's mistakes.
    pub fn check(&self) -> Result<(), BlobConfigError> {
        let limits = [
            ("partials_max", self.partials_max),
            ("disk_jobs_max", self.disk_jobs_max),
            ("uploads_max", self.uploads_max),
            ("fetches_max", self.fetches_max),
            ("fetches_waiting_max", self.fetches_waiting_max),
            ("serves_max", self.serves_max),
            ("serves_per_peer_max", self.serves_per_peer_max),
            ("fetch_rounds", self.fetch_rounds as usize),
        ];
        // 0 would wait for ever, and what a semaphore cannot count would panic.
        if let Some((name, value)) = limits.into_iter().find(|(_, value)| !(1..=1 << 20).contains(value)) {
            return Err(BlobConfigError::Limit { name, value });
        }
        if self.room_wait >= self.reply_timeout {
            return Err(BlobConfigError::RoomWait { room_wait: self.room_wait, reply_timeout: self.reply_timeout });
        }
        Ok(())
    }
}

/// A setting that cannot work. The operator's to mend; nothing was opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlobConfigError {
    #[error("{name} is {value}, must be from 1 to 1,048,576")]
    Limit { name: &'static str, value: usize },
    #[error("room_wait ({room_wait:?}) must be shorter than reply_timeout ({reply_timeout:?}), or peers give up first")]
    RoomWait { room_wait: Duration, reply_timeout: Duration },
}
