//! The rest of the catalogue's group I, on both routes.

use serde_json::{Value, json};
use tests::{Process, Rig, RigOptions};

use super::support::{LONG, eager, eager_with, offer, patch_batches, run, start, submission, totals};
use crate::jobs::support::{assert_conserved, assert_good_job_succeeds, now, output, submit};

/// The same rows on both routes: status, code and finish reason of each, by the output.
async fn on_both_routes(rows: &[(&str, &str, &str)]) -> anyhow::Result<()> {
    let rig = start(eager()).await?;
    for (name, limits) in [("batch", eager()), ("realtime", json!(null))] {
        offer(&rig, "openai", "/v1", limits).await?;
        // Each text is its own on each route, or the second would find the first's faults used up.
        let text = |row: usize| format!("{name} {row} {}", rows[row % rows.len()].0);
        let job = run(&rig, &submission(&rig, name, 10 * rows.len(), text)?).await?;
        let table = output(&rig, &format!("{name}.out.csv"))?;
        assert_conserved(&job, &table);
        for row in 0..10 * rows.len() {
            let (marker, status, code) = rows[row % rows.len()];
            let found = (table.text(row, "llm_status"), table.text(row, "llm_error_code"));
            assert_eq!((found.0.as_str(), found.1.as_str()), (status, code), "{name}: {marker}");
        }
    }
    assert_good_job_succeeds(&rig, "good").await
}

#[tokio::test(flavor = "multi_thread")]
async fn i1_i21_refusals_with_any_retry_after_cost_no_row() -> anyhow::Result<()> {
    on_both_routes(&[
        ("", "succeeded", ""),
        ("[[sandbox:rate_limit retry=seconds delay=1 times=1]]", "succeeded", ""),
        ("[[sandbox:rate_limit retry=ms delay=0.1 times=1]]", "succeeded", ""),
        ("[[sandbox:rate_limit retry=past times=1]]", "succeeded", ""),
        ("[[sandbox:rate_limit retry=garbage times=1]]", "succeeded", ""),
        ("[[sandbox:rate_limit retry=none times=2]]", "succeeded", ""),
    ])
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn i1_calls_about_provider_batches_are_paced_too() -> anyhow::Result<()> {
    let rig = start(eager()).await?;
    let fault = |op: &str| json!({"op": op, "fault": "status_429", "times": 2});
    patch_batches(&rig, json!({"faults": [fault("upload"), fault("create"), fault("poll"), fault("download")]}))
        .await?;
    let job = run(&rig, &submission(&rig, "paced", 200, |row| format!("paced {row}"))?).await?;
    assert_eq!((job.counts.succeeded, totals(&rig)?.batches.created), (200, 1), "{}", rig.logs());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn i4_i5_i6_i9_every_row_gets_its_own_end_on_either_route() -> anyhow::Result<()> {
    on_both_routes(&[
        ("[[sandbox:status code=400]]", "failed", "provider_rejected"),
        ("[[sandbox:content_filter as=400]]", "failed", "refused"),
        ("[[sandbox:context_length]]", "failed", "context_length_exceeded"),
        ("[[sandbox:status code=500 times=1]]", "succeeded", ""),
        ("[[sandbox:status code=502 times=1]]", "succeeded", ""),
        ("[[sandbox:status code=503 times=1]]", "succeeded", ""),
        ("[[sandbox:status code=529 times=1]]", "succeeded", ""),
        ("[[sandbox:html times=1]]", "succeeded", ""),
        ("[[sandbox:truncated_json times=1]]", "succeeded", ""),
        ("[[sandbox:drop_after times=1]]", "succeeded", ""),
    ])
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn i8_i20_odd_answers_are_answers_and_odd_usage_is_no_cost() -> anyhow::Result<()> {
    let rig = start(eager()).await?;
    let markers =
        ["length", "empty_content", "tool_call", "no_usage", "negative_usage", "huge_usage", "nul", "unicode"];
    for (name, limits) in [("batch", eager()), ("realtime", json!(null))] {
        offer(&rig, "openai", "/v1", limits).await?;
        let text = |row: usize| format!("{name} {row} [[sandbox:{}]]", markers[row % markers.len()]);
        let job = run(&rig, &submission(&rig, name, 80, text)?).await?;
        assert_eq!(job.counts.succeeded, 80, "{}", rig.logs());
        let table = output(&rig, &format!("{name}.out.csv"))?;
        for row in 0..80 {
            let marker = markers[row % markers.len()];
            assert_eq!(table.text(row, "llm_finish_reason") == "length", marker == "length", "{name} {marker}");
            assert_eq!(table.text(row, "llm_cost_usd").is_empty(), marker.ends_with("_usage"), "{name} {marker}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn i7_a_reply_without_end_is_cut() -> anyhow::Result<()> {
    let rig = start(json!(null)).await?;
    let text = |row: usize| if row == 1 { "[[sandbox:endless]]".to_owned() } else { format!("row {row}") };
    let mut submission = submission(&rig, "endless", 3, text)?;
    submission.limits.max_attempts = Some(1);
    let job = run(&rig, &submission).await?;
    let table = output(&rig, "endless.out.csv")?;
    assert_conserved(&job, &table);
    assert_eq!(table.text(1, "llm_error_code"), "provider_response_too_large");
    assert_good_job_succeeds(&rig, "good").await
}

#[tokio::test(flavor = "multi_thread")]
async fn i23_a_provider_batch_is_fetched_with_the_secret_that_made_it() -> anyhow::Result<()> {
    let rig = Rig::start(RigOptions::default()).await?;
    // A sandbox that knows one key only.
    let config = rig.directory.path().join("strict.json");
    std::fs::write(&config, r#"{"api_keys": ["secret"], "batch": {"complete_ms": 4000}}"#)?;
    let arguments = ["sandbox", "--config", config.to_str().unwrap_or_default()];
    let strict = Process::start(&arguments, &[], &rig.directory.path().join("strict.log"), true)?;
    let url = strict.first_line.clone().unwrap_or_default();
    let record = |url: &str, limits: Value| {
        json!({
            "driver": "openai", "base_url": format!("{url}/v1"), "credential": "sandbox",
            "realtime": {"max_concurrency": 32, "timeout_s": 5}, "batch": limits,
        })
    };
    rig.admin.put_provider("sandbox", &record(&url, eager())).await?;
    let job_id = submit(&rig, &submission(&rig, "rotated", 200, |row| format!("rotated {row}"))?).await?;
    let made = "SELECT count(*) FROM dispatches WHERE stage_name = 'submitted'";
    while crate::faults::disturbed::select::<i64>(&rig, made).await != Some(1) {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    rig.admin.put_credential("sandbox", &json!("another")).await?;
    let job = rig.wait(&job_id, LONG).await?;
    assert_eq!((job.status.name(), job.counts.succeeded), ("completed", 200), "{}", rig.logs());
    // New calls use the new one, which this sandbox does not know.
    let job_id = submit(&rig, &submission(&rig, "after", 200, |row| format!("after {row}"))?).await?;
    let waits =
        |job: &client::api::Job| crate::jobs::support::code(job.status_reason.as_ref()) == Some("provider_auth_failed");
    rig.wait_for(&job_id, LONG, waits).await?;
    rig.admin.put_credential("sandbox", &json!("secret")).await?;
    assert_eq!(rig.wait(&job_id, LONG).await?.counts.succeeded, 200, "{}", rig.logs());
    Ok(())
}

/// Azure wants a minute between polls: only a hint makes this fast.
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_s_signed_webhook_wakes_its_provider_batch() -> anyhow::Result<()> {
    let rig = start(eager()).await?;
    let secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    rig.admin.put_credential("hook", &json!(secret)).await?;
    let record = json!({
        "driver": "azure-openai", "base_url": format!("{}/azure/openai/v1", rig.sandbox_url), "credential": "sandbox",
        "realtime": {"max_concurrency": 32, "timeout_s": 5}, "batch": eager_with(json!({"poll_interval_s": 600})),
        "webhook_credential": "hook",
    });
    rig.admin.put_provider("sandbox", &record).await?;
    patch_batches(&rig, json!({"complete_ms": 2_000})).await?;
    let begun = std::time::Instant::now();
    let job_id = submit(&rig, &submission(&rig, "hook", 200, |row| format!("hook {row}"))?).await?;
    let remote_id = loop {
        let made = "SELECT remote_id FROM dispatches WHERE stage_name = 'submitted' AND remote_status IS NOT NULL AND lease_owner IS NULL";
        match crate::faults::disturbed::select::<String>(&rig, made).await {
            Some(remote_id) => break remote_id,
            None => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
        }
    };
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(tell(&rig, secret, &format!("{remote_id}x")).await?, 204, "one that nobody knows is no error");
    assert_eq!(tell(&rig, "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", &remote_id).await?, 401);
    assert_eq!(tell(&rig, secret, &remote_id).await?, 204);
    let job = rig.wait(&job_id, LONG).await?;
    assert_eq!(job.counts.succeeded, 200);
    assert!(begun.elapsed() < std::time::Duration::from_secs(50), "it was polled, not woken");
    Ok(())
}

/// Posts the event that a provider batch has ended, signed as Standard Webhooks say. Returns the status.
async fn tell(rig: &Rig, secret: &str, remote_id: &str) -> anyhow::Result<u16> {
    use base64::Engine as _;
    let base64 = base64::engine::general_purpose::STANDARD;
    let body = json!({"type": "batch.completed", "data": {"id": remote_id}}).to_string();
    let seconds = now().timestamp();
    let key = base64.decode(secret.trim_start_matches("whsec_"))?;
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &key);
    let signature = aws_lc_rs::hmac::sign(&key, format!("evt_1.{seconds}.{body}").as_bytes());
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).timeout(LONG).build()?;
    let answer = http
        .post(format!("{}/v1/provider_webhooks/sandbox", rig.url))
        .header("content-type", "application/json")
        .header("webhook-id", "evt_1")
        .header("webhook-timestamp", seconds.to_string())
        .header("webhook-signature", format!("v1,{}", base64.encode(signature)))
        .body(body)
        .send()
        .await?;
    Ok(answer.status().as_u16())
}

#[test]
fn every_case_of_group_i_has_a_test() -> anyhow::Result<()> {
    let mut names = String::new();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("it/batch");
    for file in std::fs::read_dir(folder)? {
        let text = std::fs::read_to_string(file?.path()).unwrap_or_default();
        names
            .extend(text.split("fn ").skip(1).filter_map(|rest| rest.split('(').next()).map(|name| format!("{name}_")));
    }
    let missing: Vec<_> = (1..=24).filter(|case| !names.contains(&format!("i{case}_"))).collect();
    assert!(missing.is_empty(), "no test for I{missing:?}");
    Ok(())
}
