//! A provider that is down: it is left in peace, and no row loses its attempts.

use std::time::Duration;

use client::api::JobLimits;
use serde_json::{Value, json};
use tests::{Rig, RigOptions};

use crate::jobs::support::{LONG, assert_clean, echo, patch_sandbox, submit};

const ROWS: u64 = 3_000;
const CALLS: u64 = 32;
const WORKERS: usize = 2;

/// Seconds that the provider is down; `GRISTMILL_TEST_OUTAGE_S` asks for more.
fn outage() -> Duration {
    #[expect(clippy::disallowed_methods, reason = "a test's own knob")]
    let asked = std::env::var("GRISTMILL_TEST_OUTAGE_S").ok();
    Duration::from_secs(asked.and_then(|seconds| seconds.parse().ok()).unwrap_or(6))
}

/// Probes that an outage may cost: a few at the beginning, and then one in 4 s.
fn probes() -> u64 {
    10 + outage().as_secs() / 3
}

async fn survives(fault: &str) -> anyhow::Result<()> {
    let realtime = json!({"max_concurrency": CALLS, "timeout_s": 1});
    let options = RigOptions { workers: WORKERS, sandbox_latency_ms: 50, realtime, ..RigOptions::default() };
    let rig = Rig::start(options).await?;
    let input = rig.write_rows("in.csv", (0..ROWS).map(|row| format!("row {row}")))?;
    let mut submission = echo(&rig, &input, "out.csv");
    // A second attempt that counted would be its row's last.
    submission.limits = JobLimits { max_attempts: Some(2) };
    let job_id = submit(&rig, &submission).await?;
    rig.wait_for(&job_id, LONG, |job| job.counts.succeeded > 300).await?;
    let faults = |list: Value| json!({"faults": list});
    patch_sandbox(&rig, &faults(json!([{"fault": fault, "fraction": 1.0, "sticky": true}]))).await?;
    let before = sandbox::Totals::of(rig.oracle())?.requests;
    tokio::time::sleep(outage()).await;
    let during = sandbox::Totals::of(rig.oracle())?.requests - before;
    patch_sandbox(&rig, &faults(json!([]))).await?;
    let job = rig.wait(&job_id, LONG).await?;
    assert_eq!((job.status.name(), job.counts.succeeded), ("completed", ROWS), "{}", rig.logs());
    assert_clean(&rig, &job_id)?;
    // In flight when it began, and as many again of each worker before it knew.
    let most = CALLS + 2 * CALLS + probes();
    eprintln!("{fault}: {during} calls in {:?} of an outage, and {most} may be", outage());
    assert!(during <= most, "{during} calls, and {most} may be");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn g12_i5_an_outage_of_errors_costs_few_calls_and_no_row() -> anyhow::Result<()> {
    survives("status code=500").await
}

#[tokio::test(flavor = "multi_thread")]
async fn g12_i5_an_outage_of_silence_costs_few_calls_and_no_row() -> anyhow::Result<()> {
    survives("timeout").await
}

#[tokio::test(flavor = "multi_thread")]
async fn g12_i5_an_outage_of_refusals_costs_few_calls_and_no_row() -> anyhow::Result<()> {
    survives("rate_limit retry=none").await
}
