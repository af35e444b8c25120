//! A provider batch that was refused as a whole: the rows that cause it fail, and the others run.

use db::TenantTx;
use db::dispatches::DispatchRows;
use db::outcomes::RowOutcome;
use domain::failure::{Class, Failure};
use domain::money::Money;
use domain::outcome::{ItemError, Outcome, Status, Usage};
use domain::provider_batch::ValidationError;

use super::{Halt, Next, Step, collect};

/// Codes of OpenAI and Azure that stand for every row alike: nobody's row is at fault.
const OF_ALL: [&str; 4] =
    ["model_not_found", "input_no_permissions", "billing_hard_limit_reached", "insufficient_quota"];
/// Where there is a real-time API, it tells each of so few rows what is wrong with it.
const FEW: u64 = 50;

/// What the errors of a whole provider batch mean for its rows.
pub(super) async fn failed(step: &Step<'_>, errors: &[ValidationError]) -> Result<Next, Halt> {
    let says = |code: &str| errors.iter().find(|error| error.code == code);
    if says("token_limit_exceeded").is_some() {
        let mut tx = step.context.db.scheduler().await?;
        let rest = step.context.options.backoff.cap / 4;
        db::provider_batches::note_refusal(&mut tx, &step.batch.limit_group, Some(step.batch.tokens), rest).await?;
        tx.commit().await?;
        step.context.metrics.refusals.inc();
        return step.dissolve().await;
    }
    if let Some(error) = OF_ALL.iter().find_map(|code| says(code)) {
        let code = if error.code == "model_not_found" { "model_not_found" } else { "provider_quota_exhausted" };
        collect::pause(step, &Failure::new(Class::KeyLevel, code, error.message.clone())).await?;
        return step.dissolve().await;
    }
    let mut tx = step.context.db.tenant(step.lease.tenant_id).await?;
    let sent = db::provider_batches::request_rows(&mut tx, step.lease).await?;
    tx.commit().await?;
    let by_line = blamed(&sent, errors);
    if !by_line.is_empty() {
        return fail_blamed(step, &by_line).await;
    }
    let message = errors.first().map_or("the provider gave no reason", |error| error.message.as_str());
    let requests: usize = sent.iter().map(|chunk| chunk.rows.count()).sum();
    match requests as u64 {
        0 => step.dissolve().await,
        1 => give_up_on_single(step, message).await,
        few if few <= FEW && step.place.has_realtime() => {
            let mut tx = step.context.db.tenant(step.lease.tenant_id).await?;
            db::provider_batches::bar_rows(&mut tx, step.lease).await?;
            tx.commit().await?;
            step.dissolve().await
        }
        // What may yet turn up of it is looked for by this dispatch; its rows are formed anew.
        _ if step.batch.stage.lost() > 0 => step.dissolve().await,
        _ => {
            tracing::info!(dispatch.id = %step.lease.dispatch_id, requests, message, "a refused provider batch is halved");
            let mut tx = step.context.db.tenant(step.lease.tenant_id).await?;
            db::provider_batches::split(&mut tx, step.lease, &sent, step.batch.tokens).await?;
            tx.commit().await?;
            Ok(Next::Gone)
        }
    }
}

/// A row that errors name, by the number of its line.
struct Blamed {
    chunk_no: u32,
    offset: usize,
    error: ItemError,
}

fn blamed(sent: &[DispatchRows], errors: &[ValidationError]) -> Vec<Blamed> {
    let rows: Vec<(u32, usize)> =
        sent.iter().flat_map(|chunk| chunk.rows.iter().map(|offset| (chunk.chunk_no, offset))).collect();
    let of_line = |error: &ValidationError| {
        let line = usize::try_from(error.line?).ok()?.checked_sub(1)?;
        let (chunk_no, offset) = *rows.get(line)?;
        Some(Blamed { chunk_no, offset, error: rejected(&error.code, &error.message) })
    };
    let mut blamed: Vec<Blamed> = errors.iter().filter_map(of_line).collect();
    blamed.sort_by_key(|row| (row.chunk_no, row.offset));
    blamed.dedup_by_key(|row| (row.chunk_no, row.offset));
    blamed
}

fn rejected(code: &str, message: &str) -> ItemError {
    ItemError::new("provider_rejected", format!("{code}: {message}"))
}

async fn fail_blamed(step: &Step<'_>, blamed: &[Blamed]) -> Result<Next, Halt> {
    for row in blamed {
        let mut tx = step.context.db.tenant(step.lease.tenant_id).await?;
        if let Some(chunk) = db::chunks::get(&mut tx, step.lease.job_id, row.chunk_no).await?
            && !chunk.closed.contains(row.offset)
        {
            let number = chunk.first_row + row.offset as u64;
            fail_rows(&mut tx, step, row.chunk_no, &[number], &row.error).await?;
        }
        tx.commit().await?;
    }
    step.dissolve().await
}

/// The dispatch's only row can't go by provider batch: it goes real time where there is a real-time API, and else fails.
pub(super) async fn give_up_on_single(step: &Step<'_>, why: &str) -> Result<Next, Halt> {
    let mut tx = step.context.db.tenant(step.lease.tenant_id).await?;
    if step.place.has_realtime() {
        db::provider_batches::bar_rows(&mut tx, step.lease).await?;
    } else {
        for rows in db::dispatches::rows(&mut tx, step.lease).await? {
            let Some(chunk) = db::chunks::get(&mut tx, step.lease.job_id, rows.chunk_no).await? else { continue };
            let numbers: Vec<u64> = rows.rows.iter().map(|offset| chunk.first_row + offset as u64).collect();
            let error = ItemError::new("provider_rejected", why);
            fail_rows(&mut tx, step, rows.chunk_no, &numbers, &error).await?;
        }
    }
    tx.commit().await?;
    step.dissolve().await
}

/// Rows of a chunk fail. They have no outcome yet.
pub(super) async fn fail_rows(
    tx: &mut TenantTx,
    step: &Step<'_>,
    chunk_no: u32,
    rows: &[u64],
    error: &ItemError,
) -> Result<(), Halt> {
    let mut outcomes = Vec::with_capacity(rows.len());
    for row in rows {
        let history = db::outcomes::histories(tx, step.lease, *row, 1).await?.pop();
        let spent = history.filter(|history| history.total > 0);
        let outcome = Outcome {
            status: Status::Failed,
            response: None,
            error: Some(error.clone()),
            model: Some(step.lease.model.to_string()),
            finish_reason: None,
            usage: spent.map(|history| history.usage).unwrap_or_default(),
            cost: spent.map_or(Some(Money::ZERO), |history| history.cost),
            attempts: spent.map_or(0, |history| history.total) + 1,
        };
        outcomes.push(RowOutcome { row: *row, outcome, last_usage: Usage::default(), last_cost: Some(Money::ZERO) });
    }
    db::outcomes::commit(tx, step.lease, chunk_no, &outcomes, &[], true).await?;
    Ok(())
}
