use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use domain::failure::Class;
use domain::provider::Driver;
use domain::provider_batch::{RemoteStatus, ResultFiles, ValidationError};
use providers::{BatchDriver, Found, Input, NewBatch, Wanted};
use serde_json::{Value, json};
use wiremock::matchers::{body_json, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::connect;

fn driver(server: &MockServer) -> Arc<dyn BatchDriver> {
    connect(Driver::Mistral, &format!("{}/v1", server.uri()))
}

async fn polled(job: Value) -> providers::Polled {
    let server = MockServer::start().await;
    let reply = ResponseTemplate::new(200).set_body_json(job);
    Mock::given(path("/v1/batch/jobs/j1")).respond_with(reply).mount(&server).await;
    driver(&server).poll("j1").await.expect("a job")
}

#[tokio::test]
async fn a_job_names_its_model_its_file_and_whole_hours() {
    for (window_s, hours) in [(0, 1), (86_400, 24), (86_401, 25), (u32::MAX, 168)] {
        let server = MockServer::start().await;
        let body = json!({
            "input_files": ["f1"], "endpoint": "/v1/chat/completions", "model": "m-1", "metadata": {"gristmill": "d-1"},
            "timeout_hours": hours,
        });
        let reply = ResponseTemplate::new(200).set_body_json(json!({"id": "j1", "status": "QUEUED"}));
        Mock::given(path("/v1/batch/jobs")).and(body_json(body)).respond_with(reply).mount(&server).await;
        let batch = NewBatch { input: Input::File("f1"), tag: "d-1", window_s };
        assert_eq!(driver(&server).create(&batch).await, Ok("j1".to_owned()), "{window_s}");
    }
}

#[tokio::test]
async fn a_job_is_polled() {
    let polled = polled(json!({
        "id": "j1", "status": "SUCCESS", "output_file": "o1", "error_file": null, "errors": [{"message": "bad", "count": 2}],
        "total_requests": 3, "completed_requests": 3, "succeeded_requests": 1, "failed_requests": 2,
    }))
    .await;
    assert_eq!((polled.status, polled.done), (RemoteStatus::Done, Some(3)));
    assert_eq!(polled.files, ResultFiles { output: Some("o1".to_owned()), errors: None });
    let error = ValidationError { code: "job_failed".to_owned(), message: "bad".to_owned(), line: None };
    assert_eq!(polled.errors, vec![error]);
}

#[tokio::test]
async fn every_word_has_its_status() {
    for (word, status) in [
        ("QUEUED", RemoteStatus::Queued),
        ("RUNNING", RemoteStatus::Running),
        ("SUCCESS", RemoteStatus::Done),
        ("FAILED", RemoteStatus::Failed),
        ("TIMEOUT_EXCEEDED", RemoteStatus::Expired),
        ("CANCELLATION_REQUESTED", RemoteStatus::Cancelling),
        ("CANCELLED", RemoteStatus::Cancelled),
        ("VALIDATING", RemoteStatus::Unknown),
    ] {
        assert_eq!(polled(json!({"id": "j1", "status": word})).await.status, status, "{word}");
    }
}

fn since() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).expect("a time")
}

async fn page(server: &MockServer, number: &str, reply: Value, calls: u64) {
    Mock::given(method("GET"))
        .and(path("/v1/batch/jobs"))
        .and(query_param("page", number))
        .and(query_param("page_size", "100"))
        .and(query_param("created_after", "2027-01-15T07:50:00Z"))
        .and(query_param("order_by", "-created"))
        .respond_with(ResponseTemplate::new(200).set_body_json(reply))
        .expect(calls)
        .mount(server)
        .await;
}

fn job(id: &str, minutes_later: i64, mut more: Value) -> Value {
    more["id"] = id.into();
    more["created_at"] = (since() + TimeDelta::minutes(minutes_later)).timestamp().into();
    more
}

#[tokio::test]
async fn a_search_turns_pages_and_matches_here() {
    let server = MockServer::start().await;
    let first = [
        job("j9", 9, json!({"metadata": {"gristmill": "d-2"}, "input_files": ["f2"]})),
        job("j8", 8, json!({"metadata": {"gristmill": "d-1"}, "input_files": []})),
    ];
    // Something new has pushed it there from the first page.
    let second = [first[1].clone(), job("j7", 7, json!({"metadata": null, "input_files": ["f1"]}))];
    page(&server, "0", json!({"data": first, "total": 5}), 1).await;
    page(&server, "1", json!({"data": second, "total": 5}), 1).await;
    page(&server, "2", json!({"data": [job("j6", 6, json!({}))], "total": 5}), 1).await;
    page(&server, "3", json!({"data": [], "total": 5}), 0).await;
    let wanted = Wanted { tag: "d-1", file: Some("f1"), since: since(), requests: 2 };
    let found = driver(&server).find(&wanted).await.expect("an answer");
    let found: Vec<_> = found.iter().map(|Found { id, certain }| (id.as_str(), *certain)).collect();
    assert_eq!(found, [("j8", true), ("j7", true)]);
}

#[tokio::test]
async fn a_list_without_a_total_ends_where_it_is_empty() {
    let server = MockServer::start().await;
    page(&server, "0", json!({"data": [job("j1", 1, json!({}))]}), 1).await;
    page(&server, "1", json!({"data": null}), 1).await;
    let wanted = Wanted { tag: "d-1", file: Some("f1"), since: since(), requests: 2 };
    assert_eq!(driver(&server).find(&wanted).await, Ok(Vec::new()));
}

#[tokio::test]
async fn files_are_uploaded_under_a_name_and_found_by_it() {
    let server = MockServer::start().await;
    let files = json!({"data": [{"id": "f1", "filename": "d-1.jsonl"}, {"id": "f2", "filename": "x"}], "total": 2});
    Mock::given(path("/v1/files"))
        .and(query_param("purpose", "batch"))
        .respond_with(ResponseTemplate::new(200).set_body_json(files))
        .mount(&server)
        .await;
    assert_eq!(driver(&server).find_files("d-1.jsonl").await, Ok(vec!["f1".to_owned()]));
}

#[tokio::test]
async fn errors_at_the_top_of_a_body_are_read_on_both_routes() {
    let server = MockServer::start().await;
    let driver = driver(&server);
    let error =
        json!({"object": "error", "message": "no such model", "type": "invalid_model", "param": null, "code": "1500"});
    let line = json!({"custom_id": "r1", "response": {"status_code": 400, "body": error}, "error": null}).to_string();
    let failure = driver.read(line.as_bytes()).result.expect_err("a failure");
    assert_eq!((failure.class, failure.error.message.as_str()), (Class::Permanent, "HTTP 400: no such model"));
    let reply = ResponseTemplate::new(429).insert_header("retry-after", "7").set_body_json(error);
    Mock::given(path("/v1/batch/jobs")).respond_with(reply).mount(&server).await;
    let batch = NewBatch { input: Input::File("f1"), tag: "d-1", window_s: 86_400 };
    let refused = driver.create(&batch).await.expect_err("a refusal");
    assert_eq!((refused.failure.class, refused.ambiguous), (Class::Wait, false));
    assert_eq!(refused.failure.retry_after, Some(std::time::Duration::from_secs(7)));
}
