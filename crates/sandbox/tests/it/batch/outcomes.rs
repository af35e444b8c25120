//! What becomes of whole provider batches.

use sandbox::Totals;
use serde_json::{Value, json};

use super::client::{Client, config, json as body, line, lines, text};
use crate::support::Sandbox;

const TWENTY: [&str; 20] = ["x"; 20];

async fn with(outcome: Value) -> Sandbox {
    Sandbox::with(config(json!({"outcomes": [outcome]}))).await
}

#[tokio::test]
async fn every_request_fails() {
    let sandbox = with(json!({"outcome": "errors_only", "times": 1})).await;
    let client = Client::openai(&sandbox);
    let batch = client.ended(lines(&["a", "b"])).await;
    assert_eq!((&batch["status"], &batch["output_file_id"]), (&json!("completed"), &Value::Null));
    assert_eq!(batch["request_counts"], json!({"total": 2, "completed": 0, "failed": 2}));
    let failed = client.results(&batch["error_file_id"]).await;
    assert!(failed.iter().all(|line| line["response"]["status_code"] == 500 && line["error"].is_null()));
    assert_eq!(Totals::of(sandbox.log_path()).expect("readable").billed, 0);
    assert_eq!(client.ended(lines(&["a", "b"])).await["request_counts"]["completed"], 2, "only the first");
}

#[tokio::test]
async fn whole_fails() {
    let outcomes = [
        ("fail_validation", "invalid_json_line"),
        ("fail_token_limit", "token_limit_exceeded"),
        ("fail_internal", "server_error"),
    ];
    for (outcome, code) in outcomes {
        let sandbox = with(json!({"outcome": outcome})).await;
        let batch = Client::openai(&sandbox).ended(line("a", "x")).await;
        assert_eq!((&batch["status"], &batch["output_file_id"]), (&json!("failed"), &Value::Null));
        assert_eq!(batch["errors"]["data"][0]["code"], code);
        assert_eq!(Totals::of(sandbox.log_path()).expect("readable").batches.ended["failed"], 1);
    }
}

#[tokio::test]
async fn provider_ends_it_early_with_a_share_of_the_results() {
    for (outcome, status, code) in [("expire", "expired", "batch_expired"), ("cancel", "cancelled", "batch_cancelled")]
    {
        let sandbox = with(json!({"outcome": outcome, "done_fraction": 0.75})).await;
        let client = Client::openai(&sandbox);
        let batch = client.ended(lines(&TWENTY)).await;
        assert_eq!(batch["status"], status);
        assert!(batch[format!("{status}_at")].is_u64());
        assert_eq!(client.by_id(&batch).await.len(), 20);
        assert_eq!(client.results(&batch["output_file_id"]).await.len(), 15);
        let rest = client.results(&batch["error_file_id"]).await;
        assert!(rest.iter().all(|line| line["error"]["code"] == code));
        assert_eq!(Totals::of(sandbox.log_path()).expect("readable").billed, 15);
    }
}

#[tokio::test]
async fn window_ends_before_the_work_does() {
    let sandbox = Sandbox::with(config(json!({"complete_ms": 400, "window_ms": 200}))).await;
    let client = Client::openai(&sandbox);
    let batch = client.ended(lines(&TWENTY)).await;
    assert_eq!(batch["status"], "expired");
    assert_eq!(client.results(&batch["output_file_id"]).await.len(), 10);
    assert_eq!(client.results(&batch["error_file_id"]).await.len(), 10);
}

#[tokio::test]
async fn stuck_ones_end_when_they_are_cancelled() {
    for (outcome, status, done) in [("stuck_validating", "validating", 0), ("stuck_running", "in_progress", 10)] {
        let sandbox = with(json!({"outcome": outcome})).await;
        let client = Client::openai(&sandbox);
        let id = client.create(lines(&TWENTY)).await;
        client.until(&id, &[status]).await;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        assert_eq!(client.batch(&id).await["status"], status);
        client.post(&format!("/batches/{id}/cancel"), &Value::Null).await;
        let batch = client.until(&id, &["cancelled"]).await;
        assert_eq!(client.results(&batch["output_file_id"]).await.len(), done, "{outcome}");
        assert_eq!(client.by_id(&batch).await.len(), 20);
    }
}

#[tokio::test]
async fn lost_one_is_gone_from_its_second_poll_on() {
    let sandbox = with(json!({"outcome": "lost", "times": 1})).await;
    let client = Client::openai(&sandbox);
    let id = client.create(line("a", "x")).await;
    assert_eq!(client.get(&format!("/batches/{id}")).await.status(), 200);
    assert_eq!(client.get(&format!("/batches/{id}")).await.status(), 404);
    assert_eq!(client.get(&format!("/batches/{id}")).await.status(), 404);
    assert_eq!(body(client.get("/batches").await).await["data"], json!([]));
}

#[tokio::test]
async fn status_goes_back_or_is_unknown_before_the_end() {
    for (outcome, seen) in [
        ("backwards", ["in_progress", "validating", "in_progress", "completed"]),
        ("unknown_status", ["rebalancing", "rebalancing", "completed", "completed"]),
    ] {
        let sandbox = with(json!({"outcome": outcome})).await;
        let client = Client::openai(&sandbox);
        let id = client.create(line("a", "x")).await;
        sandbox.until(|stats| stats.batches.by_status.contains_key("completed")).await;
        for status in seen {
            let batch = client.batch(&id).await;
            assert_eq!((&batch["status"], batch["output_file_id"].is_null()), (&json!(status), status != "completed"));
        }
    }
}

#[tokio::test]
async fn file_ids_are_missing_or_empty() {
    let sandbox = with(json!({"outcome": "no_output_file", "times": 1})).await;
    let client = Client::openai(&sandbox);
    let batch = client.ended(line("a", "x")).await;
    assert_eq!((&batch["status"], &batch["output_file_id"]), (&json!("completed"), &Value::Null));
    assert_eq!(Totals::of(sandbox.log_path()).expect("readable").billed, 1, "it was done");
    sandbox.patch(&json!({"batch": {"outcomes": [{"outcome": "empty_error_file_id"}]}})).await;
    let batch = client.ended(line("a", "x")).await;
    assert_eq!((text(&batch, "error_file_id"), client.by_id(&batch).await.len()), (String::new(), 1));
}

#[tokio::test]
async fn times_are_as_configured() {
    let sandbox = Sandbox::with(config(json!({"validating_ms": 600, "complete_ms": 900}))).await;
    let client = Client::openai(&sandbox);
    let started = std::time::Instant::now();
    let id = client.create(lines(&TWENTY)).await;
    assert_eq!(client.batch(&id).await["status"], "validating");
    let running = client.until(&id, &["in_progress"]).await;
    assert!(started.elapsed().as_millis() >= 600);
    assert!(running["request_counts"]["completed"].as_u64().expect("a count") < 20);
    client.until(&id, &["completed"]).await;
    assert!(started.elapsed().as_millis() >= 900);
}
