use domain::failure::Class;
use domain::job::spec::Params;
use domain::provider::Driver;
use domain::provider_batch::RemoteStatus;
use providers::{Input, NewBatch};
use serde_json::{Value, json};
use wiremock::matchers::{body_partial_json, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::{connect, connect_with, encoded};

fn url(server: &MockServer) -> String {
    format!("{}/openai/v1", server.uri())
}

#[tokio::test]
async fn a_file_is_used_once_it_is_processed() {
    let server = MockServer::start().await;
    for (id, status) in [("f1", "Processed"), ("f2", "pending"), ("f3", "error")] {
        let file = ResponseTemplate::new(200).set_body_json(json!({"id": id, "status": status}));
        Mock::given(path(format!("/openai/v1/files/{id}"))).respond_with(file).mount(&server).await;
    }
    let driver = connect(Driver::AzureOpenai, &url(&server));
    assert_eq!((driver.is_ready("f1").await, driver.is_ready("f2").await), (Ok(true), Ok(false)));
    let error = driver.is_ready("f3").await.expect_err("an error");
    assert_eq!((error.failure.class, error.failure.error.code.as_str()), (Class::Permanent, "file_rejected"));
    assert!(driver.is_ready("f4").await.expect_err("gone").missing);
    assert_eq!(driver.habits().least_poll_s, 60);
}

#[tokio::test]
async fn the_key_has_its_own_header_and_files_expire() {
    let server = MockServer::start().await;
    let reply = ResponseTemplate::new(201).set_body_json(json!({"id": "f1", "status": "pending"}));
    Mock::given(path("/openai/v1/files")).and(header("api-key", "sk-1")).respond_with(reply).mount(&server).await;
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("in");
    std::fs::write(&file, "{}\n").expect("a file");
    let id = connect(Driver::AzureOpenai, &url(&server)).upload(&encoded(&file)).await;
    assert_eq!(id, Ok("f1".to_owned()));
    let request = server.received_requests().await.expect("a record").remove(0);
    assert!(!request.headers.contains_key("authorization"));
    let body = String::from_utf8(request.body).expect("text");
    for field in [
        "name=\"expires_after.anchor\"\r\n\r\ncreated_at\r\n",
        "name=\"expires_after.seconds\"\r\n\r\n1209600\r\n",
        "filename=\"d-1.jsonl\"\r\nContent-Type: application/json\r\n",
    ] {
        assert!(body.contains(field), "{body}");
    }
}

#[tokio::test]
async fn create_and_lines_name_the_same_endpoint() {
    for (options, endpoint) in [(vec![], "/chat/completions"), (vec![("batch_endpoint", "/v1/x")], "/v1/x")] {
        let server = MockServer::start().await;
        let body =
            json!({"endpoint": endpoint, "completion_window": "24h", "output_expires_after": {"seconds": 2_592_000}});
        let reply = ResponseTemplate::new(200).set_body_json(json!({"id": "b1", "status": "Validating"}));
        Mock::given(method("POST")).and(body_partial_json(body)).respond_with(reply).mount(&server).await;
        let driver = connect_with(Driver::AzureOpenai, &url(&server), &options).batch.expect("a batch API");
        let batch = NewBatch { input: Input::File("f1"), tag: "d-1", window_s: 172_800 };
        assert_eq!(driver.create(&batch).await, Ok("b1".to_owned()), "{endpoint}");
        let mut line = Vec::new();
        driver.encode(&driver.prepare(&Params::default()), "r1", &[], &mut line);
        assert_eq!(serde_json::from_slice::<Value>(&line).expect("JSON")["url"], endpoint);
    }
}

#[tokio::test]
async fn documented_samples_are_read() {
    let server = MockServer::start().await;
    let job = json!({
        "cancelled_at": null, "completed_at": null, "completion_window": "24h", "created_at": "2026-11-21T10:00:00.7170000+00:00",
        "error_file_id": "", "id": "b1", "errors": null, "status": "Validating", "input_file_id": "f1",
        "request_counts": {"completed": null, "failed": null, "total": null}, "metadata": null,
    });
    Mock::given(path("/openai/v1/batches/b1"))
        .respond_with(ResponseTemplate::new(200).set_body_json(job))
        .mount(&server)
        .await;
    let polled = connect(Driver::AzureOpenai, &url(&server)).poll("b1").await.expect("a provider batch");
    assert_eq!((polled.status, polled.done, polled.files.errors), (RemoteStatus::Queued, None, None));
}

#[tokio::test]
async fn the_content_filter_is_a_refusal_on_both_routes() {
    let error = json!({"error": {"message": "filtered", "type": null, "param": "prompt", "code": "content_filter", "status": 400,
        "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"hate": {"filtered": true}}}}});
    let server = MockServer::start().await;
    let reply = ResponseTemplate::new(400).set_body_json(&error);
    Mock::given(path("/openai/v1/chat/completions")).respond_with(reply).mount(&server).await;
    let connection = connect_with(Driver::AzureOpenai, &url(&server), &[]);
    let prepared = connection.realtime.prepare(&Params::default());
    let call = connection.realtime.chat(&prepared, &[]).await.result.expect_err("a refusal");
    let line = json!({"custom_id": "r1", "response": {"status_code": 400, "body": error}, "error": null}).to_string();
    let read = connection.batch.expect("a batch API").read(line.as_bytes()).result.expect_err("a refusal");
    assert_eq!((&call.class, call.error.code.as_str()), (&Class::Refusal, "refused"));
    assert_eq!(call, read);
}
