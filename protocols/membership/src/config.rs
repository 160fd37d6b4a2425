use std::time::Duration;

/// Times and bounds of liveness.
#[derive(Clone, Debug)]
pub struct Config {
    /// Between two heartbeats to each connected member. Default 3 s.
    pub heartbeat: Duration,
    /// Without a word for so long a member counts as silent and its connections are closed. Default 10 s.
    pub timeout: Duration,
    /// A member whose connection closed counts as silent after this, unless it is back. Default 300 ms.
    pub grace: Duration,
    /// Between two attempts to reach a member, doubled up to 32 times this. Default 1 s.
    pub redial: Duration,
    /// Between two comparisons of the table with that of some connected member; while this node has had nobody's table,
    /// `heartbeat` is. Default 30 s.
    pub compare: Duration,
    /// Members that are asked to probe one that is suspected, at most. Default 5.
    pub probes: usize,
    /// Known members, at most; more are refused. Default 4,096.
    pub members_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(3),
            timeout: Duration::from_secs(10),
            grace: Duration::from_millis(300),
            redial: Duration::from_secs(1),
            compare: Duration::from_secs(30),
            probes: 5,
            members_max: 4096,
        }
    }
}
