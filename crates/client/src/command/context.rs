//! What a command works with.

use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};

use crate::api::Client;
use crate::terminal::Terminal;

/// What a command takes from its surroundings.
pub struct Context {
    /// `GRISTMILL_API_KEY`.
    pub api_key: Option<String>,
    /// The time at which the command began.
    pub now: DateTime<Utc>,
    pub terminal: Terminal,
}

/// What a command is given to run.
pub struct Session {
    pub client: Client,
    pub terminal: Terminal,
    /// Print what the service answered, as JSON lines.
    pub json: bool,
    /// The time at which the session began.
    pub now: DateTime<Utc>,
    began: Instant,
}

impl Session {
    /// A session that begins now.
    pub fn new(client: Client, terminal: Terminal, json: bool, now: DateTime<Utc>) -> Self {
        Self { client, terminal, json, now, began: Instant::now() }
    }

    /// The time, moved on since the session began.
    pub(super) fn time(&self) -> DateTime<Utc> {
        let passed = TimeDelta::from_std(self.began.elapsed()).unwrap_or_default();
        self.now + passed
    }
}
