//! What the handlers work with.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use dataset::stores::Stores;
use dataset::work::WorkSpace;
use db::{Database, MasterKey};

/// Tells the time. Leases don't depend on it; deadlines and expiries as callers see them do.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// Everything that a handler may use. Cheap to clone.
#[derive(Clone)]
pub struct App {
    pub db: Database,
    pub stores: Stores,
    pub work: WorkSpace,
    pub master_key: Arc<MasterKey>,
    pub clock: Clock,
    pub config: Config,
}

#[derive(Debug, Clone)]
pub struct Config {
    /// Lets provider records name private and loopback addresses, and plain `http`.
    pub allow_private: bool,
    /// Longest request body. Too low refuses long prompts; too high lets callers fill the memory.
    pub max_body_bytes: usize,
    /// How long a request may take until its answer begins; its body may take half of it. Too low fails slow stores; too high
    /// lets slow callers hold connections.
    pub request_timeout: Duration,
    /// How long a signed URL of an output works.
    pub signed_url_ttl: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            allow_private: false,
            max_body_bytes: 1 << 20,
            request_timeout: Duration::from_secs(30),
            signed_url_ttl: Duration::from_mins(15),
        }
    }
}

impl App {
    pub(crate) fn now(&self) -> DateTime<Utc> {
        (self.clock)()
    }
}
