use crate::executor::run::Limits;
use std::time::Duration;

/// Programs that attach themselves.
#[derive(Debug, Clone)]
pub struct WorkersConfig {
    /// At once. Each is looked at whenever something is due. Default 64.
    pub most: usize,
    /// Who was not heard of for so long is gone, and a task of which a worker that is there said nothing for so long after it was
    /// given it goes to another. Default 10 s; a worker says something three times as often.
    pub lease: Duration,
    /// A task that no worker takes for so long goes back to its driver, and its slot to another. Default 30 s.
    pub untaken: Duration,
    /// Upper bounds for what comes of a task. Of those for processes and memory there is nobody to hold them.
    pub limits: Limits,
}

impl Default for WorkersConfig {
    fn default() -> Self {
        let (lease, untaken) = (Duration::from_secs(10), Duration::from_secs(30));
        Self { most: 64, lease, untaken, limits: Limits::default() }
    }
}
