//! Faults of calls.

use sandbox::{Entry, Totals};
use serde_json::{Value, json};

use super::client::{Client, json as body, line, lines, text};
use crate::support::{Sandbox, error, header};

async fn fault(sandbox: &Sandbox, fault: Value) {
    let response = sandbox.patch(&json!({"batch": {"faults": [fault]}})).await;
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn creation_without_an_answer_is_found_by_its_metadata() {
    let sandbox = Sandbox::start().await;
    let client = Client::openai(&sandbox);
    let input = client.upload(line("a", "x")).await;
    fault(&sandbox, json!({"op": "create", "fault": "drop_after", "times": 1})).await;
    assert!(client.try_create(&input).await.is_err());
    let list = body(client.get("/batches").await).await;
    let found = &list["data"][0];
    assert_eq!((&found["metadata"], &found["input_file_id"]), (&json!({"chunk": "7"}), &json!(input)));
    client.until(&text(found, "id"), &["completed"]).await;
    let unanswered =
        sandbox.entries().into_iter().any(|entry| matches!(entry, Entry::BatchCreated(created) if !created.answered));
    assert!(unanswered);
    assert_eq!(client.try_create(&input).await.expect("only once").status(), 200);
    let totals = Totals::of(sandbox.log_path()).expect("readable").batches;
    assert_eq!((totals.created, totals.created_unanswered), (2, 1));
    assert_eq!(sandbox.stats().await.by_fault["create:drop_after"], 1);
}

#[tokio::test]
async fn dropped_calls_have_their_effect_or_none() {
    let sandbox = Sandbox::start().await;
    let client = Client::openai(&sandbox);
    let files = || async { body(client.get("/files").await).await["data"].as_array().map(Vec::len) };
    fault(&sandbox, json!({"op": "upload", "fault": "drop_before", "times": 1})).await;
    assert!(client.try_upload("a.jsonl", line("a", "x")).await.is_err());
    assert_eq!(files().await, Some(0));
    fault(&sandbox, json!({"op": "upload", "fault": "drop_after", "times": 1})).await;
    assert!(client.try_upload("a.jsonl", line("a", "x")).await.is_err());
    assert_eq!(files().await, Some(1));
    let input = client.upload(line("a", "x")).await;
    fault(&sandbox, json!({"op": "create", "fault": "drop_before", "times": 1})).await;
    assert!(client.try_create(&input).await.is_err());
    assert_eq!(Totals::of(sandbox.log_path()).expect("readable").batches.created, 0);
    fault(&sandbox, json!({"op": "delete_file", "fault": "drop_after", "times": 1})).await;
    let path = format!("/files/{input}");
    assert!(client.send(sandbox.client.delete(client.url(&path))).await.is_err());
    assert_eq!(client.delete(&path).await.status(), 404, "it has been deleted");
}

#[tokio::test]
async fn errors_and_pages_come_instead_of_answers() {
    let sandbox = Sandbox::start().await;
    let client = Client::openai(&sandbox);
    let id = client.create(line("a", "x")).await;
    let path = format!("/batches/{id}");
    let poll = || client.get(&path);
    for status in [401, 404, 429, 500, 503] {
        fault(&sandbox, json!({"op": "poll", "fault": format!("status_{status}"), "times": 1})).await;
        let (got, error) = error(poll().await).await;
        assert_eq!(got.as_u16(), status);
        assert!(error["message"].is_string());
        assert_eq!(poll().await.status(), 200);
    }
    fault(&sandbox, json!({"op": "list", "fault": "html", "every_nth": 2})).await;
    let kind = async || header(&client.get("/batches").await, "content-type").map(str::to_owned);
    assert_eq!(kind().await.as_deref(), Some("application/json"));
    assert_eq!(kind().await.as_deref(), Some("text/html"));
    fault(&sandbox, json!({"op": "cancel", "fault": "status_500", "skip": 1, "times": 1})).await;
    let cancel = || client.post("/batches/none/cancel", &Value::Null);
    assert_eq!(
        [cancel().await.status(), cancel().await.status(), cancel().await.status()].map(|status| status.as_u16()),
        [404, 500, 404]
    );
    let big = line("a", &"x".repeat(3_000_000));
    fault(&sandbox, json!({"op": "upload", "fault": "status_503", "times": 1})).await;
    assert_eq!(client.try_upload("a.jsonl", big).await.expect("an answer").status(), 503, "after the whole body");
    let unknown = sandbox.patch(&json!({"batch": {"faults": [{"op": "poll", "fault": "tpyo"}]}})).await;
    assert_eq!(unknown.status(), 400);
}

#[tokio::test]
async fn download_breaks_off_and_goes_on_where_it_broke() {
    let sandbox = Sandbox::start().await;
    let client = Client::openai(&sandbox);
    let long = "x".repeat(200_000);
    let batch = client.ended(lines(&[&long, &long, &long])).await;
    let path = format!("/files/{}/content", text(&batch, "output_file_id"));
    let whole = client.get(&path).await.bytes().await.expect("whole");
    fault(&sandbox, json!({"op": "download", "fault": "truncate", "times": 2})).await;
    let mut received = Vec::new();
    for promised in [whole.len(), whole.len() - whole.len() / 2] {
        let request = sandbox.client.get(client.url(&path)).header("range", format!("bytes={}-", received.len()));
        let mut response = client.send(request).await.expect("an answer");
        assert_eq!((response.status().as_u16(), response.content_length()), (206, Some(promised as u64)));
        let start = received.len();
        let broken = loop {
            match response.chunk().await {
                Ok(Some(chunk)) => received.extend(chunk),
                Ok(None) => break false,
                Err(_) => break true,
            }
        };
        assert!(broken);
        assert_eq!(received.len() - start, promised / 2);
    }
    let request = sandbox.client.get(client.url(&path)).header("range", format!("bytes={}-", received.len()));
    received.extend(client.send(request).await.expect("an answer").bytes().await.expect("whole"));
    assert_eq!(received, whole);
}

#[tokio::test]
async fn timeout_never_answers() {
    let sandbox = Sandbox::start().await;
    let client = Client::openai(&sandbox);
    fault(&sandbox, json!({"op": "poll", "fault": "timeout"})).await;
    let request = sandbox.client.get(client.url("/batches/any")).timeout(std::time::Duration::from_millis(200));
    assert!(client.send(request).await.expect_err("no answer").is_timeout());
}
