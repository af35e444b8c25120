//! The creation of a provider batch.

use std::sync::Arc;
use std::time::Duration;

use super::files::StoredFile;
use super::life::Life;
use super::queue::Full;
use super::record::{Facts, ProviderBatch};
use super::wire::Wire;
use crate::config::Config;
use crate::family::key_tail;
use crate::fault::split_mix;
use crate::log;
use crate::state::Sandbox;

/// What a family asks for.
pub(crate) struct New {
    pub wire: &'static dyn Wire,
    pub key: String,
    pub input: Arc<StoredFile>,
    pub endpoint: String,
    /// Where the creation names one for all requests.
    pub model: Option<String>,
    /// What only the family reads.
    pub details: serde_json::Value,
    /// From the creation to the expiry; the configuration may say otherwise. None: it never expires.
    pub window: Option<Duration>,
    /// What tells it from others in the oracle log.
    pub tag: String,
    /// Whether the client gets the answer to its call.
    pub answered: bool,
}

/// Why there is no provider batch.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Refusal {
    Full(Full),
    /// The oracle log takes no more.
    Log,
}

/// Creates a provider batch, whose life begins at once.
pub(crate) fn create(sandbox: &Arc<Sandbox>, config: &Config, new: New) -> Result<Arc<ProviderBatch>, Refusal> {
    let batches = &sandbox.batches;
    let rules = new.wire.rules();
    let created = sandbox.clock.now();
    let account = (new.wire.family(), new.key.as_str());
    let per_hour = config.batch.creates_per_hour.or(rules.creates_per_hour);
    let open = config.batch.max_batches.or(rules.max_batches);
    batches.queue.enter(account, per_hour, open, created.instant).map_err(Refusal::Full)?;
    let token = batches.ids.next();
    let batch = Arc::new(ProviderBatch::new(Facts {
        id: new.wire.batch_id(token),
        number: token.number,
        wire: new.wire,
        key: new.key,
        input: new.input,
        endpoint: new.endpoint,
        model: new.model,
        details: new.details,
        created,
        window: new.window.map(|window| config.batch.window_ms.map_or(window, Duration::from_millis)),
        complete: complete(config, token.number),
        outcome: batches.outcomes.outcome(&config.batch.outcomes),
    }));
    let logged = sandbox.append(&log::BatchCreated {
        batch_created: batch.id.as_str().into(),
        at_ms: created.unix_ms,
        family: batch.wire.family().into(),
        key_tail: key_tail(&batch.key).into(),
        requests: batch.input.lines.unwrap_or(0),
        bytes: batch.input.bytes,
        tag: new.tag.into(),
        answered: new.answered,
    });
    if let Err(error) = logged {
        tracing::error!(%error, "sandbox cannot write its oracle log");
        batches.queue.leave((batch.wire.family(), &batch.key));
        return Err(Refusal::Log);
    }
    batches.records().insert(batch.id.clone(), Arc::clone(&batch));
    batches.spawn(Life { sandbox: Arc::clone(sandbox), batch: Arc::clone(&batch) }.live(None));
    Ok(batch)
}

fn complete(config: &Config, number: u64) -> Duration {
    let jitter = match config.batch.complete_jitter_ms {
        0 => 0,
        most => split_mix(config.seed ^ number) % most.saturating_add(1),
    };
    Duration::from_millis(config.batch.complete_ms.saturating_add(jitter))
}
