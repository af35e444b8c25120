//! The calls, their limits and their faults.

use reqwest::Method;
use sandbox::{Config, Totals};
use serde_json::{Value, json};

use super::super::client::{config, json as body, text};
use super::{CREATE, Client, by_file, inline, lines, state, stats};
use crate::support::{Sandbox, error, header};

#[tokio::test]
async fn operation_has_the_documented_shape() {
    let sandbox = Sandbox::with(config(json!({"validating_ms": 60_000}))).await;
    let client = Client(&sandbox);
    let created = body(client.try_create(&inline(&["a", "b"])).await).await;
    assert!(text(&created, "name").starts_with("batches/"));
    assert_eq!((created.get("done"), created.get("response")), (None, None));
    let metadata = &created["metadata"];
    assert_eq!((&metadata["displayName"], &metadata["model"]), (&json!("job1-chunk7"), &json!("models/echo")));
    assert_eq!((state(&created), stats(&created)), ("BATCH_STATE_PENDING", ["2", "0", "0", "2"]));
    assert!(chrono::DateTime::parse_from_rfc3339(&text(metadata, "createTime")).is_ok());
    assert_eq!(metadata.get("endTime"), None);
    let name = text(&created, "name");
    assert_eq!(client.delete(&format!("/gemini/v1beta/{name}")).await.status(), 400);
}

#[tokio::test]
async fn creation_is_checked() {
    let sandbox = Sandbox::start().await;
    let client = Client(&sandbox);
    let batch = |fields: Value| json!({"batch": fields});
    for (creation, status, name) in [
        (json!({}), 400, "INVALID_ARGUMENT"),
        (batch(json!({"displayName": "a"})), 400, "INVALID_ARGUMENT"),
        (batch(json!({"inputConfig": {"fileName": "files/x"}})), 400, "INVALID_ARGUMENT"),
        (batch(json!({"displayName": "a", "inputConfig": {}})), 400, "INVALID_ARGUMENT"),
        (batch(json!({"displayName": "a", "inputConfig": {"requests": {"requests": []}}})), 400, "INVALID_ARGUMENT"),
        (batch(json!({"displayName": "a", "inputConfig": {"requests": [{}]}})), 400, "INVALID_ARGUMENT"),
        (batch(json!({"display_name": "a", "inputConfig": {"fileName": "files/x"}})), 400, "INVALID_ARGUMENT"),
        (by_file("files/none"), 403, "PERMISSION_DENIED"),
        (inline(&[&"x".repeat(21_000_000)]), 400, "INVALID_ARGUMENT"),
    ] {
        let (got, error) = error(client.try_create(&creation).await).await;
        assert_eq!((got.as_u16(), &error["status"]), (status, &json!(name)), "{error}");
    }
    let unknown = client.request(Method::POST, "/gemini/v1beta/models/none:batchGenerateContent");
    assert_eq!(unknown.json(&inline(&["a"])).send().await.expect("an answer").status(), 404);
    let no_key = sandbox.client.get(format!("http://{}/gemini/v1beta/batches", sandbox.address));
    assert_eq!(no_key.send().await.expect("an answer").status(), 403);
    assert_eq!(Totals::of(sandbox.log_path()).expect("readable").batches.created, 0);
}

#[tokio::test]
async fn upload_is_resumable_and_checked() {
    let sandbox = Sandbox::start().await;
    let client = Client(&sandbox);
    let started = client.start(10).await;
    let session = header(&started, "x-goog-upload-url").expect("a session").to_owned();
    assert!(session.starts_with(&format!("http://{}/gemini/upload/", sandbox.address)));
    let first = client.piece(&session, "upload", 0, "01234").await.expect("an answer");
    assert_eq!(header(&first, "x-goog-upload-status"), Some("active"));
    assert_eq!(client.piece(&session, "upload", 0, "01234").await.expect("an answer").status(), 400, "not there");
    let asked = client.piece(&session, "query", 0, "").await.expect("an answer");
    assert_eq!(header(&asked, "x-goog-upload-size-received"), Some("5"));
    assert_eq!(client.piece(&session, "finalize", 5, "").await.expect("an answer").status(), 400, "too short");
    let last = client.piece(&session, "upload, finalize", 5, "56789").await.expect("an answer");
    assert_eq!(header(&last, "x-goog-upload-status"), Some("final"));
    let file = body(last).await["file"].take();
    assert_eq!((&file["displayName"], &file["sizeBytes"]), (&json!("chunk-7.jsonl"), &json!("10")));
    assert_eq!((&file["mimeType"], &file["state"]), (&json!("application/jsonl"), &json!("ACTIVE")));
    let time = |name: &str| chrono::DateTime::parse_from_rfc3339(&text(&file, name)).expect("RFC 3339");
    assert_eq!(time("expirationTime") - time("createTime"), chrono::TimeDelta::hours(48));

    let name = text(&file, "name");
    assert_eq!(client.content(&name).await, "0123456789");
    assert_eq!(client.get(&format!("/gemini/download/v1beta/{name}:download?alt=media")).await.status(), 200);
    assert_eq!(client.get(&format!("/gemini/v1beta/{name}:download")).await.status(), 400);
    assert_eq!(body(client.get(&format!("/gemini/v1beta/{name}")).await).await, file);
    assert_eq!(body(client.get("/gemini/v1beta/files").await).await["files"], json!([file]));
    assert_eq!(client.delete(&format!("/gemini/v1beta/{name}")).await.status(), 200);
    let (status, gone) = error(client.get(&format!("/gemini/v1beta/{name}")).await).await;
    assert_eq!((status.as_u16(), &gone["status"]), (403, &json!("PERMISSION_DENIED")));

    sandbox.patch(&json!({"batch": {"max_bytes": 5}})).await;
    assert_eq!(client.start(6).await.status(), 400);
    let session = header(&client.start(5).await, "x-goog-upload-url").expect("a session").to_owned();
    assert_eq!(client.piece(&session, "upload, finalize", 0, "123456").await.expect("an answer").status(), 400);
}

#[tokio::test]
async fn file_that_is_being_processed_cannot_be_used() {
    let sandbox = Sandbox::with(config(json!({"file_processing_ms": 60_000}))).await;
    let client = Client(&sandbox);
    let file = client.upload(&lines(&["a"])).await;
    assert_eq!(file["state"], "PROCESSING");
    let (status, error) = error(client.try_create(&by_file(&text(&file, "name"))).await).await;
    assert_eq!((status.as_u16(), &error["status"]), (400, &json!("FAILED_PRECONDITION")));
}

#[tokio::test]
async fn queue_of_tokens_and_operations_is_limited() {
    let limits = json!({"max_enqueued_tokens": 10, "complete_ms": 60_000});
    let sandbox = Sandbox::with(config(limits)).await;
    let client = Client(&sandbox);
    let file = client.upload(&lines(&["12345678", "12345678"])).await;
    let name = client.create(&by_file(&text(&file, "name"))).await;
    let (status, full) = error(client.try_create(&inline(&["1234567890123456789012345"])).await).await;
    assert_eq!((status.as_u16(), &full["status"]), (429, &json!("RESOURCE_EXHAUSTED")));
    client.cancel(&name).await;
    client.until_done(&name).await;
    client.create(&inline(&["1234567890123456789012345"])).await;

    sandbox.patch(&json!({"batch": {"max_batches": 1}})).await;
    assert_eq!(client.try_create(&inline(&["a"])).await.status(), 429);
}

#[tokio::test]
async fn operations_are_listed_in_pages_newest_first() {
    let sandbox = Sandbox::with(Config::default()).await;
    let client = Client(&sandbox);
    assert_eq!(body(client.get("/gemini/v1beta/batches").await).await, json!({}));
    let mut names = Vec::new();
    for number in 0..5 {
        let name = client.create(&inline(&[&format!("row {number}")])).await;
        client.until_done(&name).await;
        names.insert(0, name);
    }
    let listed = |list: &Value| -> Vec<_> {
        list["operations"].as_array().expect("a list").iter().map(|batch| text(batch, "name")).collect()
    };
    let first = body(client.get("/gemini/v1beta/batches?pageSize=3").await).await;
    assert_eq!(listed(&first), names[..3]);
    assert_eq!(first["operations"][0]["metadata"]["displayName"], "job1-chunk7");
    let token = text(&first, "nextPageToken");
    let rest = body(client.get(&format!("/gemini/v1beta/batches?pageSize=3&pageToken={token}")).await).await;
    assert_eq!((listed(&rest), rest.get("nextPageToken")), (names[3..].to_vec(), None));
    for query in ["?pageSize=0", "?pageSize=x", "?pageToken=x"] {
        assert_eq!(client.get(&format!("/gemini/v1beta/batches{query}")).await.status(), 400, "{query}");
    }
}

#[tokio::test]
async fn calls_meet_faults() {
    let faults = json!([
        {"op": "upload", "fault": "status_503", "times": 1},
        {"op": "create", "fault": "drop_after", "times": 1},
        {"op": "poll", "fault": "html", "times": 1},
        {"op": "download", "fault": "truncate", "times": 1},
    ]);
    let sandbox = Sandbox::with(config(json!({"faults": faults}))).await;
    let client = Client(&sandbox);
    let content = lines(&["a"]);
    let started = client.start(content.len()).await;
    let session = header(&started, "x-goog-upload-url").expect("a session").to_owned();
    let failed = client.piece(&session, "upload, finalize", 0, &content).await.expect("an answer");
    assert_eq!(error(failed).await.1["status"], "UNAVAILABLE");
    let again = client.piece(&session, "upload, finalize", 0, &content).await.expect("an answer");
    let name = text(&body(again).await["file"], "name");
    let lost = client.request(Method::POST, CREATE).json(&by_file(&name)).send().await;
    assert!(lost.is_err());
    let listed = body(client.get("/gemini/v1beta/batches").await).await;
    let operation = text(&listed["operations"][0], "name");
    let page = client.get(&format!("/gemini/v1beta/{operation}")).await;
    assert_eq!(header(&page, "content-type"), Some("text/html"));
    let batch = client.until_done(&operation).await;
    let output = text(&batch["response"], "responsesFile");
    let torn = client.get(&format!("/gemini/v1beta/{output}:download?alt=media")).await;
    assert!(torn.bytes().await.is_err());
    assert_eq!(client.results(&output).await.len(), 1);
}
