//! What the tests of jobs share.

use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime};

use anyhow::bail;
use chrono::{DateTime, Utc};
use client::api::{Job, JobFilter, Submission};
use sandbox::Entry;
use sandbox::log::Request;
use serde_json::{Value, json};
use tests::Rig;

use crate::jobs::table::Table;

/// An outer limit against hanging.
pub const LONG: Duration = Duration::from_mins(1);

/// The time, as a caller who sets a deadline knows it.
pub fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}

/// A submission that echoes the column `text` into a file of the objects.
pub fn echo(rig: &Rig, input: &str, output: &str) -> Submission {
    let mut submission = Submission::new(input, "sandbox/echo", "{{ text }}");
    submission.output.uri = Some(rig.uri(output));
    submission
}

pub async fn submit(rig: &Rig, submission: &Submission) -> anyhow::Result<String> {
    Ok(rig.client.submit(submission, None).await?.id.clone())
}

/// Asserts that a job of the rig works, as it should after whatever went wrong before.
pub async fn assert_good_job_succeeds(rig: &Rig, name: &str) -> anyhow::Result<()> {
    let input = rig.write_rows(&format!("{name}.csv"), (0..3).map(|row| format!("{name} {row}")))?;
    let job_id = rig.submit(&input, &format!("{name}.out.csv")).await?;
    let job = rig.wait(&job_id, LONG).await?;
    assert_eq!((job.status.name(), job.counts.succeeded), ("completed", 3));
    Ok(())
}

pub fn assert_clean(rig: &Rig, job_id: &str) -> anyhow::Result<()> {
    let (clean, words) = rig.check(job_id)?;
    assert!(clean, "{words}");
    Ok(())
}

pub fn output(rig: &Rig, name: &str) -> anyhow::Result<Table> {
    Table::read(name, std::fs::read(rig.objects().join(name))?.into())
}

/// `total = succeeded + failed + cancelled + expired`, and the output has a row for each.
pub fn assert_conserved(job: &Job, output: &Table) {
    let counts = job.counts;
    let ended = counts.succeeded + counts.failed + counts.cancelled + counts.expired;
    assert_eq!((counts.total, counts.pending, counts.running), (Some(ended), Some(0), 0));
    assert_eq!(output.rows.len() as u64, ended);
    let with =
        |status: &str| (0..output.rows.len()).filter(|row| output.text(*row, "llm_status") == status).count() as u64;
    let found = ["succeeded", "failed", "cancelled", "expired"].map(with);
    assert_eq!(found, [counts.succeeded, counts.failed, counts.cancelled, counts.expired]);
}

/// The tenant's jobs, once there are so many.
pub async fn wait_for_jobs(rig: &Rig, count: usize) -> anyhow::Result<Vec<String>> {
    let until = Instant::now() + LONG;
    while Instant::now() < until {
        let jobs = rig.client.jobs(&JobFilter::default(), 100, None).await?.data;
        if jobs.len() >= count {
            return Ok(jobs.iter().map(|job| job.id.clone()).collect());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bail!("there are no {count} jobs")
}

/// Every request that the sandbox has seen.
pub fn requests(rig: &Rig) -> anyhow::Result<Vec<Request<'static>>> {
    let mut requests = Vec::new();
    for entry in sandbox::read_log(rig.oracle())? {
        if let Entry::Request(request) = entry? {
            requests.push(request);
        }
    }
    Ok(requests)
}

/// The code that a submission is refused with.
pub fn refusal(error: &anyhow::Error) -> Option<String> {
    error.downcast_ref::<client::api::Error>()?.problem()?.code.clone()
}

/// The code that a submission is refused or its job fails with, and `completed` where neither is so.
pub async fn outcome_of(rig: &Rig, submission: &Submission) -> anyhow::Result<String> {
    match submit(rig, submission).await {
        Ok(job_id) => {
            let job = rig.wait(&job_id, LONG).await?;
            Ok(code(job.error.as_ref()).unwrap_or(job.status.name()).to_owned())
        }
        Err(refused) => refusal(&refused).ok_or(refused),
    }
}

/// Changes the sandbox's configuration while it runs.
pub async fn patch_sandbox(rig: &Rig, patch: &Value) -> anyhow::Result<()> {
    let url = format!("{}/_sandbox/config", rig.sandbox.first_line.as_deref().unwrap_or_default());
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).timeout(LONG).build()?;
    http.patch(url).json(patch).send().await?.error_for_status()?;
    Ok(())
}

/// The rig's provider record with other real-time limits.
pub fn provider(base_url: &str, realtime: &Value) -> Value {
    json!({
        "driver": "openai-compatible", "base_url": format!("{base_url}/v1"), "credential": "sandbox", "realtime": realtime,
        "batch": null,
    })
}

/// The code of a standstill or a failure.
pub fn code(reason: Option<&client::api::Reason>) -> Option<&str> {
    match reason? {
        client::api::Reason::Coded { code, .. } => code.as_deref(),
        client::api::Reason::Text(_) => None,
    }
}

pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all text");
        text
    })
}
