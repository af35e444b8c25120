use sandbox::Totals;
use serde_json::{Value, json};

use super::client::{Client, config, json as body, line, lines, text};
use crate::support::{Sandbox, error, header};

#[tokio::test]
async fn queue_has_room_for_so_many_tokens() {
    let sandbox = Sandbox::with(config(json!({"max_enqueued_tokens": 10, "complete_ms": 60_000}))).await;
    let client = Client::openai(&sandbox);
    // Two tokens each.
    let first = client.create(lines(&["12345678"; 4])).await;
    client.until(&first, &["in_progress"]).await;
    let stats = sandbox.stats().await.batches;
    assert_eq!((stats.enqueued_tokens, stats.requests_queued, stats.by_status["running"]), (8, 4, 1));
    let over = client.ended(lines(&["12345678"; 2])).await;
    assert_eq!(over["status"], "failed");
    let error = &over["errors"]["data"][0];
    assert_eq!((&error["code"], &error["line"]), (&json!("token_limit_exceeded"), &Value::Null));
    assert!(error["message"].as_str().expect("text").starts_with("Enqueued token limit reached for echo"));
    let other_model = lines(&["12345678"; 2]).replace(r#""echo""#, r#""echo-2""#);
    client.until(&client.create(other_model).await, &["in_progress"]).await;
    client.post(&format!("/batches/{first}/cancel"), &Value::Null).await;
    client.until(&first, &["cancelled"]).await;
    client.until(&client.create(lines(&["12345678"; 2])).await, &["in_progress"]).await;
}

#[tokio::test]
async fn creations_and_open_provider_batches_are_counted() {
    let sandbox = Sandbox::with(config(json!({"creates_per_hour": 2, "complete_ms": 60_000}))).await;
    let client = Client::openai(&sandbox);
    let input = client.upload(line("a", "x")).await;
    for _ in 0..2 {
        assert_eq!(client.try_create(&input).await.expect("an answer").status(), 200);
    }
    let over = client.try_create(&input).await.expect("an answer");
    let seconds: u64 = header(&over, "retry-after").expect("a delay").parse().expect("a number");
    assert!((3500..=3600).contains(&seconds), "{seconds}");
    assert_eq!(error(over).await.1["code"], "rate_limit_exceeded");
    let outcomes = json!([{"outcome": "fail_validation", "times": 1}]);
    sandbox.patch(&json!({"batch": {"creates_per_hour": null, "max_batches": 2, "outcomes": outcomes}})).await;
    assert_eq!(client.try_create(&input).await.expect("an answer").status(), 429);
    sandbox.patch(&json!({"batch": {"max_batches": 3}})).await;
    let created = body(client.try_create(&input).await.expect("an answer")).await;
    client.until(&text(&created, "id"), &["failed"]).await;
}

#[tokio::test]
async fn new_provider_batch_is_seen_late() {
    let sandbox = Sandbox::with(config(json!({"list_lag_ms": 60_000}))).await;
    let client = Client::openai(&sandbox);
    let id = client.create(line("a", "x")).await;
    assert_eq!(client.get(&format!("/batches/{id}")).await.status(), 200);
    assert_eq!(body(client.get("/batches").await).await["data"], json!([]));
    sandbox.patch(&json!({"batch": {"list_lag_ms": 0, "get_lag_ms": 60_000}})).await;
    assert_eq!(client.get(&format!("/batches/{id}")).await.status(), 404);
    assert_eq!(body(client.get("/batches").await).await["data"][0]["id"], json!(id));
}

#[tokio::test]
async fn windows_are_those_allowed() {
    let sandbox = Sandbox::with(config(json!({"allow_completion_window": ["1h"]}))).await;
    let client = Client::openai(&sandbox);
    let input = client.upload(line("a", "x")).await;
    let create =
        |window: &str| json!({"input_file_id": input, "endpoint": "/v1/chat/completions", "completion_window": window});
    assert_eq!(client.post("/batches", &create("24h")).await.status(), 400);
    let batch = body(client.post("/batches", &create("1h")).await).await;
    assert_eq!(batch["expires_at"].as_u64(), batch["created_at"].as_u64().map(|at| at + 3600));
    assert_eq!(Totals::of(sandbox.log_path()).expect("readable").batches.created, 1);
}
