//! Pause, resume, cancel, deadlines and suspension.

use anyhow::Context as _;
use chrono::{DateTime, Duration};
use client::api::TenantChange;
use serde_json::json;
use tests::{Rig, RigOptions};

use crate::jobs::support::{
    LONG, assert_clean, assert_conserved, assert_good_job_succeeds, code, echo, now, output, patch_sandbox, requests,
    submit,
};

/// Some 200 rows a second, so that there is something to stop.
fn slow() -> RigOptions {
    RigOptions {
        sandbox_latency_ms: 40,
        realtime: json!({"max_concurrency": 8, "timeout_s": 5}),
        ..RigOptions::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_job_sends_nothing_until_it_is_resumed() -> anyhow::Result<()> {
    let rig = Rig::start(slow()).await?;
    let input = rig.write_rows("in.csv", (0..600).map(|row| format!("row {row}")))?;
    let job_id = rig.submit(&input, "out.csv").await?;
    rig.wait_for(&job_id, LONG, |job| job.counts.succeeded > 20).await?;
    rig.client.pause(&job_id).await?;
    let paused = rig.wait_for(&job_id, LONG, |job| job.counts.running == 0).await?;
    assert_eq!((paused.status.name(), code(paused.status_reason.as_ref())), ("paused", Some("paused_by_request")));
    let sent = requests(&rig)?.len();
    assert!(sent < 600, "it was paused too late to show anything");

    // Another job's time is long enough to see that this one stands still.
    assert_good_job_succeeds(&rig, "meanwhile").await?;
    assert_eq!(requests(&rig)?.len(), sent + 3);

    rig.client.resume(&job_id).await?;
    let job = rig.wait(&job_id, LONG).await?;
    assert_eq!((job.status.name(), job.counts.succeeded), ("completed", 600));
    assert_eq!(requests(&rig)?.len(), 603);
    assert_clean(&rig, &job_id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_keeps_what_it_has_and_calls_nobody() -> anyhow::Result<()> {
    let rig = Rig::start(slow()).await?;
    let input = rig.write_rows("in.csv", (0..3_000).map(|row| format!("row {row}")))?;
    let job_id = rig.submit(&input, "out.csv").await?;
    rig.wait_for(&job_id, LONG, |job| job.counts.succeeded > 20).await?;
    let cancelled_at = now();
    rig.client.cancel(&job_id).await?;
    rig.client.cancel(&job_id).await.context("a repeated cancel")?;
    let job = rig.wait(&job_id, LONG).await?;
    rig.client.cancel(&job_id).await.context("a cancel after the end")?;
    let refused = rig.client.pause(&job_id).await.expect_err("a cancelled job can't be paused");
    assert_eq!(refused.problem().and_then(|problem| problem.code.as_deref()), Some("invalid_state"));

    let output = output(&rig, "out.csv")?;
    assert_eq!(job.status.name(), "cancelled");
    assert_conserved(&job, &output);
    assert_eq!((job.counts.failed, job.counts.expired), (0, 0));
    assert!(job.counts.succeeded > 0 && job.counts.cancelled > 0, "{:?}", job.counts);
    let last = requests(&rig)?.iter().map(|request| request.at_ms).max().context("a request")?;
    let last = DateTime::from_timestamp_millis(i64::try_from(last)?).context("a time")?;
    assert!(last - cancelled_at <= Duration::seconds(1), "cancelled at {cancelled_at}, last call at {last}");
    assert_clean(&rig, &job_id)?;
    assert_good_job_succeeds(&rig, "after").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_can_be_cancelled_before_it_runs() -> anyhow::Result<()> {
    let mut rig = Rig::start(RigOptions { workers: 0, ..RigOptions::default() }).await?;
    let input = rig.write_rows("in.csv", (0..150_000).map(|row| format!("row {row}")))?;
    let queued = rig.submit(&input, "queued.csv").await?;
    assert_eq!(rig.client.cancel(&queued).await?.status.name(), "cancelled");
    assert_eq!(rig.client.cancel(&queued).await?.status.name(), "cancelled");
    let paused = rig.submit(&input, "paused.csv").await?;
    rig.client.pause(&paused).await?;
    assert_eq!(rig.client.cancel(&paused).await?.status.name(), "cancelled");

    let planning = rig.submit(&input, "planning.csv").await?;
    rig.add_worker()?;
    rig.wait_for(&planning, LONG, |job| job.status.name() == "planning").await?;
    rig.client.cancel(&planning).await?;
    let job = rig.wait(&planning, LONG).await?;
    assert_eq!((job.status.name(), job.counts.succeeded), ("cancelled", 0));
    assert_good_job_succeeds(&rig, "after").await?;
    assert_eq!(requests(&rig)?.len(), 3);
    for name in ["queued.csv", "paused.csv", "planning.csv"] {
        assert!(!rig.objects().join(name).exists(), "{name}");
    }
    let refused = rig.client.output(&queued).await.expect_err("there is no output");
    assert_eq!(refused.problem().and_then(|problem| problem.code.as_deref()), Some("invalid_state"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_past_its_deadline_expires_with_what_it_has() -> anyhow::Result<()> {
    let rig = Rig::start(slow()).await?;
    let input = rig.write_rows("in.csv", (0..3_000).map(|row| format!("row {row}")))?;
    let mut submission = echo(&rig, &input, "out.csv");
    submission.deadline = Some(now() + Duration::seconds(2));
    let job_id = submit(&rig, &submission).await?;
    let job = rig.wait(&job_id, LONG).await?;
    let output = output(&rig, "out.csv")?;
    assert_eq!(job.status.name(), "expired");
    assert_conserved(&job, &output);
    assert_eq!((job.counts.failed, job.counts.cancelled), (0, 0));
    assert!(job.counts.succeeded > 0 && job.counts.expired > 0, "{:?}", job.counts);
    assert_clean(&rig, &job_id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_ends_a_row_that_was_told_to_wait_a_year() -> anyhow::Result<()> {
    let rig = Rig::start(RigOptions::default()).await?;
    let input = rig.write_rows("in.csv", std::iter::once("[[sandbox:rate_limit retry=huge]]".to_owned()))?;
    let mut submission = echo(&rig, &input, "out.csv");
    submission.deadline = Some(now() + Duration::seconds(2));
    let job_id = submit(&rig, &submission).await?;
    let job = rig.wait(&job_id, LONG).await?;
    assert_eq!((job.status.name(), job.counts.expired), ("expired", 1));
    assert_conserved(&job, &output(&rig, "out.csv")?);
    assert_eq!(requests(&rig)?.len(), 1);
    assert_clean(&rig, &job_id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_ends_rows_whose_limit_group_stands_still() -> anyhow::Result<()> {
    let rig = Rig::start(RigOptions { workers: 2, ..RigOptions::default() }).await?;
    patch_sandbox(&rig, &json!({"faults": [{"fault": "status code=401", "fraction": 1.0, "sticky": true}]})).await?;
    let input = rig.write_rows("in.csv", (0..300).map(|row| format!("row {row}")))?;
    let job_id = rig.submit(&input, "out.csv").await?;
    rig.wait_for(&job_id, LONG, |job| job.status_reason.is_some()).await?;
    rig.client.cancel(&job_id).await?;
    let job = rig.wait(&job_id, LONG).await?;
    assert_eq!((job.status.name(), job.counts.cancelled), ("cancelled", 300));
    assert_conserved(&job, &output(&rig, "out.csv")?);
    assert_clean(&rig, &job_id)?;
    patch_sandbox(&rig, &json!({"faults": []})).await?;
    assert_good_job_succeeds(&rig, "after").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a9_a_suspended_tenant_s_jobs_stand_still_and_stay_readable() -> anyhow::Result<()> {
    let rig = Rig::start(slow()).await?;
    let input = rig.write_rows("in.csv", (0..600).map(|row| format!("row {row}")))?;
    let job_id = rig.submit(&input, "out.csv").await?;
    rig.wait_for(&job_id, LONG, |job| job.counts.succeeded > 20).await?;
    let status = |status: &str| TenantChange { status: Some(status.to_owned()), ..TenantChange::default() };
    rig.admin.update_tenant(&rig.tenant_id, &status("suspended")).await?;
    let still = rig.wait_for(&job_id, LONG, |job| job.counts.running == 0).await?;
    assert_eq!(code(still.status_reason.as_ref()), Some("tenant_suspended"));
    assert!(still.counts.succeeded < 600, "it was suspended too late to show anything");
    rig.client.items(&job_id, Some("succeeded"), 5, None).await.context("results stay readable")?;
    let refused = submit(&rig, &echo(&rig, &input, "other.csv")).await.expect_err("a submit");
    assert!(format!("{refused:#}").contains("tenant"), "{refused:#}");

    rig.admin.update_tenant(&rig.tenant_id, &status("active")).await?;
    let job = rig.wait(&job_id, LONG).await?;
    assert_eq!((job.status.name(), job.counts.succeeded), ("completed", 600));
    assert_eq!(requests(&rig)?.len(), 600);
    assert_clean(&rig, &job_id)
}
