//! Cancel, pause, resume and deadlines while a provider batch runs.

use chrono::TimeDelta;
use serde_json::json;

use super::support::{LONG, eager, eager_with, patch_batches, start, submission, totals};
use crate::jobs::support::{assert_clean, assert_conserved, now, output, submit};

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_keeps_what_its_provider_batch_had_done() -> anyhow::Result<()> {
    let rig = start(eager()).await?;
    patch_batches(&rig, json!({"complete_ms": 20_000, "cancel_ms": 300})).await?;
    let job_id = submit(&rig, &submission(&rig, "cancel", 1_000, |row| format!("cancel {row}"))?).await?;
    rig.wait_for(&job_id, LONG, |job| job.counts.running == 1_000).await?;
    while totals(&rig)?.batches.created == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    rig.client.cancel(&job_id).await?;
    let job = rig.wait(&job_id, LONG).await?;
    assert_eq!(job.status.name(), "cancelled");
    let table = output(&rig, "cancel.out.csv")?;
    assert_conserved(&job, &table);
    let totals = totals(&rig)?;
    assert_eq!(
        (totals.batches.cancel_asked, totals.billed),
        (1, job.counts.succeeded),
        "what was paid for is kept: {totals:?}"
    );
    assert!(job.counts.succeeded > 0 && job.counts.cancelled > 0);
    assert_clean(&rig, &job_id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_job_keeps_its_provider_batch_and_begins_no_other() -> anyhow::Result<()> {
    let rig = start(eager_with(json!({"max_requests": 500}))).await?;
    patch_batches(&rig, json!({"complete_ms": 4_000, "outcomes": [{"outcome": "expire"}]})).await?;
    let job_id = submit(&rig, &submission(&rig, "pause", 500, |row| format!("pause {row}"))?).await?;
    while totals(&rig)?.batches.created == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    rig.client.pause(&job_id).await?;
    let job = rig.wait_for(&job_id, LONG, |job| job.counts.succeeded > 0 && job.counts.running == 0).await?;
    assert_eq!(
        (job.status.name(), totals(&rig)?.batches.created),
        ("paused", 1),
        "its results were collected meanwhile"
    );
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(totals(&rig)?.batches.created, 1, "and nothing new was begun");
    patch_batches(&rig, json!({"outcomes": []})).await?;
    rig.client.resume(&job_id).await?;
    let job = rig.wait(&job_id, LONG).await?;
    assert_eq!((job.status.name(), job.counts.succeeded), ("completed", 500));
    assert_eq!(totals(&rig)?.batches.billed_again, 0);
    assert_clean(&rig, &job_id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_cancels_the_provider_batch_and_what_would_not_make_it_goes_real_time() -> anyhow::Result<()> {
    let rig = start(eager_with(json!({"window_s": 3}))).await?;
    patch_batches(&rig, json!({"complete_ms": 60_000, "cancel_ms": 100})).await?;
    let mut submission = submission(&rig, "deadline", 400, |row| format!("deadline {row}"))?;
    // By the window it would be in time, and isn't.
    submission.deadline = Some(now() + TimeDelta::seconds(6));
    let job_id = submit(&rig, &submission).await?;
    let job = rig.wait(&job_id, LONG).await?;
    assert_conserved(&job, &output(&rig, "deadline.out.csv")?);
    assert!(matches!(job.status.name(), "expired" | "completed"), "{job:?}");
    assert_clean(&rig, &job_id)?;
    // Less time than the provider promises.
    submission.deadline = Some(now() + TimeDelta::seconds(2));
    submission.output.uri = Some(rig.uri("short.out.csv"));
    let created = totals(&rig)?.batches.created;
    let job_id = submit(&rig, &submission).await?;
    let job = rig.wait(&job_id, LONG).await?;
    assert_eq!((job.status.name(), job.counts.succeeded), ("completed", 400));
    assert_eq!(totals(&rig)?.batches.created, created, "it went real time");
    Ok(())
}
