//! Submit: upload, reserve, write the intent down, create once; and search where the reply was lost.

use std::time::Duration;

use db::provider_batches::Need;
use db::remote_objects::Kind;
use domain::allowance::{Allowance, Grant};
use domain::failure::Class;
use domain::job::State;
use domain::provider::LimitGroup;
use domain::provider_batch::{Stage, ValidationError};
use providers::{CallError, Found, Input, NewBatch, Transport, Wanted};

use super::encode::{Encoded, Misfit, encode};
use super::{Halt, Next, Step, duplicates, validation};
use crate::StepError;

/// How long a dispatch that waits for its share sleeps where nobody wakes it.
const PATIENCE: Duration = Duration::from_secs(5);
/// Refusals in a row after which a provider batch is made smaller.
const REFUSALS: u32 = 3;
/// Formed: encodes, keeps what fits, and uploads or creates.
pub(super) async fn prepare(step: &Step<'_>) -> Result<Next, Halt> {
    // What travels inside the call is encoded when its turn has come, not each time that it asks.
    if step.driver.habits().transport != Transport::File && ask(step, step.batch.tokens).await? == Grant::Later {
        return Ok(Next::Later(patience()));
    }
    let encoded = encode(step).await?;
    put_aside(step, &encoded.misfits).await?;
    if encoded.requests == 0 {
        return step.dissolve().await;
    }
    keep(step, &encoded).await?;
    let is_inline = match step.driver.habits().transport {
        Transport::File => false,
        Transport::Inline => true,
        Transport::InlineUpTo(bytes) => encoded.bytes <= bytes,
    };
    if is_inline { create(step, Some(&encoded)).await } else { upload(step, &encoded).await }
}

/// What did not fit is open again, and what it counts is what was encoded.
async fn keep(step: &Step<'_>, encoded: &Encoded) -> Result<(), Halt> {
    let mut tx = step.context.db.tenant(step.lease.tenant_id).await?;
    if encoded.requests == step.batch.requests {
        db::provider_batches::note_tokens(&mut tx, step.lease, encoded.tokens).await?;
        return Ok(tx.commit().await?);
    }
    db::provider_batches::keep_rows(&mut tx, step.lease, &encoded.rows, encoded.tokens).await?;
    Ok(tx.commit().await?)
}

/// Rows that no provider batch can hold go real time where there is a real-time API, and else fail.
async fn put_aside(step: &Step<'_>, misfits: &[Misfit]) -> Result<(), Halt> {
    for misfit in misfits {
        let mut tx = step.context.db.tenant(step.lease.tenant_id).await?;
        if step.place.has_realtime() {
            db::provider_batches::bar_row(&mut tx, step.lease, misfit.chunk_no, misfit.offset).await?;
        } else {
            let row = misfit.first_row + misfit.offset as u64;
            validation::fail_rows(&mut tx, step, misfit.chunk_no, &[row], &misfit.error).await?;
        }
        tx.commit().await?;
    }
    Ok(())
}

/// The upload is written down before it is made, under a name by which it is found and removed should its reply be lost.
async fn upload(step: &Step<'_>, encoded: &Encoded) -> Result<Next, Halt> {
    let name = format!("{}-{}.jsonl", step.lease.dispatch_id, step.lease.epoch);
    let mut tx = step.context.db.scheduler().await?;
    let object_id = db::remote_objects::note(&mut tx, step.lease, Kind::Upload, &name, None).await?;
    tx.commit().await?;
    let file = match step.driver.upload(&encoded.file(&name)).await {
        Ok(file) => file,
        Err(error) => return not_taken(step, error).await,
    };
    let stage = step.batch.stage.clone().uploaded(file.clone())?;
    let mut tx = step.context.db.scheduler().await?;
    db::remote_objects::name(&mut tx, object_id, &file).await?;
    db::provider_batches::enter(&mut tx, step.lease, &stage).await?;
    tx.commit().await?;
    Ok(Next::Again)
}

/// Reserves a share of the allowance together with the intent, then creates. `encoded`: the requests travel inside the call.
pub(super) async fn create(step: &Step<'_>, encoded: Option<&Encoded>) -> Result<Next, Halt> {
    if let Stage::Uploaded { file } = &step.batch.stage {
        if ask(step, step.batch.tokens).await? == Grant::Later {
            return Ok(Next::Later(patience()));
        }
        match step.driver.is_ready(file).await {
            Ok(true) => {}
            Ok(false) => return Ok(Next::Later(Duration::from_secs(1))),
            Err(error) => return not_taken(step, error).await,
        }
    }
    let (requests, tokens) =
        encoded.map_or((step.batch.requests, step.batch.tokens), |encoded| (encoded.requests, encoded.tokens));
    let intent = step.batch.stage.clone().creating(step.now().await?)?;
    let mut tx = step.context.db.scheduler().await?;
    let grant = db::provider_batches::reserve(&mut tx, step.lease, need(step, tokens), &intent).await?;
    tx.commit().await?;
    match grant {
        Grant::Now => send(step, intent, encoded).await,
        Grant::Later => Ok(Next::Later(patience())),
        // The allowance has shrunk below it. What is formed next is smaller, but for a single row.
        Grant::Never if requests > 1 => step.dissolve().await,
        Grant::Never => {
            validation::give_up_on_single(step, "it needs more of the provider's queue than there is").await
        }
    }
}

/// A file that the provider doesn't take for good is as good as a refused provider batch; one that has expired there is made anew.
async fn not_taken(step: &Step<'_>, error: CallError) -> Result<Next, Halt> {
    if error.missing {
        return step.dissolve().await;
    }
    match error.failure.class {
        Class::Permanent | Class::Refusal | Class::Invalid if !error.ambiguous => {
            validation::failed(step, &[reason(error)]).await
        }
        Class::Permanent | Class::Refusal | Class::Invalid | Class::Wait | Class::KeyLevel | Class::Transient => {
            Err(error.into())
        }
    }
}

fn reason(error: CallError) -> ValidationError {
    ValidationError { code: error.failure.error.code, message: error.failure.error.message, line: None }
}

fn patience() -> Duration {
    PATIENCE.mul_f64(0.5 + fastrand::f64() / 2.0)
}

fn need<'a>(step: &'a Step<'_>, tokens: u64) -> Need<'a> {
    let limits = &step.limits;
    Need {
        limit_group: &step.batch.limit_group,
        tokens,
        allowance: Allowance { tokens: limits.max_enqueued_tokens, batches: limits.max_batches },
        probe: step.context.options.probe,
        spacing: limits.creates_per_hour.map_or(Duration::ZERO, |creates| Duration::from_hours(1) / creates.max(1)),
        alone: !step.driver.habits().is_tagged,
    }
}

/// Whether so many tokens would be granted at this moment.
async fn ask(step: &Step<'_>, tokens: u64) -> Result<Grant, Halt> {
    let mut tx = step.context.db.scheduler().await?;
    let grant = db::provider_batches::ask(&mut tx, step.lease, need(step, tokens)).await?;
    tx.commit().await?;
    Ok(grant)
}

/// The one create of an intent.
async fn send(step: &Step<'_>, intent: Stage, encoded: Option<&Encoded>) -> Result<Next, Halt> {
    let tag = step.batch.origin.to_string();
    let name = format!("{tag}.jsonl");
    let input = match (&intent, encoded) {
        (_, Some(encoded)) => Input::Inline(encoded.file(&name)),
        (Stage::Creating { file: Some(file), .. }, None) => Input::File(file),
        // An inline one whose file is not at hand: it is encoded anew.
        (_, None) => return Err(StepError::Retry { what: "nothing to create from".to_owned(), source: None }.into()),
    };
    let window_s = u32::try_from(step.limits.window().as_secs()).unwrap_or(u32::MAX);
    if !step.held.are_valid() {
        // Somebody else may have the lease by now, and search for what was never sent.
        return Err(StepError::Lost.into());
    }
    match step.driver.create(&NewBatch { input, tag: &tag, window_s }).await {
        Ok(id) => adopt(step, intent, id, false).await,
        Err(error) if error.ambiguous => {
            step.context.metrics.lost_creates.inc();
            step.enter(&intent.reply_lost(step.now().await?)?).await?;
            tracing::warn!(dispatch.id = %step.lease.dispatch_id, %error, "whether a provider batch was created is not known");
            Ok(Next::Later(Duration::from_secs(1)))
        }
        Err(error) => refused(step, intent, error).await,
    }
}

/// The provider has it.
async fn adopt(step: &Step<'_>, intent: Stage, id: String, unconfirmed: bool) -> Result<Next, Halt> {
    let stage = intent.submitted(id.clone(), step.batch.now, unconfirmed)?;
    let mut tx = step.context.db.scheduler().await?;
    db::limit_groups::resume(&mut tx, &step.batch.limit_group).await?;
    db::provider_batches::enter(&mut tx, step.lease, &stage).await?;
    db::remote_objects::note(&mut tx, step.lease, Kind::ProviderBatch, &id, Some(&id)).await?;
    tx.commit().await?;
    let mut tx = step.context.db.scheduler().await?;
    db::dispatches::wake(&mut tx, step.lease.job_id).await?;
    tx.commit().await?;
    tracing::info!(job.id = %step.lease.job_id, dispatch.id = %step.lease.dispatch_id, remote_id = id, "provider batch submitted");
    Ok(Next::Later(Duration::ZERO))
}

/// Nothing came of the create, for certain.
async fn refused(step: &Step<'_>, intent: Stage, error: CallError) -> Result<Next, Halt> {
    let lost = intent.lost() > 0;
    let stage = intent.refused()?;
    let is_queue = error.failure.error.code == "token_limit_exceeded" || refusals(step).await? >= REFUSALS;
    let mut tx = step.context.db.scheduler().await?;
    if error.failure.class == Class::Wait {
        let rest = error.failure.retry_after.unwrap_or(step.context.options.backoff.cap / 4);
        let tokens = is_queue.then_some(step.batch.tokens);
        db::provider_batches::note_refusal(&mut tx, &step.batch.limit_group, tokens, rest).await?;
        step.context.metrics.refusals.inc();
    }
    db::provider_batches::enter(&mut tx, step.lease, &stage).await?;
    tx.commit().await?;
    match error.failure.class {
        // An earlier create of it may have worked: it is looked for, and its rows go on without it.
        Class::Wait | Class::Permanent | Class::Refusal | Class::Invalid if lost => {
            duplicates::stop_owning(step, stage).await
        }
        Class::Wait if is_queue => step.dissolve().await,
        Class::Permanent | Class::Refusal | Class::Invalid => validation::failed(step, &[reason(error)]).await,
        Class::Wait | Class::KeyLevel | Class::Transient => Err(error.into()),
    }
}

/// Refusals of the group since a provider batch of it was done.
async fn refusals(step: &Step<'_>) -> Result<u32, Halt> {
    let group = LimitGroup(step.batch.limit_group.clone());
    let mut tx = step.context.db.scheduler().await?;
    let learned = db::limit_groups::learned(&mut tx, &group).await?;
    tx.commit().await?;
    Ok(learned.refusals)
}

/// Found in the stage Creating: a create may have been accepted.
pub(super) async fn search(step: &Step<'_>) -> Result<Next, Halt> {
    let Stage::Creating { file, since, lost_at, lost, known } = &step.batch.stage else { return Ok(Next::Again) };
    let Some(lost_at) = lost_at else {
        // Whoever sent it died over it, at this moment at the latest.
        step.enter(&step.batch.stage.clone().reply_lost(step.batch.now)?).await?;
        return Ok(Next::Again);
    };
    let tag = step.batch.origin.to_string();
    let wanted = Wanted { tag: &tag, file: file.as_deref(), since: *since, requests: step.batch.requests };
    let found = step.driver.find(&wanted).await?;
    let mut candidates: Vec<Found> = Vec::new();
    for found in found.into_iter().filter(|found| !known.contains(&found.id)) {
        if found.certain || !is_known(step, &found.id).await? {
            candidates.push(found);
        }
    }
    if let Some(first) = candidates.iter().find(|found| found.certain).or(candidates.last()) {
        let next = adopt(step, step.batch.stage.clone(), first.id.clone(), !first.certain).await?;
        tracing::info!(dispatch.id = %step.lease.dispatch_id, remote_id = first.id, "a lost create was found");
        return Ok(next);
    }
    let settle = step.limits.create_settle();
    let elapsed = step.since(*lost_at);
    if elapsed < settle {
        let wait = (elapsed / 2).clamp(Duration::from_millis(500), Duration::from_secs(30));
        return Ok(Next::Later(wait.min(settle.saturating_sub(elapsed) + Duration::from_millis(100))));
    }
    if !step.batch.owns_rows
        || step.is_unwanted()
        || step.batch.suspended
        || !matches!(step.batch.job_state, State::Running)
    {
        return duplicates::stop_owning(step, step.batch.stage.clone()).await;
    }
    tracing::warn!(dispatch.id = %step.lease.dispatch_id, lost, "a lost create was not found: it is sent again");
    again(step).await
}

/// Whether another dispatch has this object.
async fn is_known(step: &Step<'_>, remote_id: &str) -> Result<bool, Halt> {
    let mut tx = step.context.db.scheduler().await?;
    let known = db::provider_batches::is_known(&mut tx, step.lease, remote_id).await?;
    tx.commit().await?;
    Ok(known)
}

/// Creates again after a search that found nothing. What it reserved before it holds still.
async fn again(step: &Step<'_>) -> Result<Next, Halt> {
    let encoded = match &step.batch.stage {
        Stage::Creating { file: None, .. } => Some(encode(step).await?),
        Stage::Creating { .. }
        | Stage::Formed
        | Stage::Uploaded { .. }
        | Stage::Submitted(_)
        | Stage::Ended { .. }
        | Stage::Watching { .. } => None,
    };
    let intent = step.batch.stage.clone().creating(step.now().await?)?;
    let tokens = encoded.as_ref().map_or(step.batch.tokens, |encoded| encoded.tokens);
    let mut tx = step.context.db.scheduler().await?;
    let grant = db::provider_batches::reserve_again(&mut tx, step.lease, need(step, tokens), &intent).await?;
    if grant != Grant::Now {
        // Uncommitted: what it holds for the lost one stays reserved.
        return Ok(Next::Later(patience()));
    }
    tx.commit().await?;
    send(step, intent, encoded.as_ref()).await
}
