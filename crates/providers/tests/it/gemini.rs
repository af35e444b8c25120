mod files;

use std::sync::Arc;

use chrono::DateTime;
use domain::failure::Class;
use domain::job::spec::Params;
use domain::provider::Driver;
use domain::provider_batch::RemoteStatus;
use providers::{BatchDriver, CallError, Found, Input, NewBatch, Transport, Wanted};
use serde_json::{Value, json};
use wiremock::matchers::{method, path, query_param, query_param_is_missing};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::wire::{self, Encoded, Fetched, Told, assert_valid, header, messages, params};

const BASE: &str = "/x/v1beta";

fn connection(server: &MockServer, told: &Told<'_>) -> providers::Connection {
    wire::connect(Driver::Gemini, &format!("{}{BASE}", server.uri()), told)
}

fn driver(server: &MockServer) -> Arc<dyn BatchDriver> {
    connection(server, &Told::default()).batch.expect("a batch API")
}

async fn answers(server: &MockServer, verb: &str, below: &str, reply: ResponseTemplate) {
    Mock::given(method(verb)).and(path(format!("{BASE}/{below}"))).respond_with(reply).mount(server).await;
}

fn says(body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

async fn requests(server: &MockServer) -> Vec<Request> {
    server.received_requests().await.expect("a record")
}

const PLAN: &str = "You exceeded your current quota, please check your plan and billing details.";

#[tokio::test]
async fn a_call_carries_the_key_and_names_the_model_in_its_path() {
    let server = MockServer::start().await;
    let body = json!({"candidates": [{"content": {"parts": [{"text": "hi"}]}, "finishReason": "STOP"}], "responseId": "resp_1"});
    answers(&server, "POST", "models/m-1:generateContent", says(&body)).await;
    let driver = connection(&server, &Told::default()).realtime;
    let reply = driver.chat(&driver.prepare(&params()), &messages()).await;
    assert_eq!(reply.result.map(|answer| answer.text), Ok("hi".to_owned()));
    assert_eq!((reply.request_id.as_deref(), reply.http_status), (Some("resp_1"), Some(200)));
    let request = &requests(&server).await[0];
    assert_eq!((header(request, "x-goog-api-key"), header(request, "authorization")), (Some("sk-1"), None));
    assert_eq!(request.url.query(), None);
    assert_valid("gemini.json", "GenerateContentRequest", &wire::json(request));
}

#[tokio::test]
async fn the_delay_in_an_error_s_body_is_the_wait() {
    let server = MockServer::start().await;
    let delay = json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"});
    let body = json!({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": PLAN, "details": [delay]}});
    let reply = ResponseTemplate::new(429).set_body_json(body);
    answers(&server, "POST", "models/m-1:generateContent", reply).await;
    let driver = connection(&server, &Told::default()).realtime;
    let failure = driver.chat(&driver.prepare(&Params::default()), &messages()).await.result.expect_err("a failure");
    assert_eq!((failure.class, failure.retry_after.map(|wait| wait.as_secs())), (Class::Wait, Some(34)));
}

async fn create(server: &MockServer, input: Input<'_>) -> Result<String, CallError> {
    driver(server).create(&NewBatch { input, tag: "t-1", window_s: 86_400 }).await
}

#[tokio::test]
async fn a_create_names_its_file_and_its_tag() {
    let server = MockServer::start().await;
    answers(&server, "POST", "models/m-1:batchGenerateContent", says(&json!({"name": "batches/1"}))).await;
    assert_eq!(create(&server, Input::File("files/abc")).await, Ok("batches/1".to_owned()));
    let body = wire::json(&requests(&server).await[0]);
    assert_valid("gemini.json", "BatchGenerateContentRequest", &body);
    assert_eq!(body, json!({"batch": {"displayName": "t-1", "inputConfig": {"fileName": "files/abc"}}}));
}

#[tokio::test]
async fn few_requests_travel_inside_the_create_call() {
    let server = MockServer::start().await;
    answers(&server, "POST", "models/m-1:batchGenerateContent", says(&json!({"name": "batches/1"}))).await;
    let driver = driver(&server);
    assert!(matches!(driver.habits().transport, Transport::InlineUpTo(bytes) if bytes < 20_000_000));
    let encoded = Encoded::new(&*driver, &params(), &["r-1", "r-2"]);
    assert_eq!(driver.create(&encoded.inline()).await, Ok("batches/1".to_owned()));
    let body = wire::json(&requests(&server).await[0]);
    assert_valid("gemini.json", "BatchGenerateContentRequest", &body);
    let sent = &body["batch"]["inputConfig"]["requests"]["requests"];
    let line: Value = serde_json::from_str(encoded.text().lines().next().expect("a line")).expect("JSON");
    assert_eq!((&sent[0]["metadata"]["key"], &sent[1]["metadata"]["key"]), (&json!("r-1"), &json!("r-2")));
    assert_eq!(sent[0]["request"], line["request"]);
}

#[tokio::test]
async fn a_refused_create_says_whether_anything_may_have_come_of_it() {
    let error = |status: &str, message: &str| json!({"error": {"status": status, "message": message}});
    for (status, body, class, code, ambiguous) in [
        (429, error("RESOURCE_EXHAUSTED", PLAN), Class::Wait, "rate_limited", false),
        (400, error("INVALID_ARGUMENT", "no"), Class::Permanent, "provider_rejected", false),
        (400, error("FAILED_PRECONDITION", "no"), Class::KeyLevel, "provider_misconfigured", false),
        (404, error("NOT_FOUND", "no such model"), Class::KeyLevel, "model_not_found", false),
        (503, error("UNAVAILABLE", ""), Class::Wait, "provider_overloaded", true),
        (500, error("INTERNAL", ""), Class::Transient, "provider_error", true),
        (200, json!({}), Class::Transient, "invalid_provider_response", true),
    ] {
        let server = MockServer::start().await;
        let reply = ResponseTemplate::new(status).set_body_json(&body);
        answers(&server, "POST", "models/m-1:batchGenerateContent", reply).await;
        let error = create(&server, Input::File("files/abc")).await.expect_err("a failure");
        assert_eq!((error.failure.class, error.failure.error.code.as_str()), (class, code), "{status} {body}");
        assert_eq!((error.ambiguous, error.missing), (ambiguous, false), "{status} {body}");
    }
}

#[tokio::test]
async fn a_create_whose_file_is_gone_says_so() {
    let hidden = "You do not have permission to access the File abc or it may not exist.";
    let server = MockServer::start().await;
    let reply = ResponseTemplate::new(403).set_body_json(json!({"error": {"code": 403, "message": hidden}}));
    answers(&server, "POST", "models/m-1:batchGenerateContent", reply).await;
    let error = create(&server, Input::File("files/abc")).await.expect_err("no file");
    assert_eq!((error.missing, error.ambiguous, error.failure.class), (true, false, Class::Permanent));
}

/// An operation with as many results as asked for, each told twice, printed in many lines.
fn ended_inline(results: usize) -> String {
    let result = |number| {
        let parts = json!([{"text": format!("answer {number} ],[")}]);
        json!({"response": {"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]},
               "metadata": {"key": format!("r-{number}")}})
    };
    let output = json!({"inlinedResponses": {"inlinedResponses": (0..results).map(result).collect::<Vec<_>>()}});
    let stats = json!({"requestCount": "9", "successfulRequestCount": results.to_string()});
    let metadata =
        json!({"state": "BATCH_STATE_SUCCEEDED", "displayName": "t-1", "batchStats": stats, "output": output});
    let operation = json!({"name": "batches/1", "metadata": metadata, "response": output, "done": true});
    serde_json::to_string_pretty(&operation).expect("JSON")
}

#[tokio::test]
async fn inline_results_are_read_line_by_line_however_many_there_are() {
    let server = MockServer::start().await;
    let operation = ended_inline(300);
    let told = Told { max_reply_bytes: Some(operation.len() / 10), ..Told::default() };
    answers(&server, "GET", "batches/1", ResponseTemplate::new(200).set_body_string(operation)).await;
    let driver = connection(&server, &told).batch.expect("a batch API");
    let polled = driver.poll("batches/1").await.expect("a look");
    assert_eq!((polled.status, polled.done), (RemoteStatus::Done, Some(300)));
    let file = polled.files.output.expect("results");
    let mut fetched = Fetched::new(1 << 20);
    // As after a download that was cut off.
    for _ in 0..2 {
        driver.download(&file, &mut fetched.download).await.expect("results");
    }
    let text = fetched.text();
    assert_eq!(text.lines().count(), 300);
    for (number, line) in text.lines().enumerate() {
        assert_eq!(driver.result_id(line.as_bytes()).as_deref(), Some(format!("r-{number}").as_str()));
        let answer = driver.read(line.as_bytes()).result.expect("an answer");
        assert_eq!(answer.text, format!("answer {number} ],["));
    }
    let mut short = Fetched::new(1_000);
    let error = driver.download(&file, &mut short.download).await.expect_err("too long");
    assert_eq!(error.failure.error.code, "provider_response_too_large");
}

#[tokio::test]
async fn a_result_file_is_downloaded_as_media() {
    let server = MockServer::start().await;
    let operation = json!({"name": "batches/1", "done": true, "metadata": {"state": "BATCH_STATE_SUCCEEDED"},
                           "response": {"responsesFile": "files/out"}});
    answers(&server, "GET", "batches/1", says(&operation)).await;
    let media =
        Mock::given(method("GET")).and(path(format!("{BASE}/files/out:download"))).and(query_param("alt", "media"));
    media.respond_with(ResponseTemplate::new(200).set_body_string("{}\n")).mount(&server).await;
    let driver = driver(&server);
    let polled = driver.poll("batches/1").await.expect("a look");
    let mut fetched = Fetched::new(100);
    driver.download(&polled.files.output.expect("results"), &mut fetched.download).await.expect("results");
    assert_eq!(fetched.text(), "{}\n");
}

#[tokio::test]
async fn a_failed_one_says_why_and_an_expired_one_has_no_results() {
    let server = MockServer::start().await;
    let failed = json!({"name": "batches/1", "done": true, "error": {"code": 3, "message": "line 2"},
                        "metadata": {"state": "JOB_STATE_FAILED"}});
    answers(&server, "GET", "batches/1", says(&failed)).await;
    answers(&server, "GET", "batches/2", says(&json!({"metadata": {"state": "BATCH_STATE_EXPIRED"}}))).await;
    let driver = driver(&server);
    let polled = driver.poll("batches/1").await.expect("a look");
    assert_eq!((polled.status, polled.errors[0].code.as_str()), (RemoteStatus::Failed, "INVALID_ARGUMENT"));
    assert_eq!(polled.errors[0].message, "line 2");
    let polled = driver.poll("batches/2").await.expect("a look");
    assert_eq!((polled.status, polled.files.output), (RemoteStatus::Expired, None));
    assert!(driver.poll("batches/3").await.is_err_and(|error| error.missing));
}

#[tokio::test]
async fn a_lost_create_is_found_by_its_tag() {
    let server = MockServer::start().await;
    let operation =
        |name: &str, tag: &str, time: &str| json!({"name": name, "metadata": {"displayName": tag, "createTime": time}});
    let first = json!({"nextPageToken": "p 2", "operations": [
        operation("batches/1", "t-1", "2026-11-21T10:00:01.123456789Z"), operation("batches/2", "t-2", "2026-11-21T10:00:02Z")]});
    let mut ended: Value = serde_json::from_str(&ended_inline(100)).expect("JSON");
    ended["name"] = "batches/3".into();
    ended["metadata"]["createTime"] = "2026-11-21T10:00:03Z".into();
    let second = json!({"operations": [ended]});
    let told = Told { max_reply_bytes: Some(second.to_string().len() / 10), ..Told::default() };
    let pages = Mock::given(method("GET")).and(path(format!("{BASE}/batches")));
    pages.and(query_param_is_missing("pageToken")).respond_with(says(&first)).mount(&server).await;
    let pages = Mock::given(method("GET")).and(path(format!("{BASE}/batches")));
    pages.and(query_param("pageToken", "p 2")).respond_with(says(&second)).mount(&server).await;
    let wanted = Wanted { tag: "t-1", file: None, since: DateTime::UNIX_EPOCH, requests: 1 };
    let found = connection(&server, &told).batch.expect("a batch API").find(&wanted).await.expect("a search");
    let certain = |id: &str| Found { id: id.to_owned(), certain: true };
    assert_eq!(found, [certain("batches/3"), certain("batches/1")]);
}

#[test]
fn the_schemas_refuse_what_is_wrong() {
    let contents = json!([{"role": "user", "parts": [{"text": "u"}]}]);
    for body in [
        json!({"contents": []}),
        json!({"contents": [{"role": "system", "parts": [{"text": "u"}]}]}),
        json!({"contents": contents, "generation_config": {}}),
        json!({"contents": contents, "generationConfig": {"seed": 1_u64 << 40}}),
        json!({"contents": contents, "generationConfig": {"thinkingConfig": {"thinkingLevel": "XHIGH"}}}),
    ] {
        assert!(!wire::problems("gemini.json", "GenerateContentRequest", &body).is_empty(), "{body}");
    }
    let line = json!({"key": "r-1", "request": {"contents": contents}});
    assert!(!wire::problems("gemini.json", "InlinedRequest", &line).is_empty());
}

#[tokio::test]
async fn what_has_ended_or_is_gone_is_done_with() {
    let server = MockServer::start().await;
    let driver = driver(&server);
    let hidden = "You do not have permission to access the File a or it may not exist.";
    let refusal = |status: u16, message: &str| {
        ResponseTemplate::new(status).set_body_json(json!({"error": {"code": status, "message": message}}))
    };
    for (status, is_done) in [(200, true), (400, true), (404, false), (500, false)] {
        server.reset().await;
        answers(&server, "POST", "batches/1:cancel", refusal(status, "")).await;
        assert_eq!(driver.cancel("batches/1").await.is_ok(), is_done, "{status}");
    }
    for (status, message, is_done) in [(200, "", true), (404, "", true), (403, hidden, true), (403, "no", false)] {
        server.reset().await;
        answers(&server, "DELETE", "files/a", refusal(status, message)).await;
        answers(&server, "DELETE", "batches/1", refusal(status, message)).await;
        assert_eq!(driver.delete_file("files/a").await.is_ok(), is_done, "{status} {message}");
        assert_eq!(driver.delete("batches/1").await.is_ok(), is_done, "{status} {message}");
    }
    server.reset().await;
    answers(&server, "POST", "batches/1:cancel", refusal(400, "API key not valid. Please pass a valid API key.")).await;
    assert!(driver.cancel("batches/1").await.is_err());
    // Inline results go with their operation.
    server.reset().await;
    assert_eq!(driver.delete_file("batches/1").await, Ok(()));
    assert!(requests(&server).await.is_empty());
}
