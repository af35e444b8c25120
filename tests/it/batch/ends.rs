//! Every way a provider batch may end, and every kind of line it may bring: each row has one outcome, and nothing is bought twice.

use serde_json::json;
use tests::Rig;

use super::support::{eager, eager_with, patch_batches, run, start, submission, totals};
use crate::jobs::support::{assert_conserved, assert_good_job_succeeds, output};

const ROWS: usize = 300;

/// A job during which the first provider batch ends in a way of its own.
async fn ends(outcome: &str, limits: serde_json::Value) -> anyhow::Result<(Rig, client::api::Job)> {
    let rig = start(limits).await?;
    patch_batches(&rig, json!({"outcomes": [{"outcome": outcome, "times": 1}]})).await?;
    let job = run(&rig, &submission(&rig, outcome, ROWS, |row| format!("{outcome} {row}"))?).await?;
    assert_eq!((job.status.name(), job.counts.succeeded), ("completed", ROWS as u64), "{outcome}\n{}", rig.logs());
    assert_conserved(&job, &output(&rig, &format!("{outcome}.out.csv"))?);
    Ok((rig, job))
}

/// The provider charged for each row once.
fn assert_bought_once(rig: &Rig, rows: u64) -> anyhow::Result<()> {
    let totals = totals(rig)?;
    assert_eq!((totals.billed, totals.batches.billed_again), (rows, 0), "{totals:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn i13_an_error_file_alone_gives_each_row_its_own_error() -> anyhow::Result<()> {
    let (rig, _) = ends("errors_only", eager()).await?;
    let table = output(&rig, "errors_only.out.csv")?;
    assert!((0..ROWS).all(|row| table.text(row, "llm_attempts") == "2"), "each was tried again once");
    assert_bought_once(&rig, ROWS as u64)?;
    assert_good_job_succeeds(&rig, "good").await
}

#[tokio::test(flavor = "multi_thread")]
async fn i15_an_expired_provider_batch_keeps_what_is_done() -> anyhow::Result<()> {
    let (rig, _) = ends("expire", eager()).await?;
    assert_bought_once(&rig, ROWS as u64)?;
    let table = output(&rig, "expire.out.csv")?;
    let again = (0..ROWS).filter(|row| table.text(*row, "llm_attempts") == "2").count();
    assert!((100..200).contains(&again), "half of the rows expired, and {again} were tried again");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn i15_a_provider_batch_that_the_provider_cancels_keeps_what_is_done() -> anyhow::Result<()> {
    let (rig, _) = ends("cancel", eager()).await?;
    assert_bought_once(&rig, ROWS as u64)
}

#[tokio::test(flavor = "multi_thread")]
async fn i16_a_provider_batch_stuck_while_it_runs_is_cancelled_collected_and_sent_again() -> anyhow::Result<()> {
    let (rig, _) = ends("stuck_running", eager_with(json!({"window_s": 4}))).await?;
    assert_eq!(totals(&rig)?.batches.cancel_asked, 1);
    assert_bought_once(&rig, ROWS as u64)
}

#[tokio::test(flavor = "multi_thread")]
async fn i16_a_provider_batch_stuck_in_validation_is_cancelled_and_sent_again() -> anyhow::Result<()> {
    let (rig, _) = ends("stuck_validating", eager_with(json!({"window_s": 8}))).await?;
    assert_eq!(totals(&rig)?.batches.cancel_asked, 1);
    assert_bought_once(&rig, ROWS as u64)
}

#[tokio::test(flavor = "multi_thread")]
async fn i17_a_lost_provider_batch_is_sent_again() -> anyhow::Result<()> {
    let rig = start(eager_with(json!({"window_s": 3}))).await?;
    patch_batches(&rig, json!({"complete_ms": 3000, "outcomes": [{"outcome": "lost", "times": 1}]})).await?;
    let job = run(&rig, &submission(&rig, "lost", ROWS, |row| format!("lost {row}"))?).await?;
    assert_eq!(job.counts.succeeded, ROWS as u64);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn i18_statuses_that_go_backwards_or_are_unknown_are_waited_out() -> anyhow::Result<()> {
    for outcome in ["backwards", "unknown_status", "empty_error_file_id"] {
        let (rig, _) = ends(outcome, eager()).await?;
        assert_eq!(totals(&rig)?.batches.created, 1, "{outcome}");
        assert_bought_once(&rig, ROWS as u64)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn i17_a_completed_provider_batch_without_output_costs_its_rows_an_attempt() -> anyhow::Result<()> {
    let (rig, _) = ends("no_output_file", eager()).await?;
    assert_eq!(totals(&rig)?.batches.created, 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_waits_shrinks_and_fails_no_row() -> anyhow::Result<()> {
    let (rig, job) = ends("fail_token_limit", eager()).await?;
    assert_eq!(job.counts.failed, 0);
    let table = output(&rig, "fail_token_limit.out.csv")?;
    assert!((0..ROWS).all(|row| table.text(row, "llm_attempts") == "1"), "a full queue costs no attempt");
    assert_bought_once(&rig, ROWS as u64)
}

/// What the lines of one provider batch may be, row by row.
#[tokio::test(flavor = "multi_thread")]
async fn i12_i14_every_row_gets_what_its_lines_say_and_no_other() -> anyhow::Result<()> {
    let rig = start(eager()).await?;
    let markers = [
        "",
        "[[sandbox:batch_missing times=1]]",
        "[[sandbox:batch_duplicate]]",
        "[[sandbox:batch_unknown]]",
        "[[sandbox:batch_status_zero times=1]]",
        "[[sandbox:batch_null times=1]]",
        "[[sandbox:batch_expired times=1]]",
        "[[sandbox:status code=500 times=1]]",
        "[[sandbox:status code=400]]",
        "[[sandbox:refusal]]",
        "[[sandbox:no_usage]]",
        "[[sandbox:length]]",
    ];
    let text = |row: usize| format!("{row} {}", markers[row % markers.len()]);
    let rows = 25 * markers.len();
    let job = run(&rig, &submission(&rig, "lines", rows, text)?).await?;
    let table = output(&rig, "lines.out.csv")?;
    assert_conserved(&job, &table);
    assert_eq!((job.counts.succeeded, job.counts.failed), (250, 50), "{}", rig.logs());
    for row in 0..rows {
        let (status, code, attempts) =
            (table.text(row, "llm_status"), table.text(row, "llm_error_code"), table.text(row, "llm_attempts"));
        let expected = match row % markers.len() {
            1 | 4..=7 => ("succeeded", "", "2"),
            8 => ("failed", "provider_rejected", "1"),
            9 => ("failed", "refused", "1"),
            _ => ("succeeded", "", "1"),
        };
        assert_eq!((status.as_str(), code.as_str(), attempts.as_str()), expected, "row {row}: {}", text(row));
        if matches!(row % markers.len(), 0..=7) {
            assert_eq!(table.text(row, "llm_response"), text(row));
        }
    }
    assert_good_job_succeeds(&rig, "good").await
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_expired_twice_go_real_time() -> anyhow::Result<()> {
    let rig = start(eager()).await?;
    let text =
        |row: usize| format!("{row} {}", if row.is_multiple_of(10) { "[[sandbox:batch_expired times=2]]" } else { "" });
    let job = run(&rig, &submission(&rig, "twice", 200, text)?).await?;
    assert_eq!(job.counts.succeeded, 200);
    let table = output(&rig, "twice.out.csv")?;
    assert!((0..200).step_by(10).all(|row| table.text(row, "llm_attempts") == "3"));
    let totals = totals(&rig)?;
    assert_eq!((totals.billed, totals.batches.billed), (200, 180), "the others were bought in real time");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn i19_downloads_that_break_off_go_on() -> anyhow::Result<()> {
    let rig = start(eager()).await?;
    patch_batches(
        &rig,
        json!({"faults": [
            {"op": "download", "fault": "truncate", "times": 4},
            {"op": "download", "fault": "status_500", "times": 2},
            {"op": "poll", "fault": "status_503", "times": 2},
            {"op": "poll", "fault": "html", "times": 1},
            {"op": "upload", "fault": "status_500", "times": 1},
        ]}),
    )
    .await?;
    let job = run(&rig, &submission(&rig, "broken", 2_500, |row| format!("broken {row}"))?).await?;
    assert_eq!(job.counts.succeeded, 2_500, "{}", rig.logs());
    assert_bought_once(&rig, 2_500)
}
