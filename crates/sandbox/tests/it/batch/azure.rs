use serde_json::{Value, json};

use super::client::{Client, config, json as body, line, text};
use crate::support::{Sandbox, error, request};

const ENDED: [&str; 4] = ["Completed", "Failed", "Expired", "Cancelled"];

#[tokio::test]
async fn object_has_capitals_times_and_no_counts() {
    // Longer than its window: Azure's provider batches never expire.
    let sandbox = Sandbox::with(config(json!({"complete_ms": 50, "window_ms": 10}))).await;
    let client = Client::at(&sandbox, "/azure/openai/v1");
    let id = client.create(line("a", "x")).await;
    let batch = client.until(&id, &ENDED).await;
    assert_eq!(batch["status"], "Completed");
    let created = batch["created_at"].as_str().expect("text");
    chrono::DateTime::parse_from_rfc3339(created).expect("ISO 8601");
    assert_eq!(batch["request_counts"], json!({"total": null, "completed": null, "failed": null}));
    assert_eq!(batch["expires_at"], Value::Null);
    assert_eq!(client.results(&batch["output_file_id"]).await.len(), 1);
    assert_eq!(client.content(batch["error_file_id"].as_str().expect("an id")).await, "", "of zero bytes");
    assert_eq!(Client::openai(&sandbox).get(&format!("/batches/{id}")).await.status(), 404, "another family");
}

#[tokio::test]
async fn file_must_be_processed_first() {
    let sandbox = Sandbox::with(config(json!({"file_processing_ms": 60_000}))).await;
    let client = Client::at(&sandbox, "/azure/openai/v1");
    let input = client.upload(line("a", "x")).await;
    let file = || async { body(client.get(&format!("/files/{input}")).await).await };
    assert_eq!(file().await["status"], "pending");
    let (status, refused) = error(client.try_create(&input).await.expect("an answer")).await;
    assert_eq!((status.as_u16(), &refused["param"]), (400, &json!("input_file_id")));
    sandbox.patch(&json!({"batch": {"file_processing_ms": 0}})).await;
    assert_eq!(file().await["status"], "processed");
    assert_eq!(client.try_create(&input).await.expect("an answer").status(), 200);
}

#[tokio::test]
async fn polls_too_close_are_refused() {
    let sandbox = Sandbox::with(config(json!({"min_poll_ms": 60_000}))).await;
    let client = Client::at(&sandbox, "/azure/openai/v1");
    let id = client.create(line("a", "x")).await;
    let path = format!("/batches/{id}");
    let poll = || client.get(&path);
    assert_eq!(poll().await.status(), 200);
    assert_eq!(poll().await.status(), 429);
    sandbox.patch(&json!({"batch": {"min_poll_ms": 0}})).await;
    assert_eq!(poll().await.status(), 200);
}

#[tokio::test]
async fn byte_order_mark_has_a_misleading_message() {
    let sandbox = Sandbox::start().await;
    let client = Client::at(&sandbox, "/azure/openai/v1");
    let id = client.create(format!("\u{feff}{}", line("a", "x"))).await;
    let batch = client.until(&id, &ENDED).await;
    assert_eq!(batch["status"], "Failed");
    assert!(text(&batch["errors"]["data"][0], "message").contains("deployment name"));
}

#[tokio::test]
async fn key_comes_in_a_header_of_its_own_and_endpoints_without_a_version() {
    let sandbox = Sandbox::start().await;
    let client = Client::at(&sandbox, "/azure/openai/v1");
    let completions = sandbox.client.post(client.url("/chat/completions"));
    let filtered = request("echo", "[[sandbox:content_filter as=400]]");
    let (status, refused) = error(completions.header("api-key", "k").json(&filtered).send().await.expect("sent")).await;
    assert_eq!((status.as_u16(), &refused["code"]), (400, &json!("content_filter")));
    assert_eq!(refused["innererror"]["code"], "ResponsibleAIPolicyViolation");
    assert_eq!(sandbox.requests()[0].key_tail.as_deref(), Some("k"));
    let input = client.upload(line("a", "x")).await;
    let create = json!({"input_file_id": input, "endpoint": "/chat/completions", "completion_window": "24h"});
    let id = text(&body(client.post("/batches", &create).await).await, "id");
    assert_eq!(client.until(&id, &ENDED).await["status"], "Completed");
}
