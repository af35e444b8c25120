//! The right to send one call.

use std::sync::Arc;

use db::limit_groups::Pause;
use domain::breaker::{Outcome, Verdict};
use domain::outcome::Usage;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::share::Admitted;
use super::{Group, exchange, gate};

/// Given back when the reply is there.
pub(crate) struct Permit {
    call: Call,
    slot: Slot,
    probe: Option<gate::Probe>,
}

/// A call in flight: its drop lets another one go.
struct Call {
    group: Arc<Group>,
    admitted: Admitted,
    is_noted: bool,
}

/// Held until a result is committed; its drop lets another call be sent.
pub(crate) struct Slot {
    permit: OwnedSemaphorePermit,
    calls: usize,
}

impl Slot {
    pub(super) fn new(permit: OwnedSemaphorePermit, calls: usize) -> Self {
        Self { permit, calls }
    }

    /// Whether so many results that wait to be committed together begin to hold up sending.
    pub(crate) fn are_many(&self, waiting: usize) -> bool {
        2 * waiting >= self.calls || self.permit.semaphore().available_permits() == 0
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let mut share = self.group.share();
        if !self.is_noted {
            share.note(&self.admitted, None, None, None);
        }
        share.ended();
        drop(share);
        self.group.changed.notify_one();
    }
}

impl Permit {
    pub(super) fn new(group: Arc<Group>, admitted: Admitted, probe: Option<gate::Probe>, slot: Slot) -> Self {
        Self { call: Call { group, admitted, is_noted: false }, slot, probe }
    }

    /// Notes what the reply tells of the provider, and what it used. Once. `failed_at`: its row failed before, then.
    pub(crate) fn note(
        &mut self,
        outcome: Option<Outcome>,
        failed_at: Option<Instant>,
        usage: Option<Usage>,
    ) -> Verdict {
        self.call.is_noted = true;
        let group = &self.call.group;
        let (verdict, is_urgent) = {
            let mut share = group.share();
            (share.note(&self.call.admitted, outcome, failed_at, usage), share.is_urgent())
        };
        if is_urgent {
            exchange::ask(group);
        }
        verdict
    }

    /// The reply showed that calls work.
    pub(crate) fn worked(self) -> Slot {
        if let Some(probe) = self.probe {
            probe.succeeded();
            self.call.group.publish(None);
        }
        self.slot
    }

    /// There was no reply, or one that doesn't show whether calls work: a paused group stays so until the next try.
    pub(crate) fn told_nothing(self) -> Slot {
        if let Some(probe) = self.probe {
            probe.failed();
        }
        self.slot
    }

    /// The reply showed that no call can work. The first of the many that find it so stops the group.
    pub(crate) fn stopped(self, code: &str, detail: &str) -> Slot {
        let group = self.call.group.clone();
        let is_first = self.probe.is_some() || !group.stands_still();
        if let Some(probe) = self.probe {
            probe.failed();
        }
        if is_first {
            group.pause(Pause { code: code.to_owned(), detail: detail.to_owned() });
        }
        self.slot
    }
}
