use super::{EpochConfig, Kind};
use crate::limits;

/// How many bytes a message of each kind may have, from what its epoch allows: the largest that a correct member sends,
/// so that a faulty one cannot make others hold more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    members: usize,
    window: usize,
    batch_requests: usize,
    request_bytes: usize,
    client_bytes: usize,
    client_window: usize,
}

/// An array head, a replica number of two bytes, a signature of 66.
const BALLOT: usize = 69;
const DIGEST: usize = 34;
const SIGNATURE: usize = 66;
/// A number or a date, with its key.
const NUMBER: usize = 11;
/// What an outcome takes beside its answer, with its key.
const OUTCOME: usize = 14;
/// Heads and keys around the rest.
const FRAME: usize = 64;

impl Sizes {
    #[must_use]
    pub fn of(config: &EpochConfig) -> Self {
        Self {
            members: config.members.len(),
            window: config.window as usize,
            batch_requests: config.batch_requests as usize,
            request_bytes: config.request_bytes as usize,
            client_bytes: config.client_bytes as usize,
            client_window: config.client_window as usize,
        }
    }

    #[must_use]
    pub fn limit(&self, kind: Kind) -> usize {
        let ballots = self.members * BALLOT + 8;
        let batch = self.batch_requests * DIGEST + NUMBER + FRAME;
        let request = self.request_bytes + DIGEST + SIGNATURE + 2 * NUMBER + FRAME;
        let stable = ballots + DIGEST + 2 * NUMBER + FRAME;
        // The committee may have grown by one.
        let summary = (self.members + 1) * DIGEST + 16 * NUMBER + 3 * DIGEST + 2 * FRAME;
        let certified = stable + BALLOT + summary + FRAME;
        match kind {
            Kind::Request => request,
            Kind::PrePrepare => batch + SIGNATURE + 3 * NUMBER + FRAME,
            Kind::Prepare | Kind::Commit | Kind::Checkpoint => DIGEST + SIGNATURE + 4 * NUMBER + FRAME,
            Kind::ViewChange => self.view_change(),
            Kind::NewView => {
                let entry = DIGEST + SIGNATURE + 8;
                self.members * (DIGEST + 4) + self.window * entry + SIGNATURE + 3 * NUMBER + 2 * FRAME
            }
            // Who is an epoch behind is to hear it, also of a committee that has grown.
            Kind::Status => (6 + limits::FOUNDERS) * NUMBER + FRAME,
            Kind::Fetch => limits::PBFT_FETCH_DIGESTS * DIGEST + FRAME,
            Kind::Requests => limits::PBFT_REQUESTS_BYTES + request,
            Kind::Batch => batch,
            Kind::Decided => batch + ballots + DIGEST + 3 * NUMBER + FRAME,
            Kind::Stable => certified,
            // Earlier or later epochs may have more members.
            Kind::Epochs => limits::PBFT_EPOCHS * limits::PBFT_EPOCH_CERTIFICATE_BYTES + FRAME,
            Kind::Chunk => {
                limits::PBFT_CHUNK_BYTES.max(self.entry()) + limits::PATH_DIGESTS * DIGEST + 2 * NUMBER + FRAME
            }
            Kind::Reply => {
                let answered = NUMBER + DIGEST + OUTCOME + 4;
                self.client_bytes + self.batch_requests * answered + SIGNATURE + DIGEST + 3 * NUMBER + FRAME
            }
        }
    }

    /// The largest of all: what the body's frames must hold.
    #[must_use]
    pub fn largest(&self) -> usize {
        Kind::ALL.into_iter().map(|kind| self.limit(kind)).max().unwrap_or(0)
    }

    /// A client's entry in the table.
    #[must_use]
    pub fn entry(&self) -> usize {
        let executed = 2 * NUMBER + DIGEST + OUTCOME + 4;
        self.client_bytes + self.client_window * executed + DIGEST + FRAME
    }

    /// A certificate for each number of the window.
    fn view_change(&self) -> usize {
        let ballots = self.members * BALLOT + 8;
        let prepared = ballots + DIGEST + SIGNATURE + 2 * NUMBER + 24;
        self.window * prepared + ballots + DIGEST + SIGNATURE + 6 * NUMBER + 2 * FRAME
    }
}
