//! Steps that go on where a killed worker left them.

use std::collections::BTreeMap;

use sqlx::{Connection as _, PgConnection};
use tests::{Rig, RigOptions};

use super::disturbed::{LONG, finish, select, until, write_rows};

async fn chunk_inputs(rig: &Rig) -> anyhow::Result<BTreeMap<i32, String>> {
    let mut connection = PgConnection::connect(&rig.database_url).await?;
    let rows: Vec<(i32, String)> =
        sqlx::query_as("SELECT chunk_no, input_path FROM chunks").fetch_all(&mut connection).await?;
    Ok(rows.into_iter().collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_goes_on_after_the_chunks_that_are_committed() -> anyhow::Result<()> {
    let mut rig = Rig::start(RigOptions { sandbox_latency_ms: 20, ..RigOptions::default() }).await?;
    let rows = 60_000;
    let job = rig.submit(&write_rows(&rig, rows)?, "out.csv").await?;
    until(&rig, "chunks WHERE chunk_no = 3").await?;
    rig.workers[0].kill9()?;
    let planned = chunk_inputs(&rig).await?;
    assert!(planned.len() < 30, "the plan had ended before the kill");
    assert!(planned.values().all(|path| path.ends_with("-e1.parquet")), "{planned:?}");
    rig.workers[0].restart()?;
    rig.wait_for(&job, LONG, |job| job.status.name() == "running").await?;
    let after = chunk_inputs(&rig).await?;
    assert_eq!(after.len(), 30);
    for (chunk_no, path) in &after {
        let epoch = if planned.contains_key(chunk_no) { 1 } else { 2 };
        assert!(path.ends_with(&format!("-e{epoch}.parquet")), "chunk {chunk_no}: {path}");
    }
    // Running all of them is not this test's business; that they are all there is.
    rig.client.cancel(&job).await?;
    let ended = rig.wait(&job, LONG).await?;
    assert_eq!((ended.status.name(), ended.counts.total, ended.counts.done()), ("cancelled", Some(rows), rows));
    let (clean, words) = rig.check(&job)?;
    assert!(clean, "{words}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_the_output_is_assembled_changes_no_byte() -> anyhow::Result<()> {
    let mut rig = Rig::start(RigOptions::default()).await?;
    let rows = 2_500;
    let input = write_rows(&rig, rows)?;
    let mut jobs = vec![rig.submit(&input, "undisturbed.csv").await?];
    rig.wait(&jobs[0], LONG).await?;
    let mut met = 0;
    // The moment is short, so that a kill may come too late.
    for run in 0..20 {
        let job = rig.submit(&input, &format!("out-{run}.csv")).await?;
        until(
            &rig,
            "(SELECT state FROM jobs ORDER BY job_id DESC LIMIT 1) last WHERE state IN ('merging', 'completed')",
        )
        .await?;
        rig.workers[0].kill9()?;
        let state = select::<String>(&rig, "SELECT state FROM jobs ORDER BY job_id DESC LIMIT 1").await;
        met += i32::from(state.as_deref() == Some("merging"));
        rig.workers[0].restart()?;
        rig.wait(&job, LONG).await?;
        jobs.push(job);
        if met == 2 {
            break;
        }
    }
    assert!(met > 0, "no kill met a merge");
    // It compares all jobs' outputs.
    finish(&rig, &jobs, rows).await?;
    let undisturbed = std::fs::read(rig.objects().join("undisturbed.csv"))?;
    for run in 0..jobs.len() - 1 {
        assert_eq!(std::fs::read(rig.objects().join(format!("out-{run}.csv")))?, undisturbed);
    }
    Ok(())
}
