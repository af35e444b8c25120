//! Results of a provider batch: committed once, chunk by chunk, sealed at once where a chunk is whole.

use db::dispatches::DispatchLease;
use db::outcomes::{ChunkResults, Stored};
use db::seal::Sealed;
use domain::job::Event;
use domain::money::Money;
use domain::outcome::{Outcome, Status, Usage};
use domain::row_set::RowSet;
use domain::step::Kind;

use super::fixture::{Fixture, attempt, success};
use super::provider_batches::{claim, form};

fn outcomes(first_row: u64, rows: u64) -> Vec<(u64, Outcome)> {
    (first_row..first_row + rows).map(|row| (row, success(row, "").outcome)).collect()
}

/// Commits a chunk of which every row was answered.
async fn commit_whole(
    fixture: &Fixture,
    lease: &DispatchLease,
    chunk_no: u32,
    first_row: u64,
    rows: u64,
) -> db::Result<Stored> {
    let outcomes = outcomes(first_row, rows);
    let states = vec![(Status::Succeeded, None); outcomes.len()];
    let sealed = Sealed {
        chunk_no,
        first_row,
        generation: lease.generation,
        closed: &RowSet::empty(outcomes.len()),
        rows: &states,
        results_path: "results",
        attempts_path: None,
        part_path: "part",
        unfinished: (Usage::default(), Money::ZERO),
    };
    let mut tx = fixture.db.tenant(fixture.tenant_id).await?;
    let stored = db::outcomes::commit_whole(&mut tx, lease, &outcomes, &sealed).await?;
    if stored == Stored::Done {
        tx.commit().await?;
    }
    Ok(stored)
}

async fn commit_some(fixture: &Fixture, lease: &DispatchLease, rows: u64, tried: &[u64]) -> db::Result<Stored> {
    let attempts: Vec<_> = tried.iter().map(|row| attempt(*row, 1)).collect();
    let results = ChunkResults {
        chunk_no: 0,
        outcomes: &outcomes(0, rows),
        path: (rows > 0).then_some("results"),
        attempts: &attempts,
        late: &[],
        realtime_only: &RowSet::empty(3),
    };
    let mut tx = fixture.db.tenant(fixture.tenant_id).await?;
    let stored = db::outcomes::commit_results(&mut tx, lease, &results).await?;
    if stored == Stored::Done {
        tx.commit().await?;
    }
    Ok(stored)
}

async fn collected(fixture: &Fixture, lease: &DispatchLease) -> anyhow::Result<Vec<bool>> {
    let mut tx = fixture.db.tenant(fixture.tenant_id).await?;
    let chunks = db::provider_batches::sent_chunks(&mut tx, lease).await?;
    assert_eq!(chunks.iter().map(|chunk| chunk.first_row).collect::<Vec<_>>(), [0, 3]);
    Ok(chunks.iter().map(|chunk| chunk.collected).collect())
}

#[tokio::test]
async fn a_whole_chunk_is_sealed_by_its_commit_and_the_last_one_begins_the_merge() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    let job_id = fixture.running(&[3, 2]).await?;
    let lease = form(&fixture, 5).await?;
    assert_eq!(collected(&fixture, &lease).await?, [false, false]);
    assert_eq!(commit_whole(&fixture, &lease, 1, 3, 2).await?, Stored::Done);
    assert_eq!(collected(&fixture, &lease).await?, [false, true]);
    assert_eq!(fixture.job(job_id).await?.state.name(), "running");
    assert_eq!(commit_whole(&fixture, &lease, 0, 0, 3).await?, Stored::Done);
    assert_eq!(fixture.count("chunks WHERE sealed_at IS NOT NULL AND succeeded = row_count").await?, 2);
    assert_eq!(fixture.select::<i64>("SELECT sum(input_tokens)::bigint FROM chunks").await?, [5 * input_tokens()]);
    assert_eq!((fixture.count("batch_results").await?, fixture.count("outcomes").await?), (0, 0));
    assert_eq!(fixture.job(job_id).await?.state.name(), "merging");
    assert_eq!(fixture.claim_step(job_id).await?.kind, Kind::Assemble);
    Ok(())
}

/// Of one outcome of the fixture.
fn input_tokens() -> i64 {
    i64::try_from(success(0, "").outcome.usage.input_tokens).expect("few")
}

#[tokio::test]
async fn a_row_that_closed_meanwhile_makes_it_read_again() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    fixture.running(&[3, 2]).await?;
    let lease = form(&fixture, 5).await?;
    fixture.commit(&lease, 0, &[success(1, "first")], &[]).await?;
    assert_eq!(commit_whole(&fixture, &lease, 0, 0, 3).await?, Stored::Changed);
    assert_eq!(commit_some(&fixture, &lease, 2, &[]).await?, Stored::Changed);
    assert_eq!(commit_some(&fixture, &lease, 0, &[1]).await?, Stored::Changed, "an attempt after its row's outcome");
    assert_eq!(fixture.count("attempts").await?, 0);
    assert_eq!(commit_some(&fixture, &lease, 1, &[2]).await?, Stored::Done);
    assert_eq!(collected(&fixture, &lease).await?, [true, false]);
    assert_eq!((fixture.count("chunks WHERE succeeded = 2").await?, fixture.count("attempts").await?), (1, 1));
    Ok(())
}

#[tokio::test]
async fn a_lost_lease_commits_nothing() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    fixture.running(&[3, 2]).await?;
    let stale = form(&fixture, 5).await?;
    fixture.execute("UPDATE dispatches SET run_at = now()").await?;
    let lease = claim(&fixture).await?;
    assert!(matches!(commit_whole(&fixture, &stale, 0, 0, 3).await, Err(db::Error::Fenced)));
    assert!(matches!(commit_some(&fixture, &stale, 1, &[]).await, Err(db::Error::Fenced)));
    assert_eq!(commit_whole(&fixture, &lease, 0, 0, 3).await?, Stored::Done);
    Ok(())
}

#[tokio::test]
async fn answers_of_a_failed_job_can_be_looked_at_and_nothing_is_merged() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    let job_id = fixture.running(&[3, 2]).await?;
    let lease = form(&fixture, 5).await?;
    let mut tx = fixture.db.tenant(fixture.tenant_id).await?;
    db::jobs::fail(&mut tx, job_id, "output_exists", "it exists").await?;
    tx.commit().await?;
    assert_eq!(commit_whole(&fixture, &lease, 0, 0, 3).await?, Stored::Done);
    assert_eq!(fixture.count("chunks WHERE sealed_at IS NOT NULL").await?, 0);
    assert_eq!(fixture.count("batch_results WHERE path = 'results' AND bit_count(rows) = 3").await?, 1);
    assert_eq!(fixture.job(job_id).await?.state.name(), "failed");
    Ok(())
}

#[tokio::test]
async fn a_whole_chunk_of_a_cancelled_job_is_sealed_too() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    let job_id = fixture.running(&[3, 2]).await?;
    let lease = form(&fixture, 5).await?;
    fixture.transition(job_id, Event::Cancel).await?;
    assert_eq!(commit_whole(&fixture, &lease, 0, 0, 3).await?, Stored::Done);
    assert_eq!(fixture.count("chunks WHERE sealed_at IS NOT NULL").await?, 1);
    assert_eq!(fixture.job(job_id).await?.state.name(), "cancelling");
    Ok(())
}
