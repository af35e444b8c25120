//! kill -9 of workers, of the API and of Postgres while jobs run.

use std::time::Duration;

use tests::{Rig, RigOptions};

const LONG: Duration = Duration::from_secs(300);

/// Kills per test: `GRISTMILL_TEST_KILLS` for the full count.
fn kills() -> usize {
    std::env::var("GRISTMILL_TEST_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(4)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_survives_kills_of_its_workers() -> anyhow::Result<()> {
    let mut rig = Rig::start(RigOptions { workers: 2, sandbox_latency_ms: 20, ..RigOptions::default() }).await?;
    let rows = 2_000 * kills();
    let input = rig.write_rows("in.csv", (0..rows).map(|row| format!("row {row}")))?;
    let job_id = rig.submit(&input, "out.csv").await?;
    for kill in 0..kills() {
        tokio::time::sleep(Duration::from_millis(fastrand::u64(100..1_500))).await;
        let worker = &mut rig.workers[kill % 2];
        worker.kill9()?;
        worker.restart()?;
    }
    let job = rig.wait(&job_id, LONG).await?;
    assert_eq!((job.status.name(), job.counts.succeeded), ("completed", rows as u64));
    let (clean, words) = rig.check(&job_id)?;
    assert!(clean, "{words}");
    let totals = sandbox::Totals::of(rig.oracle())?;
    // Twice the permits of a worker for each kill: what was sent and not yet committed.
    let repeated = totals.requests - rows as u64;
    assert!(repeated <= (kills() * 64) as u64, "{repeated} calls were repeated by {} kills", kills());
    Ok(())
}
