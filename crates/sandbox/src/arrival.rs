//! A request that has arrived whole.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::Arc;

use crate::clock::Moment;
use crate::deliveries::Digest;
use crate::log::Abandoned;
use crate::state::Sandbox;

/// Counts as in flight until it is dropped.
pub(crate) struct Arrival {
    sandbox: Arc<Sandbox>,
    pub seq: u64,
    pub at: Moment,
    /// Requests at work, this one included.
    pub in_flight: u64,
}

/// The identity of a request's body, worked out only where somebody asks.
pub(crate) struct Identity<'a> {
    sandbox: &'a Sandbox,
    body: Cow<'a, [u8]>,
    known: OnceCell<(Digest, u32)>,
}

/// Logs that the client went away, unless it is told that the answer is ready.
pub(crate) struct Waiting<'a> {
    arrival: &'a Arrival,
    over: bool,
}

impl Arrival {
    pub fn new(sandbox: &Arc<Sandbox>) -> Self {
        let at = sandbox.clock.now();
        Self {
            sandbox: Arc::clone(sandbox),
            seq: sandbox.next_seq(),
            at,
            in_flight: sandbox.counters().arrive(at.unix_ms),
        }
    }

    pub fn waiting(&self) -> Waiting<'_> {
        Waiting { arrival: self, over: false }
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        self.sandbox.counters().leave();
    }
}

impl<'a> Identity<'a> {
    pub fn new(sandbox: &'a Sandbox, body: Cow<'a, [u8]>) -> Self {
        Self { sandbox, body, known: OnceCell::new() }
    }

    pub fn digest(&self) -> Digest {
        self.known().0
    }

    /// How manieth delivery of its body the request is.
    pub fn delivery(&self) -> u32 {
        self.known().1
    }

    fn known(&self) -> (Digest, u32) {
        *self.known.get_or_init(|| {
            let digest = Digest::of(&self.body);
            (digest, self.sandbox.deliveries.count(digest))
        })
    }
}

impl Waiting<'_> {
    pub fn over(mut self) {
        self.over = true;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let sandbox = &self.arrival.sandbox;
        sandbox.counters().abandon();
        let line = Abandoned { abandoned: self.arrival.seq, at_ms: sandbox.clock.now().unix_ms };
        if let Some(Err(error)) = sandbox.log.as_ref().map(|log| log.append(&line)) {
            tracing::error!(%error, "sandbox cannot write its oracle log");
        }
    }
}
