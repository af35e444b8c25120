//! How many provider batches a job becomes: by rows, by bytes, by the queue at the provider.

use serde_json::json;

use super::support::{asked_rows, eager_with, patch_batches, run, start, submission, totals};
use crate::jobs::support::output;

/// 120,000 rows meet OpenAI's own limits: 50,000 requests and 200 MB. Fewer rows meet limits that are smaller by as much.
const FULL_ROWS: usize = 120_000;

/// A limit of OpenAI for so many rows.
fn scaled(limit: usize, rows: usize) -> usize {
    limit * rows / FULL_ROWS
}

#[tokio::test(flavor = "multi_thread")]
async fn f9_more_rows_than_a_provider_batch_takes_become_several_and_one_output_in_order() -> anyhow::Result<()> {
    let rows = asked_rows().unwrap_or(4_800);
    let max_requests = scaled(50_000, rows);
    let rig = start(eager_with(json!({"max_requests": max_requests}))).await?;
    patch_batches(&rig, json!({"max_requests": max_requests})).await?;
    let job = run(&rig, &submission(&rig, "rows", rows, |row| format!("row {row}"))?).await?;
    assert_eq!(job.counts.succeeded, rows as u64, "{}", rig.logs());
    let totals = totals(&rig)?;
    assert_eq!((totals.batches.created, totals.batches.billed_again), (3, 0), "{totals:?}");
    let table = output(&rig, "rows.out.csv")?;
    assert!((0..rows).all(|row| table.text(row, "id") == row.to_string()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn f9_more_bytes_than_a_file_may_have_become_several() -> anyhow::Result<()> {
    let rows = asked_rows().unwrap_or(1_200);
    let max_bytes = scaled(200_000_000, rows);
    let rig = start(eager_with(json!({"max_bytes": max_bytes}))).await?;
    patch_batches(&rig, json!({"max_bytes": max_bytes})).await?;
    // Quotes and line ends: encoded, these are nearly twice as long, some 4,200 bytes.
    let text = |row: usize| format!("{row} {}", "\"\n".repeat(1_000));
    let job = run(&rig, &submission(&rig, "bytes", rows, text)?).await?;
    assert_eq!(job.counts.succeeded, rows as u64, "{}", rig.logs());
    let totals = totals(&rig)?;
    assert!(totals.batches.created >= 3, "{totals:?}");
    assert_eq!((totals.batches.ended.get("failed"), totals.batches.billed_again), (None, 0), "{totals:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_at_the_provider_is_never_overrun() -> anyhow::Result<()> {
    let rig = start(eager_with(json!({"max_enqueued_tokens": 4_000}))).await?;
    patch_batches(&rig, json!({"max_enqueued_tokens": 4_000, "complete_ms": 300})).await?;
    // Nine or ten tokens each.
    let text = |row: usize| format!("{row} {}", "word ".repeat(6));
    let job = run(&rig, &submission(&rig, "queue", 2_000, text)?).await?;
    assert_eq!(job.counts.succeeded, 2_000, "{}", rig.logs());
    let totals = totals(&rig)?;
    assert!(totals.batches.created >= 5, "{totals:?}");
    assert_eq!(totals.batches.ended.get("failed"), None, "nothing was refused: {totals:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_smaller_queue_than_the_record_says_is_learned() -> anyhow::Result<()> {
    let rig = start(eager_with(json!({"max_enqueued_tokens": 100_000}))).await?;
    patch_batches(&rig, json!({"max_enqueued_tokens": 3_000})).await?;
    let text = |row: usize| format!("{row} {}", "word ".repeat(6));
    let job = run(&rig, &submission(&rig, "learned", 1_000, text)?).await?;
    assert_eq!((job.counts.succeeded, job.counts.failed), (1_000, 0), "{}", rig.logs());
    assert!(totals(&rig)?.batches.ended.contains_key("failed"), "it was refused first");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_no_provider_batch_takes_goes_real_time() -> anyhow::Result<()> {
    let rig = start(eager_with(json!({"max_line_bytes": 2_000}))).await?;
    let text = |row: usize| if row == 7 { "long ".repeat(1_000) } else { format!("row {row}") };
    let job = run(&rig, &submission(&rig, "long", 100, text)?).await?;
    assert_eq!(job.counts.succeeded, 100, "{}", rig.logs());
    let totals = totals(&rig)?;
    assert_eq!((totals.batches.billed, totals.billed), (99, 100));
    Ok(())
}
