//! Steps that all families share, with their lines in the oracle log.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::files::{Label, StoredFile};
use super::record::ProviderBatch;
use super::upload::Received;
use super::wire::Wire;
use crate::call::Call;
use crate::clock::Moment;
use crate::config::Config;
use crate::family::key_tail;
use crate::log;
use crate::state::Sandbox;

/// Keeps a file that has arrived, which expires after `life`.
pub(crate) fn keep(
    call: &Call<'_>,
    wire: &dyn Wire,
    received: Received,
    purpose: String,
    life: Option<Duration>,
    answered: bool,
) -> io::Result<Arc<StoredFile>> {
    let created_ms = call.sandbox.clock.now().unix_ms;
    let id = wire.file_id(received.place.0);
    call.sandbox.append(&log::FileUploaded {
        file_uploaded: id.into(),
        at_ms: created_ms,
        family: wire.family().into(),
        key_tail: key_tail(&call.key).into(),
        name: received.name.as_str().into(),
        bytes: received.bytes,
        answered,
    })?;
    let life_ms = life.map(|life| u64::try_from(life.as_millis()).unwrap_or(u64::MAX));
    let label = Label {
        name: received.name,
        purpose,
        bytes: received.bytes,
        lines: Some(received.lines),
        created_ms,
        expires_ms: life_ms.map(|life| created_ms.saturating_add(life)),
    };
    Ok(call.sandbox.batches.files.keep(wire, received.place, label))
}

/// Deletes a file; false where there is none.
pub(crate) fn delete_file(sandbox: &Sandbox, family: &str, id: &str) -> io::Result<bool> {
    if sandbox.batches.files.get(family, id).is_none() {
        return Ok(false);
    }
    let at_ms = sandbox.clock.now().unix_ms;
    sandbox.append(&log::FileDeleted { file_deleted: id.into(), at_ms })?;
    sandbox.batches.files.delete(family, id);
    Ok(true)
}

/// The provider batches that a list shows, newest first.
pub(crate) fn list(call: &Call<'_>, family: &'static str) -> io::Result<Vec<Arc<ProviderBatch>>> {
    let now = call.sandbox.clock.now();
    let key_tail = key_tail(&call.key).into();
    call.sandbox.append(&log::BatchesListed { batches_listed: family.into(), at_ms: now.unix_ms, key_tail })?;
    Ok(call.sandbox.batches.list(family, &call.config, now))
}

/// Counts a poll; false where it comes too soon after the last one.
pub(crate) fn poll(batch: &ProviderBatch, config: &Config, now: Moment) -> bool {
    let least = Duration::from_millis(config.batch.min_poll_ms);
    batch.polled(now.instant).is_none_or(|since| since >= least)
}

/// Asks to cancel a provider batch; without effect where it has ended or is about to.
pub(crate) fn cancel(sandbox: &Sandbox, batch: &ProviderBatch) -> io::Result<()> {
    let at_ms = sandbox.clock.now().unix_ms;
    sandbox.append(&log::BatchCancelAsked { batch_cancel_asked: batch.id.as_str().into(), at_ms })?;
    batch.ask_to_cancel(at_ms);
    Ok(())
}
