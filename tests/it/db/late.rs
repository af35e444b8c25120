//! A paid answer from a worker that has lost its lease: before the row's outcome, after it, after the seal, after the merge.

use db::dispatches::DispatchLease;
use db::outcomes::Committed;
use domain::ids::JobId;
use domain::outcome::Status;
use domain::row_set::RowSet;

use super::fixture::{COST, Fixture, USAGE, attempt, success};

const STORED: Committed = Committed { stored: 1, late: 0, fenced: 0 };

/// A job of one row, its dispatch as first formed, and as taken over.
async fn taken_over() -> anyhow::Result<(Fixture, JobId, DispatchLease, DispatchLease)> {
    let fixture = Fixture::new().await?;
    let job_id = fixture.running(&[1]).await?;
    let stale = fixture.form(1).await?;
    let held = fixture.take_over(&stale).await?;
    Ok((fixture, job_id, stale, held))
}

/// The outcome is the first answer; the second is on the job's account and listed as late.
async fn assert_booked(fixture: &Fixture, job_id: JobId) -> anyhow::Result<()> {
    let counts = fixture.job(job_id).await?.counts;
    assert_eq!((counts.succeeded, counts.failed), (1, 0));
    assert_eq!(counts.usage.input_tokens, 2 * USAGE.input_tokens);
    assert_eq!(counts.usage.cached_input_tokens, 2 * USAGE.cached_input_tokens);
    assert_eq!(counts.usage.output_tokens, 2 * USAGE.output_tokens);
    assert_eq!(counts.cost, 2 * COST.0);
    let mut tx = fixture.db.tenant(fixture.tenant_id).await?;
    let attempts = db::items::attempts(&mut tx, job_id, 0, 0, 1, true).await?;
    let [late] = &attempts[..] else { panic!("{attempts:?}") };
    assert_eq!((late.late, late.counted, late.usage, late.cost), (true, false, USAGE, Some(COST)));
    assert_eq!(late.error, None);
    Ok(())
}

async fn assert_outcome(fixture: &Fixture, job_id: JobId, response: &str) -> anyhow::Result<()> {
    let mut tx = fixture.db.tenant(fixture.tenant_id).await?;
    let stored = db::outcomes::range(&mut tx, job_id, 0, 0, 1).await?;
    assert_eq!(stored[0].1.response.as_deref(), Some(response));
    Ok(())
}

#[tokio::test]
async fn a_late_success_becomes_the_outcome_of_an_open_row() -> anyhow::Result<()> {
    let (fixture, job_id, stale, held) = taken_over().await?;
    assert_eq!(fixture.commit(&stale, 0, &[success(0, "first")], &[]).await?, STORED);
    // The worker that holds the lease learns that there is nothing left to send, and what it has sent already is late.
    let mut tx = fixture.db.tenant(fixture.tenant_id).await?;
    assert!(db::dispatches::rows(&mut tx, &held).await?[0].rows.is_empty());
    drop(tx);
    let second = fixture.commit(&held, 0, &[success(0, "second")], &[]).await?;
    assert_eq!(second, Committed { stored: 0, late: 1, fenced: 0 });
    assert_outcome(&fixture, job_id, "first").await?;
    assert_booked(&fixture, job_id).await
}

#[tokio::test]
async fn a_success_after_the_outcome_overwrites_nothing() -> anyhow::Result<()> {
    let (fixture, job_id, stale, held) = taken_over().await?;
    assert_eq!(fixture.commit(&held, 0, &[success(0, "first")], &[]).await?, STORED);
    let second = fixture.commit(&stale, 0, &[success(0, "second")], &[]).await?;
    assert_eq!(second, Committed { stored: 0, late: 1, fenced: 1 });
    assert_outcome(&fixture, job_id, "first").await?;
    assert_booked(&fixture, job_id).await
}

#[tokio::test]
async fn a_success_after_the_dispatch_has_settled_is_stored_or_booked() -> anyhow::Result<()> {
    let (fixture, job_id, stale, held) = taken_over().await?;
    assert!(fixture.settle(&held).await?);
    assert_eq!(fixture.commit(&stale, 0, &[success(0, "first")], &[]).await?, STORED);
    assert!(fixture.try_form(1).await?.is_none(), "the row is closed, so nobody sends it again");
    fixture.commit(&stale, 0, &[success(0, "second")], &[]).await?;
    assert_outcome(&fixture, job_id, "first").await?;
    assert_booked(&fixture, job_id).await
}

#[tokio::test]
async fn a_success_after_the_chunk_was_sealed_overwrites_nothing() -> anyhow::Result<()> {
    let (fixture, job_id, stale, held) = taken_over().await?;
    fixture.commit(&held, 0, &[success(0, "first")], &[]).await?;
    let step = fixture.claim_step(job_id).await?;
    fixture.seal(&step, 0, &RowSet::full(1), Status::Succeeded).await?;
    let summary = fixture.everything().await?["chunk_summaries"].clone();
    let second = fixture.commit(&stale, 0, &[success(0, "second")], &[]).await?;
    assert_eq!(second, Committed { stored: 0, late: 1, fenced: 1 });
    assert_eq!(fixture.count("outcomes").await?, 0);
    assert_eq!(fixture.everything().await?["chunk_summaries"], summary);
    assert_booked(&fixture, job_id).await
}

#[tokio::test]
async fn a_success_after_the_merge_overwrites_nothing() -> anyhow::Result<()> {
    let (fixture, job_id, stale, held) = taken_over().await?;
    fixture.commit(&held, 0, &[success(0, "first")], &[]).await?;
    fixture.settle(&held).await?;
    let step = fixture.claim_step(job_id).await?;
    fixture.seal(&step, 0, &RowSet::full(1), Status::Succeeded).await?;
    let step = fixture.claim_step(job_id).await?;
    assert_eq!(fixture.finish_job(&step).await?.name(), "completed");
    let second = fixture.commit(&stale, 0, &[success(0, "second")], &[]).await?;
    assert_eq!(second, Committed { stored: 0, late: 1, fenced: 1 });
    for left in ["outcomes", "dispatches", "dispatch_rows", "job_steps"] {
        assert_eq!(fixture.count(left).await?, 0, "{left}");
    }
    assert_eq!(fixture.job(job_id).await?.state.name(), "completed");
    assert_booked(&fixture, job_id).await
}

#[tokio::test]
async fn two_late_answers_of_a_row_are_both_booked() -> anyhow::Result<()> {
    let (fixture, job_id, stale, held) = taken_over().await?;
    fixture.commit(&held, 0, &[success(0, "first")], &[attempt(0, 1)]).await?;
    fixture.commit(&stale, 0, &[success(0, "second"), success(0, "third")], &[]).await?;
    assert_eq!(fixture.job(job_id).await?.counts.cost, 3 * COST.0);
    let numbers: Vec<i32> = fixture.select("SELECT attempt FROM attempts WHERE late ORDER BY 1").await?;
    assert_eq!(numbers, [1, 2]);
    Ok(())
}

#[tokio::test]
async fn a_commit_repeated_after_an_unknown_end_books_nothing_twice() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    let job_id = fixture.running(&[3]).await?;
    let lease = fixture.form(3).await?;
    let outcomes = [success(0, "first"), success(1, "first"), success(2, "first")];
    let attempts = [attempt(0, 1)];
    assert_eq!(fixture.commit(&lease, 0, &outcomes, &attempts).await?.stored, 3);
    let before = fixture.everything().await?;
    let again = fixture.commit_again(&lease, 0, &outcomes, &attempts, true).await?;
    assert_eq!(again, Committed::default());
    assert_eq!(fixture.everything().await?, before);

    let step = fixture.claim_step(job_id).await?;
    fixture.seal(&step, 0, &RowSet::full(3), Status::Succeeded).await?;
    let before = fixture.everything().await?;
    assert_eq!(fixture.commit_again(&lease, 0, &outcomes, &[], true).await?, Committed::default());
    assert_eq!(fixture.everything().await?, before, "neither after the seal");
    Ok(())
}

#[tokio::test]
async fn a_repeated_commit_still_books_an_answer_that_another_s_outcome_beat() -> anyhow::Result<()> {
    let (fixture, job_id, stale, held) = taken_over().await?;
    fixture.commit(&held, 0, &[success(0, "first")], &[]).await?;
    let second = fixture.commit_again(&stale, 0, &[success(0, "second")], &[], true).await?;
    assert_eq!(second.late, 1);
    assert_booked(&fixture, job_id).await
}
