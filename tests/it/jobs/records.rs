//! Provider records that change while jobs run.

use anyhow::Context as _;
use serde_json::json;
use tests::{Process, Rig, RigOptions};

use crate::jobs::support::{LONG, assert_clean, code, provider, requests};

fn slow(max_concurrency: u32) -> RigOptions {
    RigOptions {
        sandbox_latency_ms: 100,
        realtime: json!({"max_concurrency": max_concurrency, "timeout_s": 5}),
        ..RigOptions::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_concurrency_counts_for_a_running_job() -> anyhow::Result<()> {
    let rig = Rig::start(slow(4)).await?;
    let input = rig.write_rows("in.csv", (0..1_000).map(|row| format!("row {row}")))?;
    let job_id = rig.submit(&input, "out.csv").await?;
    rig.wait_for(&job_id, LONG, |job| job.counts.succeeded > 8).await?;
    let most = |requests: Vec<sandbox::log::Request<'_>>| requests.iter().map(|request| request.in_flight).max();
    assert!(most(requests(&rig)?) <= Some(4));
    let sandbox_url = rig.sandbox.first_line.clone().unwrap_or_default();
    rig.admin.put_provider("sandbox", &provider(&sandbox_url, &json!({"max_concurrency": 64, "timeout_s": 5}))).await?;
    let job = rig.wait(&job_id, LONG).await?;
    assert_eq!((job.status.name(), job.counts.succeeded), ("completed", 1_000));
    assert!(most(requests(&rig)?) > Some(16), "the job went on as it was");
    assert_eq!(requests(&rig)?.len(), 1_000);
    assert_clean(&rig, &job_id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_base_url_counts_for_a_running_job() -> anyhow::Result<()> {
    let rig = Rig::start(slow(16)).await?;
    let log = rig.directory.path().join("second.jsonl");
    let arguments = ["sandbox", "--log", log.to_str().unwrap_or_default()];
    let second = Process::start(&arguments, &[], &rig.directory.path().join("second.log"), true)?;
    let input = rig.write_rows("in.csv", (0..1_000).map(|row| format!("row {row}")))?;
    let job_id = rig.submit(&input, "out.csv").await?;
    rig.wait_for(&job_id, LONG, |job| job.counts.succeeded > 8).await?;
    let second_url = second.first_line.clone().unwrap_or_default();
    rig.admin.put_provider("sandbox", &provider(&second_url, &json!({"max_concurrency": 16, "timeout_s": 5}))).await?;
    let job = rig.wait(&job_id, LONG).await?;
    assert_eq!((job.status.name(), job.counts.succeeded), ("completed", 1_000));
    let (first, second) = (sandbox::Totals::of(rig.oracle())?.requests, sandbox::Totals::of(&log)?.requests);
    assert!(first > 0 && second > 0, "{first} and {second}");
    assert_eq!(first + second, 1_000);
    assert_clean(&rig, &job_id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_stands_still_goes_on_when_its_model_record_is_mended() -> anyhow::Result<()> {
    let rig = Rig::start(slow(16)).await?;
    rig.admin.put_model("sandbox", "echo", &json!({"upstream_model": "mistyped"})).await?;
    let input = rig.write_rows("in.csv", (0..500).map(|row| format!("row {row}")))?;
    let job_id = rig.submit(&input, "out.csv").await?;
    let waits = |job: &client::api::Job| code(job.status_reason.as_ref()) == Some("model_not_found");
    rig.wait_for(&job_id, LONG, waits).await?;
    rig.admin.put_model("sandbox", "echo", &json!({"upstream_model": "echo"})).await?;
    let job = rig.wait(&job_id, LONG).await?;
    assert_eq!((job.status.name(), job.counts.succeeded), ("completed", 500));
    assert_clean(&rig, &job_id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_model_record_is_gone_says_so_and_goes_on_when_it_is_back() -> anyhow::Result<()> {
    let rig = Rig::start(slow(16)).await?;
    let input = rig.write_rows("in.csv", (0..1_000).map(|row| format!("row {row}")))?;
    let job_id = rig.submit(&input, "out.csv").await?;
    rig.wait_for(&job_id, LONG, |job| job.counts.succeeded > 8).await?;
    // The API refuses it while the job needs the record, but a submit and a delete may cross.
    let mut superuser = rig.db.as_ref().context("a database")?.superuser().await?;
    sqlx::query("DELETE FROM models").execute(&mut superuser).await?;
    let waits = |job: &client::api::Job| code(job.status_reason.as_ref()) == Some("model_not_found");
    rig.wait_for(&job_id, LONG, waits).await?;
    rig.admin.put_model("sandbox", "echo", &json!({"upstream_model": "echo"})).await?;
    let job = rig.wait(&job_id, LONG).await?;
    assert_eq!((job.status.name(), job.counts.succeeded), ("completed", 1_000));
    assert_clean(&rig, &job_id)
}
