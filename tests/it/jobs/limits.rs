//! Limits a minute, as the sandbox counts them at arrival.

use std::time::SystemTime;

use serde_json::json;
use tests::{Rig, RigOptions};

use crate::jobs::support::{LONG, assert_clean, requests};

const TOKENS_PER_MINUTE: u32 = 600_000;
const TOKENS_PER_SECOND: f64 = 10_000.0;

/// What may be sent at once, in seconds of the limit, and what may pass between a permit and its request's arrival.
const BURST_AND_JITTER_S: f64 = 1.25;

/// A whole minute takes a minute to see; a limit that is kept evenly is kept in each second.
#[tokio::test(flavor = "multi_thread")]
async fn prompts_above_the_burst_keep_to_the_tokens_a_minute() -> anyhow::Result<()> {
    let realtime = json!({"max_concurrency": 32, "timeout_s": 5, "input_tokens_per_minute": TOKENS_PER_MINUTE});
    let rig = Rig::start(RigOptions { realtime, ..RigOptions::default() }).await?;
    // Each is three bursts, at four bytes a token.
    let input = rig.write_rows("in.csv", (0..3).map(|row| format!("{row}{}", "x".repeat(119_999))))?;
    let started = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let job_id = rig.submit(&input, "out.csv").await?;
    let job = rig.wait(&job_id, LONG).await?;
    assert_eq!((job.status.name(), job.counts.succeeded), ("completed", 3));
    assert_clean(&rig, &job_id)?;

    // The request at a span's beginning was paid for before it.
    let arrivals = requests(&rig)?.into_iter().map(|request| (request.at_ms, request.prompt_tokens));
    let arrivals: Vec<_> = std::iter::once((u64::try_from(started.as_millis())?, 0)).chain(arrivals).collect();
    for (first, (from_ms, _)) in arrivals.iter().enumerate() {
        let mut tokens = 0;
        for (at_ms, prompt_tokens) in &arrivals[first + 1..] {
            tokens += u32::try_from(*prompt_tokens)?;
            let seconds = f64::from(u32::try_from(at_ms - from_ms)?) / 1_000.0;
            let most = TOKENS_PER_SECOND * (seconds + BURST_AND_JITTER_S);
            assert!(f64::from(tokens) <= most, "{tokens} tokens within {seconds} s, and {most} may be: {arrivals:?}");
        }
    }
    Ok(())
}

const WORKERS: usize = 4;
/// Of 1,200 a minute.
const REQUESTS_PER_SECOND: f64 = 20.0;

/// Workers know nothing of each other but what is in the group's row.
#[tokio::test(flavor = "multi_thread")]
async fn one_limit_holds_for_four_workers_and_for_three_when_one_is_killed() -> anyhow::Result<()> {
    let realtime = json!({"max_concurrency": 12, "timeout_s": 5, "requests_per_minute": 1_200});
    let options = RigOptions { workers: WORKERS, sandbox_latency_ms: 300, realtime, ..RigOptions::default() };
    let mut rig = Rig::start(options).await?;
    let input = rig.write_rows("in.csv", (0..400).map(|row| format!("row {row}")))?;
    let job_id = rig.submit(&input, "out.csv").await?;
    rig.wait_for(&job_id, LONG, |job| job.counts.succeeded > 100).await?;
    rig.workers[0].kill9()?;
    let job = rig.wait(&job_id, LONG).await?;
    assert_eq!((job.status.name(), job.counts.succeeded), ("completed", 400), "{}", rig.logs());
    assert_clean(&rig, &job_id)?;

    let requests = requests(&rig)?;
    let most = requests.iter().map(|request| request.in_flight).max().unwrap_or_default();
    assert!(most <= 12, "{most} were in flight at once");
    let arrivals: Vec<u64> = requests.iter().map(|request| request.at_ms).collect();
    for (first, from_ms) in arrivals.iter().enumerate() {
        for (last, at_ms) in arrivals.iter().enumerate().skip(first) {
            let count = f64::from(u32::try_from(last - first)?);
            let seconds = f64::from(u32::try_from(at_ms.saturating_sub(*from_ms))?) / 1_000.0;
            let most = REQUESTS_PER_SECOND * (seconds + BURST_AND_JITTER_S) + 4.0;
            assert!(count <= most, "{count} requests within {seconds} s, and {most} may be");
        }
    }
    Ok(())
}
