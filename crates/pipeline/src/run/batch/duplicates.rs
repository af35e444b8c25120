//! What a lost create may have made beside what was found or made again: it is looked for, stopped, and its paid results are kept.

use std::time::Duration;

use chrono::{DateTime, Utc};
use db::dispatches::DispatchLease;
use domain::provider_batch::{Remote, Stage};
use providers::Wanted;

use super::{Halt, Next, Step};
use crate::Context;

/// Looks for objects of the dispatch's creates other than `own` and those `known`, and gives each a dispatch of its own that owns no rows.
pub(super) async fn look(
    step: &Step<'_>,
    known: &[String],
    own: Option<&str>,
    since: DateTime<Utc>,
) -> Result<(), Halt> {
    let tag = step.batch.origin.to_string();
    // The first create was sent after the dispatch was formed, whatever has been lost since.
    let since = since.min(step.batch.created_at);
    let wanted = Wanted { tag: &tag, file: None, since, requests: step.batch.requests };
    let mut stage = step.batch.stage.clone();
    for found in step.driver.find(&wanted).await? {
        if known.contains(&found.id) || own == Some(found.id.as_str()) {
            continue;
        }
        let mut tx = step.context.db.scheduler().await?;
        // What another create may have made just now is not taken from it.
        if db::provider_batches::is_known(&mut tx, step.lease, &found.id).await?
            || !found.certain && db::provider_batches::others_create(&mut tx, step.lease).await?
        {
            continue;
        }
        stage = stage.knowing(found.id.clone());
        let duplicate = Stage::Submitted(Remote {
            id: found.id.clone(),
            file: None,
            since: step.batch.now,
            unconfirmed: !found.certain,
            lost: 0,
            known: Vec::new(),
            cancel_asked: None,
        });
        db::provider_batches::spawn_duplicate(&mut tx, step.lease, &duplicate, &stage).await?;
        tx.commit().await?;
        step.context.metrics.duplicates.inc();
        tracing::warn!(dispatch.id = %step.lease.dispatch_id, remote_id = found.id, "a duplicate provider batch was found");
    }
    Ok(())
}

/// Watching: all is collected, and a create was never accounted for.
pub(super) async fn watch(step: &Step<'_>, until: DateTime<Utc>, known: &[String]) -> Result<Next, Halt> {
    if step.batch.now > until {
        step.settle().await?;
        return Ok(Next::Gone);
    }
    look(step, known, None, step.batch.created_at).await?;
    Ok(Next::Later(step.limits.create_settle().clamp(Duration::from_secs(1), Duration::from_mins(10))))
}

/// Opens the rows that have no outcome; what the provider batch still brings comes late.
pub(super) async fn release_rows(context: &Context, lease: &DispatchLease) -> Result<(), Halt> {
    let mut tx = context.db.tenant(lease.tenant_id).await?;
    db::provider_batches::settle_rows(&mut tx, lease).await?;
    Ok(tx.commit().await?)
}

/// How long after its create something may still turn up in a provider's list.
const WATCH: Duration = Duration::from_hours(24);

/// Its rows are settled, but the dispatch stays for a day, to look for what a lost create may have made.
pub(super) async fn stop_owning(step: &Step<'_>, stage: Stage) -> Result<Next, Halt> {
    release_rows(step.context, step.lease).await?;
    let stage = stage.watching(step.after(WATCH))?;
    let mut tx = step.context.db.scheduler().await?;
    db::provider_batches::enter(&mut tx, step.lease, &stage).await?;
    db::remote_objects::release(&mut tx, step.lease.dispatch_id).await?;
    tx.commit().await?;
    Ok(Next::Later(Duration::from_secs(1)))
}
