//! A provider that gains or loses its batch API: an operator edits a record, and callers notice nothing.

use serde_json::json;
use tests::RigOptions;

use super::support::{LONG, asked_rows, eager, offer, run, start_with, submission, totals};
use crate::jobs::support::{assert_clean, output, submit};

/// Rows of the job.
fn rows() -> usize {
    asked_rows().unwrap_or(20_000)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_gains_a_batch_api_counts_for_a_running_job() -> anyhow::Result<()> {
    let options = RigOptions { workers: 2, sandbox_latency_ms: 100, ..RigOptions::default() };
    let rig = start_with(options, json!(null)).await?;
    let job_id = submit(&rig, &submission(&rig, "gains", rows(), |row| format!("row {row}"))?).await?;
    rig.wait_for(&job_id, LONG, |job| job.counts.succeeded > 500).await?;
    offer(&rig, "openai", "/v1", eager()).await?;
    let job = rig.wait(&job_id, LONG).await?;
    assert_eq!(job.counts.succeeded, rows() as u64, "{}", rig.logs());
    assert_clean(&rig, &job_id)?;
    let gained = totals(&rig)?;
    assert!(gained.batches.billed > 0 && gained.billed > gained.batches.billed, "both routes had a part: {gained:?}");
    assert_eq!((gained.billed, gained.batches.billed_again), (rows() as u64, 0));
    // The same job on one route alone.
    offer(&rig, "openai", "/v1", eager()).await?;
    let alone = run(&rig, &submission(&rig, "batch", rows(), |row| format!("row {row}"))?).await?;
    assert_eq!(alone.counts.succeeded, rows() as u64);
    let (left, right) = (output(&rig, "gains.out.csv")?, output(&rig, "batch.out.csv")?);
    for row in 0..rows() {
        for column in ["id", "llm_response", "llm_status", "llm_model", "llm_finish_reason", "llm_input_tokens"] {
            assert_eq!(left.text(row, column), right.text(row, column), "row {row}, {column}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_batch_finishes_where_it_began_when_its_record_changes() -> anyhow::Result<()> {
    let rig = start_with(RigOptions::default(), eager()).await?;
    super::support::patch_batches(&rig, json!({"complete_ms": 3_000})).await?;
    let job_id = submit(&rig, &submission(&rig, "loses", 300, |row| format!("row {row}"))?).await?;
    while totals(&rig)?.batches.created == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    offer(&rig, "openai-compatible", "/v1", json!(null)).await?;
    let job = rig.wait(&job_id, LONG).await?;
    assert_eq!(job.counts.succeeded, 300);
    assert_eq!((totals(&rig)?.batches.billed, totals(&rig)?.billed), (300, 300));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn few_rows_and_small_savings_go_real_time() -> anyhow::Result<()> {
    let rig = start_with(RigOptions::default(), json!({"min_items": 50})).await?;
    let few = run(&rig, &submission(&rig, "few", 49, |row| format!("few {row}"))?).await?;
    let cheap = run(&rig, &submission(&rig, "cheap", 60, |row| format!("cheap {row}"))?).await?;
    assert_eq!((few.counts.succeeded, cheap.counts.succeeded), (49, 60));
    assert_eq!(totals(&rig)?.batches.created, 0, "60 rows save less than half a dollar");
    offer(&rig, "openai", "/v1", json!({"min_items": 50, "min_saving_usd": "0", "poll_interval_s": 1})).await?;
    run(&rig, &submission(&rig, "many", 60, |row| format!("many {row}"))?).await?;
    assert_eq!(totals(&rig)?.batches.created, 1);
    Ok(())
}
