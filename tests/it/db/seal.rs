//! Chunks are sealed once all their rows have ended, and the last one ends the run.

use db::seal::Finished;
use domain::job::{Event, State};
use domain::outcome::Status;
use domain::row_set::RowSet;
use domain::step::Kind;

use super::fixture::{Fixture, failure, success};

#[tokio::test]
async fn the_commit_that_closes_the_last_row_makes_one_seal_step() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    fixture.running(&[3, 2]).await?;
    let (first, second) = (fixture.form(2).await?, fixture.form(1).await?);
    fixture.commit(&first, 0, &[success(0, ""), failure(1)], &[]).await?;
    assert_eq!(fixture.claim_steps().await?, []);
    fixture.commit(&second, 0, &[success(2, "")], &[]).await?;
    fixture.commit(&second, 0, &[success(2, "late")], &[]).await?;
    let steps = fixture.claim_steps().await?;
    assert_eq!(steps.iter().map(|step| step.kind).collect::<Vec<_>>(), [Kind::Seal { chunk_no: 0 }]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_that_close_a_chunk_together_make_one_seal_step() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    fixture.running(&[16]).await?;
    let mut leases = Vec::new();
    for _ in 0..16 {
        leases.push(fixture.form(1).await?);
    }
    let outcomes: Vec<_> = (0..16).map(|row| [success(row, "")]).collect();
    futures::future::try_join_all(leases.iter().zip(&outcomes).map(|(lease, row)| fixture.commit(lease, 0, row, &[])))
        .await?;
    assert_eq!(fixture.count("job_steps WHERE kind = 'seal'").await?, 1);
    assert_eq!(fixture.count("chunks WHERE succeeded = 16 AND bit_count(closed) = 16").await?, 1);
    Ok(())
}

#[tokio::test]
async fn outcomes_leave_with_the_seal_and_the_last_one_begins_the_merge() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    let job_id = fixture.running(&[2, 3]).await?;
    fixture.succeed(0, 0, 2).await?;
    fixture.succeed(1, 2, 3).await?;
    let mut steps = fixture.claim_steps().await?;
    steps.sort_by_key(|step| step.kind != Kind::Seal { chunk_no: 0 });
    assert_eq!(fixture.seal(&steps[0], 0, &RowSet::full(2), Status::Succeeded).await?, Finished::Sealed);
    assert_eq!(fixture.select::<i64>("SELECT row_no FROM outcomes ORDER BY 1").await?, [2, 3, 4]);
    assert_eq!(fixture.job(job_id).await?.state.name(), "running");
    assert_eq!(fixture.seal(&steps[1], 2, &RowSet::full(3), Status::Succeeded).await?, Finished::Sealed);
    assert_eq!(fixture.count("outcomes").await?, 0);
    assert_eq!(fixture.job(job_id).await?.state.name(), "merging");
    assert_eq!(fixture.claim_step(job_id).await?.kind, Kind::Assemble);
    Ok(())
}

#[tokio::test]
async fn a_success_between_a_seal_s_read_and_its_end_makes_it_read_again() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    let job_id = fixture.running(&[3]).await?;
    let lease = fixture.form(2).await?;
    fixture.commit(&lease, 0, &[success(0, "")], &[]).await?;
    fixture.settle(&lease).await?;
    fixture.transition(job_id, Event::Cancel).await?;
    let step = fixture.claim_step(job_id).await?;
    let mut read = RowSet::empty(3);
    read.insert(0);
    // Its lease is gone, but the answer is paid for.
    assert_eq!(fixture.commit(&lease, 0, &[success(1, "")], &[]).await?.stored, 1);
    let before = fixture.everything().await?;
    assert_eq!(fixture.seal(&step, 0, &read, Status::Cancelled).await?, Finished::Changed);
    assert_eq!(fixture.everything().await?, before);
    read.insert(1);
    assert_eq!(fixture.seal(&step, 0, &read, Status::Cancelled).await?, Finished::Sealed);
    Ok(())
}

#[tokio::test]
async fn a_cancelled_job_s_chunks_are_sealed_when_no_dispatch_touches_them() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    let job_id = fixture.running(&[2, 2, 2]).await?;
    let lease = fixture.form(1).await?;
    assert_eq!(fixture.transition(job_id, Event::Cancel).await?.map(State::name), Some("cancelling"));
    let kinds = |steps: Vec<db::steps::StepLease>| steps.iter().map(|step| step.kind).collect::<Vec<_>>();
    let mut first = kinds(fixture.claim_steps().await?);
    first.sort_by_key(|kind| format!("{kind:?}"));
    assert_eq!(first, [Kind::Seal { chunk_no: 1 }, Kind::Seal { chunk_no: 2 }]);
    fixture.settle(&lease).await?;
    assert_eq!(kinds(fixture.claim_steps().await?), [Kind::Seal { chunk_no: 0 }]);
    Ok(())
}

#[tokio::test]
async fn the_sweep_makes_the_seal_steps_that_are_missing() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    let job_id = fixture.running(&[2, 2]).await?;
    fixture.transition(job_id, Event::Cancel).await?;
    // As if a settlement had not seen the cancel that ran beside it.
    fixture.execute("DELETE FROM job_steps WHERE chunk_no = 1").await?;
    let mut tx = fixture.db.scheduler().await?;
    assert_eq!(db::seal::ending(&mut tx).await?, [(fixture.tenant_id, job_id)]);
    drop(tx);
    for _ in 0..2 {
        let mut tx = fixture.db.tenant(fixture.tenant_id).await?;
        db::seal::sweep(&mut tx, job_id).await?;
        tx.commit().await?;
        assert_eq!(fixture.count("job_steps").await?, 2);
    }
    Ok(())
}

#[tokio::test]
async fn unsendable_chunks_are_sealed_from_the_start() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    let (job_id, lease) = fixture.planning().await?;
    let unsendable = [(0, failure(0).outcome), (1, failure(1).outcome)];
    let chunk = db::chunks::NewChunk { unsendable: &unsendable, ..super::fixture::new_chunk(0, 0, 2) };
    let mut tx = fixture.db.tenant(fixture.tenant_id).await?;
    db::chunks::add(&mut tx, &lease, &chunk, &serde_json::json!(1)).await?;
    db::chunks::end_plan(&mut tx, &lease, 2, 1, None).await?;
    tx.commit().await?;
    assert!(fixture.try_form(10).await?.is_none());
    let step = fixture.claim_step(job_id).await?;
    assert_eq!(fixture.seal(&step, 0, &RowSet::full(2), Status::Failed).await?, Finished::Sealed);
    assert_eq!(fixture.job(job_id).await?.counts.failed, 2);
    Ok(())
}
