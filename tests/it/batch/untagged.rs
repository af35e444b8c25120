//! A provider whose provider batches carry no tag (Anthropic): what a lost create made is known by its time and size, and its results tell whose it is.

use serde_json::{Value, json};
use tests::Rig;

use super::families::{ANTHROPIC, rig};
use super::support::{LONG, eager_with, patch_batches, submission, totals};
use crate::faults::disturbed::until;
use crate::jobs::support::{assert_clean, submit};

/// A message batch of somebody who shares the key.
async fn create_a_strangers(http: &reqwest::Client, rig: &Rig, requests: usize) -> anyhow::Result<Value> {
    let request = |number: usize| {
        json!({"custom_id": format!("stranger-{number}"), "params": {"model": "echo", "max_tokens": 10,
            "messages": [{"role": "user", "content": format!("stranger {number}")}]}})
    };
    let body = json!({"requests": (0..requests).map(request).collect::<Vec<_>>()});
    let url = format!("{}/anthropic/v1/messages/batches", rig.sandbox_url);
    let reply = call(http.post(url).json(&body)).await?;
    Ok(reply.error_for_status()?.json().await?)
}

async fn call(request: reqwest::RequestBuilder) -> anyhow::Result<reqwest::Response> {
    Ok(request.header("x-api-key", "secret").header("anthropic-version", "2023-06-01").send().await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_creates_of_one_key_are_told_apart() -> anyhow::Result<()> {
    let rig = rig(&ANTHROPIC, eager_with(json!({"max_requests": 50, "create_settle_s": 2}))).await?;
    let faults = json!([{"op": "create", "fault": "drop_after", "times": 3}]);
    patch_batches(&rig, json!({"list_lag_ms": 500, "complete_ms": 300, "faults": faults})).await?;
    // The first row is tried in real time before; four provider batches of the same size remain.
    let job_id = submit(&rig, &submission(&rig, "untagged", 201, |row| format!("untagged {row}"))?).await?;
    let job = rig.wait(&job_id, LONG).await?;
    assert_eq!(job.counts.succeeded, 201, "{}", rig.logs());
    assert_clean(&rig, &job_id)?;
    let totals = totals(&rig)?;
    assert_eq!((totals.batches.created, totals.batches.created_unanswered), (4, 3), "{totals:?}");
    assert_eq!((totals.batches.billed, totals.batches.billed_again), (200, 0), "{totals:?}");
    assert_eq!(totals.billed_prompt_tokens, job.usage.input_tokens);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_s_of_the_same_size_is_taken_for_ours_only_until_its_results_tell() -> anyhow::Result<()> {
    let rig = rig(&ANTHROPIC, eager_with(json!({"create_settle_s": 2}))).await?;
    // The create never arrives, and somebody else's does at that time.
    let faults = json!([{"op": "create", "fault": "drop_before", "times": 1}]);
    patch_batches(&rig, json!({"complete_ms": 4_000, "faults": faults})).await?;
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).timeout(LONG).build()?;
    let job_id = submit(&rig, &submission(&rig, "ours", 101, |row| format!("ours {row}"))?).await?;
    until(&rig, "dispatches WHERE stage_name = 'creating' AND stage ->> 'lost_at' IS NOT NULL").await?;
    let stranger = create_a_strangers(&http, &rig, 100).await?;
    let job = rig.wait(&job_id, LONG).await?;
    assert_eq!(job.counts.succeeded, 101, "{}", rig.logs());
    assert_clean(&rig, &job_id)?;
    let totals = totals(&rig)?;
    assert_eq!((totals.batches.created, totals.batches.cancel_asked), (2, 0), "{totals:?}\n{}", rig.logs());
    assert_eq!((totals.batches.billed, totals.batches.billed_again), (200, 0), "{totals:?}");
    let id = stranger["id"].as_str().unwrap_or_default();
    let url = format!("{}/anthropic/v1/messages/batches/{id}/results", rig.sandbox_url);
    assert_eq!(call(http.get(url)).await?.error_for_status()?.text().await?.lines().count(), 100, "it is left alone");
    Ok(())
}
