use serde_json::json;

use super::client::{Client, line};
use crate::support::Sandbox;

#[tokio::test]
async fn windows_from_a_day_to_a_week_are_accepted() {
    let sandbox = Sandbox::start().await;
    let client = Client::at(&sandbox, "/groq/openai/v1");
    let input = client.upload(line("a", "x")).await;
    for (window, status) in [("24h", 200), ("48h", 200), ("7d", 200), ("23h", 400), ("8d", 400), ("soon", 400)] {
        let create = json!({"input_file_id": input, "endpoint": "/v1/chat/completions", "completion_window": window});
        let response = client.post("/batches", &create).await;
        assert_eq!(response.status(), status, "{window}");
        if window == "7d" {
            let batch: serde_json::Value = response.json().await.expect("JSON");
            let life = batch["expires_at"].as_u64().expect("a time") - batch["created_at"].as_u64().expect("a time");
            assert_eq!(life, 7 * 24 * 3600);
        }
    }
    let batch = client.ended(line("a", "x")).await;
    assert_eq!((&batch["status"], client.by_id(&batch).await.len()), (&json!("completed"), 1));
}
