//! Workers that are stopped for a while, or told to end.

use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::Signal;
use serde_json::json;
use tests::{Rig, RigOptions};

use super::disturbed::{LONG, PERMITS, finish, select, until, write_rows};

const ROWS: u64 = 4_000;

/// Calls may take long here: a stopped worker's answers wait for it.
async fn rig() -> anyhow::Result<Rig> {
    let realtime = json!({"max_concurrency": PERMITS, "timeout_s": 120});
    Rig::start(RigOptions { sandbox_latency_ms: 50, realtime, ..RigOptions::default() }).await
}

/// Stops a worker that has calls in flight, until another has taken its dispatches over.
async fn stop_past_its_lease(rig: &mut Rig) -> anyhow::Result<()> {
    until(rig, "outcomes HAVING count(*) > 100").await?;
    rig.workers[0].signal(Signal::SIGSTOP)?;
    while in_flight(rig).await? < 8 {
        rig.workers[0].signal(Signal::SIGCONT)?;
        tokio::time::sleep(Duration::from_millis(5)).await;
        rig.workers[0].signal(Signal::SIGSTOP)?;
    }
    rig.add_worker()?;
    until(rig, "dispatches WHERE lease_epoch > 1").await
}

/// Calls that were sent and whose answers are not stored.
async fn in_flight(rig: &Rig) -> anyhow::Result<u64> {
    let stored = select::<i64>(rig, "SELECT sum(bit_count(closed))::bigint FROM chunks")
        .await
        .context("the database is away")?;
    let stored = u64::try_from(stored)?;
    anyhow::ensure!(stored < ROWS, "the job ended before its worker could be stopped");
    Ok(sandbox::Totals::of(rig.oracle())?.requests - stored)
}

/// Every call is on the account: as its row's outcome, or as late.
async fn assert_all_is_booked(rig: &Rig, job: String) -> anyhow::Result<()> {
    rig.wait(&job, LONG).await?;
    let late = sandbox::Totals::of(rig.oracle())?.requests - ROWS;
    until(rig, &format!("attempts WHERE late HAVING count(*) = {late}")).await?;
    let cost = finish(rig, &[job], ROWS).await?;
    eprintln!("{cost:?}");
    assert!(cost.late > 0, "nothing came late: {cost:?}");
    assert_eq!(cost.requests, cost.rows + cost.late, "{cost:?}");
    assert_eq!(cost.booked, cost.billed, "{cost:?}");
    // Each worker may have lost its leases once: the stopped one, and the other on a machine that was too busy for its heartbeats.
    assert!(cost.late <= 2 * 2 * PERMITS, "calls went on without a lease: {cost:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_stopped_past_its_lease_overwrites_nothing() -> anyhow::Result<()> {
    let mut rig = rig().await?;
    let job = rig.submit(&write_rows(&rig, ROWS)?, "out.csv").await?;
    stop_past_its_lease(&mut rig).await?;
    rig.workers[0].signal(Signal::SIGCONT)?;
    rig.wait(&job, LONG).await?;
    until(&rig, "attempts WHERE late").await?;
    assert_all_is_booked(&rig, job).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_wakes_up_after_the_end_overwrites_nothing() -> anyhow::Result<()> {
    let mut rig = rig().await?;
    let job = rig.submit(&write_rows(&rig, ROWS)?, "out.csv").await?;
    stop_past_its_lease(&mut rig).await?;
    let before = rig.wait(&job, LONG).await?;
    let output = std::fs::read(rig.objects().join("out.csv"))?;
    let sent = sandbox::Totals::of(rig.oracle())?.requests;
    rig.workers[0].signal(Signal::SIGCONT)?;
    until(&rig, "attempts WHERE late").await?;
    let after = rig.client.job(&job, None).await?;
    assert_eq!((after.counts, &after.output, after.finished_at), (before.counts, &before.output, before.finished_at));
    assert_eq!(std::fs::read(rig.objects().join("out.csv"))?, output);
    assert_all_is_booked(&rig, job).await?;
    assert_eq!(sandbox::Totals::of(rig.oracle())?.requests, sent, "calls went on without a lease");
    Ok(())
}

/// So long that a job ends in time only if leases are handed back.
fn long_lease() -> Vec<(String, String)> {
    vec![("GRISTMILL_WORKER__LEASE_S".to_owned(), "3600".to_owned())]
}

const GRACE: Duration = Duration::from_secs(25);

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_told_to_end_hands_its_leases_back_and_repeats_no_call() -> anyhow::Result<()> {
    let options = RigOptions { workers: 2, sandbox_latency_ms: 50, settings: long_lease(), ..RigOptions::default() };
    let mut rig = Rig::start(options).await?;
    let job = rig.submit(&write_rows(&rig, ROWS)?, "out.csv").await?;
    until(&rig, "(SELECT lease_owner FROM dispatches GROUP BY 1) owners HAVING count(*) = 2").await?;
    assert!(rig.workers[0].terminate(GRACE)?, "{}", rig.logs());
    let cost = finish(&rig, &[job], ROWS).await?;
    assert_eq!((cost.repeated(), cost.late, cost.booked), (0, 0, cost.billed), "{cost:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_replaced_one_by_one_repeat_no_call() -> anyhow::Result<()> {
    let options = RigOptions { workers: 2, sandbox_latency_ms: 20, settings: long_lease(), ..RigOptions::default() };
    let mut rig = Rig::start(options).await?;
    let job = rig.submit(&write_rows(&rig, ROWS)?, "out.csv").await?;
    for turn in 0..4 {
        until(&rig, "jobs WHERE state <> 'queued'").await?;
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..600))).await;
        let worker = &mut rig.workers[turn % 2];
        assert!(worker.terminate(GRACE)?);
        worker.restart()?;
    }
    let cost = finish(&rig, &[job], ROWS).await?;
    assert_eq!((cost.repeated(), cost.late, cost.booked), (0, 0, cost.billed), "{cost:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispatch_taken_over_after_a_cancel_sends_nothing() -> anyhow::Result<()> {
    let options = RigOptions { workers: 1, sandbox_latency_ms: 300, ..RigOptions::default() };
    let mut rig = Rig::start(options).await?;
    let job = rig.submit(&write_rows(&rig, ROWS)?, "out.csv").await?;
    until(&rig, "dispatches").await?;
    rig.workers[0].kill9()?;
    rig.client.cancel(&job).await?;
    let sent = sandbox::Totals::of(rig.oracle())?.requests;
    rig.workers[0].restart()?;
    let job = rig.wait(&job, LONG).await?;
    assert_eq!(job.status.name(), "cancelled");
    assert_eq!(sandbox::Totals::of(rig.oracle())?.requests, sent);
    assert_eq!(select::<i64>(&rig, "SELECT count(*) FROM dispatches").await, Some(0));
    let (clean, words) = rig.check(&job.id)?;
    assert!(clean, "{words}");
    Ok(())
}
