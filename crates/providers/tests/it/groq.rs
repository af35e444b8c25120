use domain::failure::Class;
use domain::job::spec::Params;
use domain::provider::Driver;
use providers::{Input, NewBatch};
use serde_json::json;
use wiremock::matchers::{body_json, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::{connect, connect_with, encoded};

#[tokio::test]
async fn a_create_has_a_window_and_no_expiry() {
    let server = MockServer::start().await;
    let body = json!({
        "input_file_id": "f1", "endpoint": "/v1/chat/completions", "completion_window": "7d", "metadata": {"gristmill": "d-1"},
    });
    let reply = ResponseTemplate::new(200).set_body_json(json!({"id": "b1"}));
    Mock::given(path("/openai/v1/batches")).and(body_json(body)).respond_with(reply).mount(&server).await;
    let driver = connect(Driver::Groq, &format!("{}/openai/v1", server.uri()));
    let batch = NewBatch { input: Input::File("f1"), tag: "d-1", window_s: 604_800 };
    assert_eq!(driver.create(&batch).await, Ok("b1".to_owned()));
}

#[tokio::test]
async fn an_upload_names_no_expiry_either() {
    let server = MockServer::start().await;
    let reply = ResponseTemplate::new(200).set_body_json(json!({"id": "f1"}));
    Mock::given(path("/openai/v1/files")).respond_with(reply).mount(&server).await;
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("in");
    std::fs::write(&file, "{}\n").expect("a file");
    let driver = connect(Driver::Groq, &format!("{}/openai/v1", server.uri()));
    assert_eq!(driver.upload(&encoded(&file)).await, Ok("f1".to_owned()));
    assert_eq!(driver.is_ready("f1").await, Ok(true));
    let body = server.received_requests().await.expect("a record").remove(0).body;
    assert!(!String::from_utf8(body).expect("text").contains("expires_after"));
}

#[tokio::test]
async fn timings_in_usage_are_passed_over_and_full_capacity_is_waited_for() {
    let server = MockServer::start().await;
    let completion = json!({"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}],
        "usage": {"queue_time": 0.01, "prompt_tokens": 5, "prompt_time": 0.1, "completion_tokens": 2, "total_time": 0.2}});
    let connection = connect_with(Driver::Groq, &format!("{}/openai/v1", server.uri()), &[]);
    let line =
        json!({"custom_id": "r1", "response": {"status_code": 200, "body": completion}, "error": null}).to_string();
    let usage = connection.batch.expect("a batch API").read(line.as_bytes()).usage.expect("usage");
    assert_eq!((usage.input_tokens, usage.output_tokens), (5, 2));
    Mock::given(path("/openai/v1/chat/completions")).respond_with(ResponseTemplate::new(498)).mount(&server).await;
    let driver = connection.realtime;
    let failure = driver.chat(&driver.prepare(&Params::default()), &[]).await.result.expect_err("no capacity");
    assert_eq!((failure.class, failure.error.code.as_str()), (Class::Wait, "provider_overloaded"));
}
