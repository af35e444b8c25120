//! The database is away: accepted work is safe, running work pauses, and callers are told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use client::api::{Client, Submission};
use serde_json::Value;
use tests::{Rig, RigOptions};

use super::disturbed::{PERMITS, finish, select, until, write_rows};
use super::own_postgres::OwnPostgres;

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_job_survives_kills_of_postgres_and_of_the_api() -> anyhow::Result<()> {
    let mut postgres = OwnPostgres::start().await?;
    let options = RigOptions { workers: 0, database_url: Some(postgres.url()), ..RigOptions::default() };
    let mut rig = Rig::start(options).await?;
    let input = write_rows(&rig, 3)?;
    let (client, stop, made) = (rig.client.clone(), Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let submitting = tokio::spawn(submit_all(client, input, stop.clone(), made.clone()));
    for kill in 0..4 {
        tokio::time::sleep(Duration::from_millis(fastrand::u64(100..800))).await;
        if kill % 2 == 0 {
            postgres.kill9()?;
            postgres.restart()?;
        } else {
            rig.api.kill9()?;
            rig.api.restart()?;
        }
    }
    let before = made.load(Ordering::Relaxed);
    let end = Instant::now() + Duration::from_mins(1);
    while made.load(Ordering::Relaxed) < before + 10 && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stop.store(true, Ordering::Relaxed);
    let accepted = submitting.await??;
    assert!(accepted.len() >= before + 10, "only {} were accepted after the kills", accepted.len() - before);
    for job_id in &accepted {
        assert_eq!(rig.client.job(job_id, None).await?.status.name(), "queued");
    }
    // Each was repeated under its own key until it was accepted, and made one job.
    let jobs = select::<i64>(&rig, "SELECT count(*) FROM jobs").await;
    assert_eq!(jobs, Some(i64::try_from(accepted.len())?));
    Ok(())
}

/// Submits one job after the other, each until it is accepted. Returns the accepted ones.
async fn submit_all(
    client: Client,
    input: String,
    stop: Arc<AtomicBool>,
    made: Arc<AtomicUsize>,
) -> anyhow::Result<Vec<String>> {
    let mut accepted = Vec::new();
    let end = Instant::now() + Duration::from_mins(2);
    while !stop.load(Ordering::Relaxed) {
        let submission = Submission::new(&input, "sandbox/echo", "{{ text }}");
        let key = format!("key-{}", accepted.len());
        loop {
            match client.submit(&submission, Some(&key)).await {
                Ok(job) => {
                    made.fetch_add(1, Ordering::Relaxed);
                    break accepted.push(job.id.clone());
                }
                Err(error) if error.is_transient() && Instant::now() < end => {}
                // A try of the same key is not over on the server's side.
                Err(error) if error.status() == Some(409) && Instant::now() < end => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(accepted)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_waits_for_the_database_and_goes_on() -> anyhow::Result<()> {
    let mut postgres = OwnPostgres::start().await?;
    let options =
        RigOptions { workers: 2, sandbox_latency_ms: 20, database_url: Some(postgres.url()), ..RigOptions::default() };
    let mut rig = Rig::start(options).await?;
    let rows = 4_000;
    let job = rig.submit(&write_rows(&rig, rows)?, "out.csv").await?;
    until(&rig, "outcomes").await?;
    postgres.kill9()?;
    let away = Instant::now();
    assert_told(&rig, &job).await?;
    // More than two leases.
    tokio::time::sleep_until((away + Duration::from_secs(5)).into()).await;
    assert!(rig.workers.iter_mut().all(tests::Process::is_running) && rig.api.is_running(), "{}", rig.logs());
    let sent = sandbox::Totals::of(rig.oracle())?.requests;
    assert!(sent < rows, "calls went on without a lease");
    postgres.restart()?;
    let cost = finish(&rig, &[job], rows).await?;
    eprintln!("{cost:?}");
    assert!(cost.repeated() <= 2 * 2 * PERMITS, "{cost:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_told_to_end_while_the_database_is_away_ends() -> anyhow::Result<()> {
    const GRACE: Duration = Duration::from_secs(2);
    let mut postgres = OwnPostgres::start().await?;
    let settings = vec![("GRISTMILL_WORKER__GRACE_S".to_owned(), GRACE.as_secs().to_string())];
    let options =
        RigOptions { sandbox_latency_ms: 50, database_url: Some(postgres.url()), settings, ..RigOptions::default() };
    let mut rig = Rig::start(options).await?;
    let rows = 2_000;
    let job = rig.submit(&write_rows(&rig, rows)?, "out.csv").await?;
    until(&rig, "outcomes").await?;
    postgres.kill9()?;
    let told = Instant::now();
    let ended = rig.workers[0].terminate(GRACE + Duration::from_secs(15));
    let ended = ended.with_context(|| rig.workers[0].log())?;
    eprintln!("it ended after {:?}, with success: {ended}", told.elapsed());
    postgres.restart()?;
    rig.workers[0].restart()?;
    let cost = finish(&rig, &[job], rows).await?;
    eprintln!("{cost:?}");
    assert!(cost.repeated() <= 2 * PERMITS, "{cost:?}");
    Ok(())
}

/// The API is alive, says that it isn't ready, and tells callers to come again.
async fn assert_told(rig: &Rig, job: &str) -> anyhow::Result<()> {
    let http = reqwest::Client::builder().timeout(Duration::from_secs(20)).build()?;
    assert_eq!(http.get(format!("{}/healthz", rig.url)).send().await?.status(), 200);
    assert_eq!(http.get(format!("{}/readyz", rig.url)).send().await?.status(), 503);
    let asked = Instant::now();
    let answer = http.get(format!("{}/v1/jobs/{job}", rig.url)).bearer_auth(&rig.api_key).send().await?;
    // The pool gives up after 2.5 s.
    assert!(asked.elapsed() < Duration::from_secs(4), "it took {:?}", asked.elapsed());
    assert_eq!(answer.status(), 503);
    let seconds: u64 = answer.headers()["retry-after"].to_str()?.parse()?;
    assert!((1..=60).contains(&seconds));
    let problem: Value = serde_json::from_slice(&answer.bytes().await?)?;
    assert_eq!(problem["code"], "temporarily_unavailable", "{problem}");
    Ok(())
}
