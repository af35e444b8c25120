//! The creation of a provider batch.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::files::StoredFile;
use super::life::Life;
use super::outcome::Outcome;
use super::queue::{Full, Reserved};
use super::record::{Facts, ProviderBatch};
use super::validate::Index;
use super::view::Problem;
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
#[derive(Debug)]
pub(crate) enum Refusal {
    Full(Full),
    /// The input is invalid, in a family that says so at once.
    Invalid(Vec<Problem>),
    /// The queue has no room for the tokens, in a family that says so at once.
    TokenLimit,
    /// The input cannot be read, or the oracle log takes no more.
    Io(io::Error),
}

/// Creates a provider batch, whose life begins at once with its validation.
pub(crate) fn create(sandbox: &Arc<Sandbox>, config: &Config, new: New) -> Result<Arc<ProviderBatch>, Refusal> {
    let (batch, note) = record(sandbox, config, new);
    note.or_take_back(sandbox, begin(sandbox, config, batch, &note, None))
}

/// Validates first, and creates a provider batch only of a valid input for which the queue has room.
pub(crate) async fn create_valid(
    sandbox: &Arc<Sandbox>,
    config: &Config,
    new: New,
) -> Result<Arc<ProviderBatch>, Refusal> {
    let (batch, note) = record(sandbox, config, new);
    let created = async {
        let index = check(sandbox, &batch).await?.map_err(Refusal::Invalid)?;
        let checked = reserve(sandbox, &batch, index)?;
        begin(sandbox, config, Arc::clone(&batch), &note, Some(checked))
    };
    note.or_take_back(sandbox, created.await)
}

/// Creates a provider batch only where the queue has room for it. An invalid input fails it later.
pub(crate) async fn create_queued(
    sandbox: &Arc<Sandbox>,
    config: &Config,
    new: New,
) -> Result<Arc<ProviderBatch>, Refusal> {
    let (batch, note) = record(sandbox, config, new);
    let created = async {
        let checked = match check(sandbox, &batch).await? {
            Ok(index) => Some(reserve(sandbox, &batch, index)?),
            Err(_) => None,
        };
        begin(sandbox, config, Arc::clone(&batch), &note, checked)
    };
    note.or_take_back(sandbox, created.await)
}

async fn check(sandbox: &Arc<Sandbox>, batch: &Arc<ProviderBatch>) -> Result<Result<Index, Vec<Problem>>, Refusal> {
    let life = Life { sandbox: Arc::clone(sandbox), batch: Arc::clone(batch) };
    life.check().await.map_err(Refusal::Io)
}

fn reserve(sandbox: &Arc<Sandbox>, batch: &ProviderBatch, index: Index) -> Result<(Index, Reserved), Refusal> {
    let reserved = Reserved::new(sandbox, batch, &index).filter(|_| !batch.has_outcome(Outcome::FailTokenLimit));
    Ok((index, reserved.ok_or(Refusal::TokenLimit)?))
}

/// What is only of interest at the creation.
struct Note {
    tag: String,
    answered: bool,
    /// Its outcome, and the place of that in the configuration.
    outcome: Option<(usize, Outcome)>,
}

impl Note {
    /// A refused provider batch leaves its outcome to the next one, unless that is why it was refused.
    fn or_take_back<T>(&self, sandbox: &Sandbox, created: Result<T, Refusal>) -> Result<T, Refusal> {
        if let (Err(refusal), Some((index, outcome))) = (&created, self.outcome) {
            let met = match refusal {
                Refusal::Invalid(_) => outcome == Outcome::FailValidation,
                Refusal::TokenLimit => outcome == Outcome::FailTokenLimit,
                Refusal::Full(_) | Refusal::Io(_) => false,
            };
            if !met {
                sandbox.batches.outcomes.take_back(index);
            }
        }
        created
    }
}

fn record(sandbox: &Sandbox, config: &Config, new: New) -> (Arc<ProviderBatch>, Note) {
    let token = sandbox.batches.ids.next();
    let outcome = sandbox.batches.outcomes.outcome(&config.batch.outcomes);
    let batch = ProviderBatch::new(Facts {
        id: new.wire.batch_id(token),
        number: token.number,
        wire: new.wire,
        key: new.key,
        input: new.input,
        endpoint: new.endpoint,
        model: new.model,
        details: new.details,
        created: sandbox.clock.now(),
        window: new.window.map(|window| config.batch.window_ms.map_or(window, Duration::from_millis)),
        complete: complete(config, token.number),
        outcome: outcome.map(|(_, outcome, fraction)| (outcome, fraction)),
    });
    let outcome = outcome.map(|(index, outcome, _)| (index, outcome));
    (Arc::new(batch), Note { tag: new.tag, answered: new.answered, outcome })
}

fn begin(
    sandbox: &Arc<Sandbox>,
    config: &Config,
    batch: Arc<ProviderBatch>,
    note: &Note,
    checked: Option<(Index, Reserved)>,
) -> Result<Arc<ProviderBatch>, Refusal> {
    let (batches, rules) = (&sandbox.batches, batch.wire.rules());
    let account = (batch.wire.family(), batch.key.as_str());
    let per_hour = config.batch.creates_per_hour.or(rules.creates_per_hour);
    let open = config.batch.max_batches.or(rules.max_batches);
    batches.queue.enter(account, per_hour, open, batch.created.instant).map_err(Refusal::Full)?;
    let logged = sandbox.append(&log::BatchCreated {
        batch_created: batch.id.as_str().into(),
        at_ms: batch.created.unix_ms,
        family: batch.wire.family().into(),
        key_tail: key_tail(&batch.key).into(),
        requests: batch.input.lines.unwrap_or(0),
        bytes: batch.input.bytes,
        tag: note.tag.as_str().into(),
        answered: note.answered,
    });
    if let Err(error) = logged {
        batches.queue.leave(account);
        return Err(Refusal::Io(error));
    }
    batches.records().insert(batch.id.clone(), Arc::clone(&batch));
    batches.spawn(Life { sandbox: Arc::clone(sandbox), batch: Arc::clone(&batch) }.live(checked));
    Ok(batch)
}

fn complete(config: &Config, number: u64) -> Duration {
    let jitter = match config.batch.complete_jitter_ms {
        0 => 0,
        most => split_mix(config.seed ^ number) % most.saturating_add(1),
    };
    Duration::from_millis(config.batch.complete_ms.saturating_add(jitter))
}
