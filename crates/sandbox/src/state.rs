//! What all connections share.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use serde::Serialize;

use crate::batch::Batches;
use crate::clock::Clock;
use crate::config::{Config, Patch};
use crate::deliveries::Deliveries;
use crate::error::Error;
use crate::gemini::Uploads;
use crate::limits::Limiter;
use crate::log::Log;
use crate::stats::Counters;
use crate::together::Slots;

/// One sandbox.
pub(crate) struct Sandbox {
    pub clock: Clock,
    pub limiter: Arc<Limiter>,
    pub deliveries: Deliveries,
    pub log: Option<Log>,
    pub batches: Batches,
    /// Of Gemini.
    pub uploads: Uploads,
    /// Uploads announced to Together.
    pub slots: Slots,
    /// Replaced as a whole, so that a request sees one configuration from its beginning to its end.
    config: RwLock<Arc<Config>>,
    counters: Mutex<Counters>,
    next_seq: AtomicU64,
}

impl Sandbox {
    pub fn new(config: Config) -> Result<Self, Error> {
        config.validate()?;
        let clock = Clock::start();
        let log = config.log.as_deref();
        let log = log.map(|path| Log::open(path, clock.now().unix_ms)).transpose()?;
        Ok(Self {
            limiter: Arc::default(),
            deliveries: Deliveries::new(),
            log,
            slots: Slots::default(),
            batches: Batches::new(clock.now().unix_ms),
            uploads: Uploads::default(),
            config: RwLock::new(Arc::new(config)),
            counters: Mutex::new(Counters::new()),
            clock,
            next_seq: AtomicU64::new(1),
        })
    }

    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the configuration for requests that arrive from now on.
    pub fn patch(&self, patch: Patch) -> Result<Arc<Config>, Error> {
        let mut current = self.config.write().unwrap_or_else(PoisonError::into_inner);
        let (faults, outcomes) = (patch.names("faults"), patch.names("outcomes"));
        let config = current.patched(patch)?;
        config.validate()?;
        self.batches.rearm(faults, outcomes);
        *current = Arc::new(config);
        Ok(Arc::clone(&current))
    }

    /// Forgets counters, deliveries and what the limits have counted. Configuration and log stay.
    pub fn reset(&self) {
        self.counters().reset();
        self.deliveries.clear();
        self.limiter.clear();
        self.batches.reset();
    }

    /// Appends to the oracle log, where there is one.
    pub fn append(&self, line: &impl Serialize) -> io::Result<()> {
        self.log.as_ref().map_or(Ok(()), |log| log.append(line))
    }

    pub fn counters(&self) -> MutexGuard<'_, Counters> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn next_seq(&self) -> u64 {
        self.next_seq.fetch_add(1, Ordering::Relaxed)
    }
}
