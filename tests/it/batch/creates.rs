//! Creates whose reply is lost: nothing is doubled, nothing is lost.

use serde_json::json;

use super::support::{LONG, eager_with, patch_batches, run, start, submission, totals};
use crate::jobs::support::{assert_clean, submit};

/// Rows of one provider batch.
const ROWS: usize = 20;

/// Ambiguous creates to go through; `GRISTMILL_TEST_CREATES` asks for more.
fn creates() -> usize {
    #[expect(clippy::disallowed_methods, reason = "a test's own knob")]
    let asked = std::env::var("GRISTMILL_TEST_CREATES").ok();
    asked.and_then(|creates| creates.parse().ok()).unwrap_or(12)
}

#[tokio::test(flavor = "multi_thread")]
async fn i10_i11_every_lost_create_is_found_in_a_list_that_lags() -> anyhow::Result<()> {
    let limits = json!({"max_requests": ROWS, "create_settle_s": 4});
    let rig = start(eager_with(limits)).await?;
    let faults = json!([{"op": "create", "fault": "drop_after"}]);
    patch_batches(&rig, json!({"list_lag_ms": 2_000, "complete_ms": 200, "faults": faults})).await?;
    let rows = creates() * ROWS;
    let job_id = submit(&rig, &submission(&rig, "lost", rows, |row| format!("lost {row}"))?).await?;
    // Three are on their way at a time, for some seconds each.
    let job = rig.wait(&job_id, LONG * (1 + u32::try_from(creates() / 50)?)).await?;
    assert_eq!(job.counts.succeeded, rows as u64, "{}", rig.logs());
    assert_clean(&rig, &job_id)?;
    let totals = totals(&rig)?;
    assert_eq!(totals.batches.created, creates() as u64, "no doubled one, none lost: {totals:?}");
    assert_eq!((totals.batches.created_unanswered, totals.batches.billed_again), (creates() as u64, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_never_arrived_is_sent_again_after_the_list_has_settled() -> anyhow::Result<()> {
    let rig = start(eager_with(json!({"create_settle_s": 2}))).await?;
    patch_batches(&rig, json!({"faults": [{"op": "create", "fault": "drop_before", "times": 1}]})).await?;
    let job = run(&rig, &submission(&rig, "never", 200, |row| format!("never {row}"))?).await?;
    assert_eq!(job.counts.succeeded, 200, "{}", rig.logs());
    assert_eq!((totals(&rig)?.batches.created, totals(&rig)?.batches.billed_again), (1, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_that_shows_too_late_is_found_cancelled_and_its_answers_are_kept_as_late() -> anyhow::Result<()> {
    let rig = start(eager_with(json!({"create_settle_s": 1}))).await?;
    let faults = json!([{"op": "create", "fault": "drop_after", "times": 1}]);
    patch_batches(&rig, json!({"list_lag_ms": 6_000, "complete_ms": 20_000, "faults": faults})).await?;
    let submission = submission(&rig, "late", 100, |row| format!("late {row}"))?;
    let job_id = submit(&rig, &submission).await?;
    let job = rig.wait(&job_id, LONG).await?;
    assert_eq!(job.counts.succeeded, 100, "{}", rig.logs());
    assert_clean(&rig, &job_id)?;
    let until = std::time::Instant::now() + LONG;
    let mut booked = 0;
    while std::time::Instant::now() < until && booked < totals(&rig)?.billed_prompt_tokens {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        booked = rig.client.job(&job_id, None).await?.usage.input_tokens;
    }
    let totals = totals(&rig)?;
    assert_eq!((totals.batches.created, totals.batches.cancel_asked), (2, 1), "{totals:?}\n{}", rig.logs());
    assert_eq!(booked, totals.billed_prompt_tokens, "all that was paid for is booked");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_whose_reply_is_lost_are_removed_again() -> anyhow::Result<()> {
    let rig = start(eager_with(json!({}))).await?;
    patch_batches(&rig, json!({"faults": [{"op": "upload", "fault": "drop_after", "times": 2}]})).await?;
    let job = run(&rig, &submission(&rig, "uploads", 100, |row| format!("uploads {row}"))?).await?;
    assert_eq!(job.counts.succeeded, 100, "{}", rig.logs());
    let until = std::time::Instant::now() + LONG;
    // Three uploads, an output and an error file that is not there.
    while std::time::Instant::now() < until && totals(&rig)?.batches.files_deleted < 4 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let totals = totals(&rig)?;
    assert_eq!((totals.batches.files_uploaded, totals.batches.files_deleted, totals.batches.created), (3, 4, 1));
    Ok(())
}
