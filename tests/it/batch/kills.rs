//! kill -9 of everything while provider batches are in every state.

use std::time::Duration;

use serde_json::json;
use tests::{Rig, RigOptions};

use super::support::{LONG, eager_with, patch_batches, start_with, submission, totals};
use crate::jobs::support::{assert_clean, submit};

/// Kills; `GRISTMILL_TEST_KILLS` asks for more.
fn kills() -> u32 {
    #[expect(clippy::disallowed_methods, reason = "a test's own knob")]
    let asked = std::env::var("GRISTMILL_TEST_KILLS").ok();
    asked.and_then(|kills| kills.parse().ok()).unwrap_or(6)
}

async fn rig() -> anyhow::Result<Rig> {
    let options = RigOptions { workers: 2, ..RigOptions::default() };
    let rig = start_with(options, eager_with(json!({"max_requests": 400, "create_settle_s": 3}))).await?;
    let slow = json!({"complete_ms": 1_500, "validating_ms": 300, "list_lag_ms": 1_000, "file_processing_ms": 300});
    patch_batches(&rig, slow).await?;
    Ok(rig)
}

/// A job runs while one of the workers is killed again and again, at moments spread over all stages.
#[tokio::test(flavor = "multi_thread")]
async fn j1_killed_workers_double_and_lose_no_provider_batch() -> anyhow::Result<()> {
    let mut rig = rig().await?;
    let rows = 8_000;
    let job_id = submit(&rig, &submission(&rig, "kills", rows, |row| format!("row {row}"))?).await?;
    for kill in 0..kills() {
        tokio::time::sleep(Duration::from_millis(u64::from(fastrand::u32(100..1_500)))).await;
        let worker = (kill % 2) as usize;
        rig.workers[worker].kill9()?;
        rig.workers[worker].restart()?;
        if rig.client.job(&job_id, None).await?.status.is_final() {
            break;
        }
    }
    let job = rig.wait(&job_id, LONG).await?;
    assert_eq!((job.status.name(), job.counts.succeeded), ("completed", rows as u64), "{}", rig.logs());
    assert_clean(&rig, &job_id)?;
    let totals = totals(&rig)?;
    assert_eq!(
        (totals.batches.billed, totals.batches.billed_again),
        (rows as u64, 0),
        "nothing is bought twice: {totals:?}"
    );
    assert_eq!(totals.billed_prompt_tokens, job.usage.input_tokens);
    Ok(())
}
