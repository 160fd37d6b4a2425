//! `[auction]`.

use mesh_tasks::{AuctionConfig, BadWeights, Weights};
use serde::{Deserialize, Serialize};

use super::Section;
use crate::config::{Report, Span};

/// How tasks with `--strategy auction` find who runs them. The weights say how much each criterion counts, and sum to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auction {
    /// How long bids are taken where somebody does not answer. Default: 250ms.
    pub bidding_time: Span,
    /// How far the bidder has what is only preferred. Default 0.4.
    pub capability: f64,
    /// How much of its slots is free. Default 0.3.
    pub load: f64,
    /// What came of the attempts that it was granted before. Default 0.2.
    pub performance: f64,
    /// How much of its memory is free. Default 0.1.
    pub resources: f64,
}

impl Default for Auction {
    fn default() -> Self {
        Self { bidding_time: Span::from_millis(250), capability: 0.4, load: 0.3, performance: 0.2, resources: 0.1 }
    }
}

impl Auction {
    pub fn config(&self) -> AuctionConfig {
        AuctionConfig { bidding: self.bidding_time.get(), weights: self.weights().unwrap_or_default() }
    }

    fn weights(&self) -> Result<Weights, BadWeights> {
        let [capability, load, performance, resources] =
            [self.capability, self.load, self.performance, self.resources].map(ppm);
        Weights::new(capability, load, performance, resources)
    }
}

/// In parts per million: what is below nothing is nothing, and what is above one is still above it.
fn ppm(share: f64) -> u32 {
    (share * 1e6).round().clamp(0.0, 1e9) as u32
}

impl Section for Auction {
    fn check(&self, report: &mut Report<'_>) {
        report.within("bidding_time", self.bidding_time, Span::from_millis(1), Span::from_secs(3));
        for (name, share) in [
            ("capability", self.capability),
            ("load", self.load),
            ("performance", self.performance),
            ("resources", self.resources),
        ] {
            if !(0.0..=1.0).contains(&share) {
                report.wrong(name, format!("{share} is not between 0 and 1"));
            }
        }
        if let Err(BadWeights { sum }) = self.weights() {
            let sum = sum as f64 / 1e6;
            report.wrong("capability", format!("and load, performance and resources sum to {sum}, and not to 1"));
        }
    }
}
