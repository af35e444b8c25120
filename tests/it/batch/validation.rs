//! Provider batches that are refused as a whole.

use serde_json::json;

use super::support::{eager, eager_with, offer, patch_batches, run, start, submission, totals};
use crate::jobs::support::{assert_conserved, assert_good_job_succeeds, output};

/// One row in a hundred spoils every provider batch that it is in.
fn text(line: bool) -> impl Fn(usize) -> String {
    move |row| if row % 100 == 50 { format!("{row} [[sandbox:batch_invalid line={line}]]") } else { format!("{row}") }
}

#[tokio::test(flavor = "multi_thread")]
async fn i22_lines_that_the_provider_names_fail_and_the_others_run() -> anyhow::Result<()> {
    let rig = start(eager()).await?;
    let job = run(&rig, &submission(&rig, "named", 400, text(true))?).await?;
    let table = output(&rig, "named.out.csv")?;
    assert_conserved(&job, &table);
    assert_eq!((job.counts.succeeded, job.counts.failed), (396, 4), "{}", rig.logs());
    assert_eq!(table.text(50, "llm_error_code"), "provider_rejected");
    assert_eq!(totals(&rig)?.billed, 396);
    assert_good_job_succeeds(&rig, "good").await
}

#[tokio::test(flavor = "multi_thread")]
async fn i22_rows_that_nobody_names_are_found_by_halving() -> anyhow::Result<()> {
    let rig = start(eager()).await?;
    let job = run(&rig, &submission(&rig, "halved", 400, text(false))?).await?;
    // In real time there is nothing wrong with these rows.
    assert_eq!(job.counts.succeeded, 400, "{}", rig.logs());
    assert_eq!((totals(&rig)?.billed, totals(&rig)?.batches.billed_again), (400, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn i22_without_a_real_time_api_halving_goes_down_to_the_row() -> anyhow::Result<()> {
    let rig = start(eager()).await?;
    let record = json!({
        "driver": "openai", "base_url": format!("{}/v1", rig.sandbox_url), "credential": "sandbox", "realtime": null,
        "batch": eager_with(json!({"min_items": 1})),
    });
    rig.admin.put_provider("sandbox", &record).await?;
    let job = run(&rig, &submission(&rig, "down", 100, text(false))?).await?;
    let table = output(&rig, "down.out.csv")?;
    assert_conserved(&job, &table);
    assert_eq!((job.counts.succeeded, job.counts.failed), (99, 1), "{}", rig.logs());
    assert_eq!(
        (table.text(50, "llm_status"), table.text(50, "llm_error_code")),
        ("failed".to_owned(), "provider_rejected".to_owned())
    );
    assert_eq!(totals(&rig)?.billed, 99);
    offer(&rig, "openai", "/v1", eager()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_breakdown_of_the_provider_is_no_reason_to_look_for_a_row() -> anyhow::Result<()> {
    let rig = start(eager()).await?;
    patch_batches(&rig, json!({"outcomes": [{"outcome": "fail_internal", "times": 2}]})).await?;
    let job = run(&rig, &submission(&rig, "broken", 400, |row| format!("broken {row}"))?).await?;
    assert_eq!(job.counts.succeeded, 400, "{}", rig.logs());
    let table = output(&rig, "broken.out.csv")?;
    assert!((0..400).all(|row| table.text(row, "llm_attempts") == "3"));
    let totals = totals(&rig)?;
    assert_eq!((totals.batches.created, totals.batches.billed, totals.billed), (3, 400, 400), "{totals:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn i24_a_model_that_the_provider_takes_away_stops_the_job_and_no_row_fails() -> anyhow::Result<()> {
    let rig = start(eager()).await?;
    rig.admin.put_model("sandbox", "echo", &json!({"upstream_model": "mistyped"})).await?;
    let submission = submission(&rig, "gone", 200, |row| format!("gone {row}"))?;
    let job_id = crate::jobs::support::submit(&rig, &submission).await?;
    let waits =
        |job: &client::api::Job| crate::jobs::support::code(job.status_reason.as_ref()) == Some("model_not_found");
    rig.wait_for(&job_id, super::support::LONG, waits).await?;
    rig.admin.put_model("sandbox", "echo", &json!({"upstream_model": "echo"})).await?;
    let job = rig.wait(&job_id, super::support::LONG).await?;
    assert_eq!((job.status.name(), job.counts.succeeded), ("completed", 200), "{}", rig.logs());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn i3_i2_a_wrong_key_stops_provider_batches_and_no_row_fails() -> anyhow::Result<()> {
    let rig = start(eager()).await?;
    super::support::patch_batches(&rig, json!({"faults": [{"op": "upload", "fault": "status_401", "times": 2}]}))
        .await?;
    let job = run(&rig, &submission(&rig, "key", 200, |row| format!("key {row}"))?).await?;
    assert_eq!((job.counts.succeeded, job.counts.failed), (200, 0), "{}", rig.logs());
    assert_eq!(totals(&rig)?.batches.created, 1);
    Ok(())
}
