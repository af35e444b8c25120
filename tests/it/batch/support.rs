//! What the tests of the batch route share.

use std::time::Duration;

use client::api::{Job, Submission};
use serde_json::{Value, json};
use tests::{Rig, RigOptions};

use crate::jobs::support::{self, assert_clean, patch_sandbox};

/// An outer limit against hanging.
pub const LONG: Duration = Duration::from_mins(3);

/// Rows of the large jobs, where `GRISTMILL_TEST_ROWS` asks for another number than CI's.
pub fn asked_rows() -> Option<usize> {
    #[expect(clippy::disallowed_methods, reason = "a test's own knob")]
    let asked = std::env::var("GRISTMILL_TEST_ROWS").ok();
    asked.and_then(|rows| rows.parse().ok())
}

/// A rig whose provider speaks OpenAI's batch API.
pub async fn start(limits: Value) -> anyhow::Result<Rig> {
    start_with(RigOptions::default(), limits).await
}

pub async fn start_with(options: RigOptions, limits: Value) -> anyhow::Result<Rig> {
    let rig = Rig::start(options).await?;
    offer(&rig, "openai", "/v1", limits).await?;
    Ok(rig)
}

/// Limits under which everything goes by provider batch at once.
pub fn eager() -> Value {
    json!({"min_items": 2, "min_saving_usd": "0", "poll_interval_s": 1, "create_settle_s": 2})
}

/// `eager` with more keys.
pub fn eager_with(more: Value) -> Value {
    let mut limits = eager();
    let (Value::Object(limits_map), Value::Object(more)) = (&mut limits, more) else { unreachable!("objects") };
    limits_map.extend(more);
    limits
}

/// Gives the rig's provider a driver, a path of the sandbox, and batch limits; null takes its batch API away.
pub async fn offer(rig: &Rig, driver: &str, path: &str, limits: Value) -> anyhow::Result<()> {
    let record = json!({
        "driver": driver, "base_url": format!("{}{path}", rig.sandbox_url), "credential": "sandbox",
        "realtime": {"max_concurrency": 32, "timeout_s": 5}, "batch": limits,
    });
    rig.admin.put_provider("sandbox", &record).await?;
    Ok(())
}

/// Changes the sandbox's provider batches.
pub async fn patch_batches(rig: &Rig, patch: Value) -> anyhow::Result<()> {
    patch_sandbox(rig, &json!({"batch": patch})).await
}

/// A submission that echoes `rows` rows made by `text`.
pub fn submission(rig: &Rig, name: &str, rows: usize, text: impl Fn(usize) -> String) -> anyhow::Result<Submission> {
    let input = rig.write_rows(&format!("{name}.csv"), (0..rows).map(text))?;
    Ok(support::echo(rig, &input, &format!("{name}.out.csv")))
}

/// Submits, waits for the end, and has the output checked.
pub async fn run(rig: &Rig, submission: &Submission) -> anyhow::Result<Job> {
    let job_id = support::submit(rig, submission).await?;
    let job = rig.wait(&job_id, LONG).await?;
    assert_clean(rig, &job_id)?;
    Ok(job)
}

pub fn totals(rig: &Rig) -> anyhow::Result<sandbox::Totals> {
    Ok(sandbox::Totals::of(rig.oracle())?)
}
