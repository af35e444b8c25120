use std::sync::Arc;

use chrono::DateTime;
use domain::failure::Class;
use domain::provider::Driver;
use domain::provider_batch::{RemoteStatus, ResultFiles};
use providers::{BatchDriver, Found, Input, NewBatch, Wanted};
use serde_json::{Value, json};
use wiremock::matchers::{body_json, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::{connect, encoded};

const BATCH: NewBatch<'_> = NewBatch { input: Input::File("file-1"), tag: "d-1", window_s: 86_400 };

fn driver(server: &MockServer) -> Arc<dyn BatchDriver> {
    connect(Driver::Together, &format!("{}/v1", server.uri()))
}

async fn answers(method_name: &str, at: &str, status: u16, body: Value) -> MockServer {
    let server = MockServer::start().await;
    let reply = ResponseTemplate::new(status).set_body_json(body);
    Mock::given(method(method_name)).and(path(at)).respond_with(reply).mount(&server).await;
    server
}

#[tokio::test]
async fn an_upload_is_one_plain_form() {
    let server = answers("POST", "/v1/files/upload", 200, json!({"id": "file-1", "Processed": false})).await;
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("in");
    std::fs::write(&file, "{}\n").expect("a file");
    assert_eq!(driver(&server).upload(&encoded(&file)).await, Ok("file-1".to_owned()));
    let body = server.received_requests().await.expect("a record").remove(0).body;
    let body = String::from_utf8(body).expect("text");
    for field in [
        "name=\"purpose\"\r\n\r\nbatch-api\r\n",
        "name=\"file_name\"\r\n\r\nd-1.jsonl\r\n",
        "name=\"file_type\"\r\n\r\njsonl\r\n",
        "name=\"file\"; filename=\"d-1.jsonl\"\r\n",
    ] {
        assert!(body.contains(field), "{body}");
    }
}

#[tokio::test]
async fn a_create_is_wrapped_and_a_poll_is_not() {
    let server = MockServer::start().await;
    let body = json!({"input_file_id": "file-1", "endpoint": "/v1/chat/completions", "completion_window": "24h"});
    let reply = ResponseTemplate::new(201)
        .set_body_json(json!({"job": {"id": "j1", "status": "VALIDATING"}, "warning": "slow"}));
    Mock::given(path("/v1/batches")).and(body_json(body)).respond_with(reply).mount(&server).await;
    assert_eq!(driver(&server).create(&BATCH).await, Ok("j1".to_owned()));
    let job = json!({"id": "j1", "status": "COMPLETED", "progress": 100.0, "output_file_id": "file-2", "error_file_id": "",
        "created_at": "2026-11-21T10:00:00Z", "error": ""});
    let reply = ResponseTemplate::new(200).set_body_json(job);
    Mock::given(path("/v1/batches/j1")).respond_with(reply).mount(&server).await;
    let polled = driver(&server).poll("j1").await.expect("a job");
    assert_eq!((polled.status, polled.done, polled.errors.len()), (RemoteStatus::Done, None, 0));
    assert_eq!(polled.files, ResultFiles { output: Some("file-2".to_owned()), errors: None });
}

#[tokio::test]
async fn a_failed_job_says_why_in_a_text() {
    let server =
        answers("GET", "/v1/batches/j1", 200, json!({"id": "j1", "status": "FAILED", "error": "bad line"})).await;
    let polled = driver(&server).poll("j1").await.expect("a job");
    assert_eq!((polled.status, polled.errors[0].message.as_str()), (RemoteStatus::Failed, "bad line"));
}

#[tokio::test]
async fn errors_are_texts() {
    for (status, class, ambiguous) in [
        (400, Class::Permanent, false),
        (401, Class::KeyLevel, false),
        (429, Class::Wait, false),
        (500, Class::Transient, true),
    ] {
        let server = answers("POST", "/v1/batches", status, json!({"error": "no"})).await;
        let error = driver(&server).create(&BATCH).await.expect_err("a refusal");
        assert_eq!((error.failure.class, error.ambiguous), (class, ambiguous), "{status}");
        assert_eq!(error.failure.error.message, format!("HTTP {status}: no"));
    }
}

#[tokio::test]
async fn a_search_matches_the_file() {
    let jobs = json!([{"id": "j1", "input_file_id": "file-2"}, {"id": "j2", "input_file_id": "file-1"}, {"id": "j3"}]);
    for list in [jobs.clone(), json!({"data": jobs})] {
        let server = answers("GET", "/v1/batches", 200, list).await;
        let wanted = Wanted { tag: "d-1", file: Some("file-1"), since: DateTime::UNIX_EPOCH, requests: 2 };
        assert_eq!(driver(&server).find(&wanted).await, Ok(vec![Found { id: "j2".to_owned(), certain: true }]));
        let fileless = Wanted { file: None, ..wanted };
        assert_eq!(driver(&server).find(&fileless).await, Ok(Vec::new()));
    }
}

#[tokio::test]
async fn a_redirected_upload_is_not_followed() {
    let elsewhere = answers("PUT", "/signed", 200, json!({})).await;
    let server = MockServer::start().await;
    let redirect = ResponseTemplate::new(302).insert_header("location", format!("{}/signed", elsewhere.uri()));
    Mock::given(path("/v1/files/upload")).respond_with(redirect).mount(&server).await;
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("in");
    std::fs::write(&file, "{}\n").expect("a file");
    let error = driver(&server).upload(&encoded(&file)).await.expect_err("a redirect");
    assert_eq!((error.failure.class, error.ambiguous), (Class::KeyLevel, false));
    assert_eq!(elsewhere.received_requests().await.expect("a record").len(), 0);
}
