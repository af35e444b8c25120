use chrono::{DateTime, Utc};
use domain::failure::Class;
use domain::job::spec::Params;
use domain::provider::Driver;
use domain::provider_batch::RemoteStatus;
use providers::{BatchDriver, Found, Input, NewBatch, Reply, Wanted};
use serde_json::{Value, json};
use std::sync::Arc;
use wiremock::matchers::{method, path, query_param, query_param_is_missing};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::wire::{self, Encoded, Fetched, Told, assert_valid, header, messages, params};

fn driver(server: &MockServer) -> Arc<dyn BatchDriver> {
    wire::connect(Driver::Anthropic, &server.uri(), &Told::default()).batch.expect("a batch API")
}

async fn answers(server: &MockServer, verb: &str, at: &str, reply: ResponseTemplate) {
    Mock::given(method(verb)).and(path(at)).respond_with(reply).mount(server).await;
}

async fn requests(server: &MockServer) -> Vec<Request> {
    server.received_requests().await.expect("a record")
}

async fn say(base: &str, options: &[(&str, &str)], params: &Params) -> Reply {
    let told = Told { options, ..Told::default() };
    let driver = wire::connect(Driver::Anthropic, base, &told).realtime;
    driver.chat(&driver.prepare(params), &messages()).await
}

fn message() -> Value {
    json!({"id": "msg_1", "type": "message", "role": "assistant", "content": [{"type": "text", "text": "hi"}],
           "stop_reason": "end_turn", "usage": {"input_tokens": 3, "output_tokens": 1}})
}

#[tokio::test]
async fn a_call_carries_key_and_version_below_either_base() {
    let server = MockServer::start().await;
    let reply = ResponseTemplate::new(200).insert_header("request-id", "req_1").set_body_json(message());
    answers(&server, "POST", "/v1/messages", reply).await;
    for base in [server.uri(), format!("{}/v1", server.uri()), format!("{}/v1/", server.uri())] {
        let reply = say(&base, &[], &params()).await;
        assert_eq!(reply.result.map(|answer| answer.text), Ok("hi".to_owned()), "{base}");
        assert_eq!((reply.request_id.as_deref(), reply.http_status), (Some("req_1"), Some(200)));
    }
    for request in requests(&server).await {
        assert_eq!((header(&request, "x-api-key"), header(&request, "authorization")), (Some("sk-1"), None));
        assert_eq!(header(&request, "anthropic-version"), Some("2023-06-01"));
        assert_eq!(header(&request, "content-type"), Some("application/json"));
        assert_valid("anthropic.json", "CreateSampledMessage", &wire::json(&request));
    }
}

#[tokio::test]
async fn the_newer_version_is_sent_without_sampling_parameters() {
    let server = MockServer::start().await;
    answers(&server, "POST", "/v1/messages", ResponseTemplate::new(200).set_body_json(message())).await;
    say(&server.uri(), &[("anthropic_version", "2026-10-21")], &params()).await.result.expect("an answer");
    let request = &requests(&server).await[0];
    assert_eq!(header(request, "anthropic-version"), Some("2026-10-21"));
    assert_valid("anthropic.json", "CreateMessage", &wire::json(request));
}

#[tokio::test]
async fn an_error_keeps_its_wait_and_its_id() {
    let server = MockServer::start().await;
    let body = json!({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}});
    let reply = ResponseTemplate::new(529).insert_header("request-id", "req_2").insert_header("retry-after", "3");
    answers(&server, "POST", "/v1/messages", reply.set_body_json(body)).await;
    let reply = say(&server.uri(), &[], &Params::default()).await;
    let failure = reply.result.expect_err("a failure");
    assert_eq!((failure.class, failure.error.code.as_str()), (Class::Wait, "provider_overloaded"));
    assert_eq!(failure.retry_after.map(|wait| wait.as_secs()), Some(3));
    assert_eq!((reply.request_id.as_deref(), reply.http_status), (Some("req_2"), Some(529)));
}

#[tokio::test]
async fn requests_travel_inside_the_create_call() {
    let server = MockServer::start().await;
    let created =
        ResponseTemplate::new(200).set_body_json(json!({"id": "msgbatch_1", "processing_status": "in_progress"}));
    answers(&server, "POST", "/v1/messages/batches", created).await;
    let driver = driver(&server);
    let encoded = Encoded::new(&*driver, &params(), &["r-1", "r-2"]);
    assert_eq!(driver.create(&encoded.inline()).await, Ok("msgbatch_1".to_owned()));
    let request = &requests(&server).await[0];
    assert_eq!(header(request, "content-length"), Some(request.body.len().to_string().as_str()));
    assert_eq!(header(request, "x-api-key"), Some("sk-1"));
    let body = wire::json(request);
    assert_valid("anthropic.json", "CreateMessageBatch", &body);
    let ids: Vec<_> = body["requests"].as_array().expect("requests").iter().map(|one| &one["custom_id"]).collect();
    assert_eq!(ids, ["r-1", "r-2"]);
}

#[tokio::test]
async fn a_refused_create_says_whether_anything_may_have_come_of_it() {
    for (status, body, class, code, ambiguous) in [
        (413, json!({"error": {"type": "request_too_large"}}), Class::Permanent, "request_too_large", false),
        (400, json!({"error": {"type": "invalid_request_error"}}), Class::Permanent, "provider_rejected", false),
        (429, json!({"error": {"type": "rate_limit_error"}}), Class::Wait, "rate_limited", false),
        (529, json!({"error": {"type": "overloaded_error"}}), Class::Wait, "provider_overloaded", true),
        (500, json!({"error": {"type": "api_error"}}), Class::Transient, "provider_error", true),
        (200, json!({"processing_status": "in_progress"}), Class::Transient, "invalid_provider_response", true),
        (200, json!({"id": ""}), Class::Transient, "invalid_provider_response", true),
    ] {
        let server = MockServer::start().await;
        let reply = ResponseTemplate::new(status).set_body_json(&body);
        answers(&server, "POST", "/v1/messages/batches", reply).await;
        let driver = driver(&server);
        let encoded = Encoded::new(&*driver, &Params::default(), &["r-1"]);
        let error = driver.create(&encoded.inline()).await.expect_err("a failure");
        assert_eq!((error.failure.class, error.failure.error.code.as_str()), (class, code), "{status} {body}");
        assert_eq!((error.ambiguous, error.missing), (ambiguous, false), "{status} {body}");
    }
}

#[tokio::test]
async fn there_are_no_files_to_upload() {
    let server = MockServer::start().await;
    let driver = driver(&server);
    let encoded = Encoded::new(&*driver, &Params::default(), &["r-1"]);
    assert!(driver.upload(&encoded.file()).await.is_err());
    let batch = NewBatch { input: Input::File("file-1"), tag: "t-1", window_s: 1 };
    assert!(driver.create(&batch).await.is_err_and(|error| !error.ambiguous));
    assert_eq!(driver.find_files("d-1.jsonl").await, Ok(Vec::new()));
    assert_eq!(driver.delete_file("anything").await, Ok(()));
    assert!(requests(&server).await.is_empty());
}

fn listed(id: &str, created_at: &str, requests: u64) -> Value {
    json!({"id": id, "created_at": created_at, "processing_status": "in_progress",
           "request_counts": {"processing": requests, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}})
}

#[tokio::test]
async fn a_lost_create_is_searched_for_by_age_and_size() {
    let server = MockServer::start().await;
    let first = json!({"has_more": true, "data": [
        listed("of-another-size", "2026-11-21T10:00:05Z", 8), listed("older", "2026-11-21T10:00:01Z", 7)]});
    let second = json!({"has_more": true, "data": [
        listed("newer", "2026-11-21T10:00:02Z", 7), listed("much-older", "2026-11-20T10:00:00Z", 7)]});
    let third = json!({"has_more": true, "data": []});
    let pages = Mock::given(method("GET")).and(path("/v1/messages/batches"));
    let reply = |page: &Value| ResponseTemplate::new(200).set_body_json(page);
    pages.and(query_param_is_missing("after_id")).respond_with(reply(&first)).mount(&server).await;
    for (after, page) in [("older", &second), ("much-older", &third)] {
        let pages = Mock::given(method("GET")).and(path("/v1/messages/batches"));
        pages.and(query_param("after_id", after)).respond_with(reply(page)).mount(&server).await;
    }
    let since: DateTime<Utc> = "2026-11-21T10:00:00Z".parse().expect("a time");
    let found = driver(&server).find(&Wanted { tag: "t-1", file: None, since, requests: 7 }).await.expect("a search");
    let uncertain = |id: &str| Found { id: id.to_owned(), certain: false };
    assert_eq!(found, [uncertain("newer"), uncertain("older")]);
}

#[tokio::test]
async fn a_list_without_end_is_not_taken_for_an_empty_one() {
    let server = MockServer::start().await;
    let page = |request: &Request| {
        let after = request.url.query_pairs().find(|(name, _)| name == "after_id").map_or(0, |(_, id)| id.len());
        let page = json!({"has_more": true, "data": [listed(&"x".repeat(after + 1), "2026-11-21T10:00:00Z", 1)]});
        ResponseTemplate::new(200).set_body_json(page)
    };
    Mock::given(method("GET")).respond_with(page).mount(&server).await;
    let wanted = Wanted { tag: "t-1", file: None, since: DateTime::UNIX_EPOCH, requests: 7 };
    let error = driver(&server).find(&wanted).await.expect_err("no end");
    assert_eq!(error.failure.error.code, "provider_list_too_long");
}

#[tokio::test]
async fn results_are_read_at_the_base_s_own_address_only() {
    let server = MockServer::start().await;
    let own = format!("{}/v1/messages/batches/msgbatch_1/results", server.uri());
    for (results_url, expected) in [
        (json!(own), Some(own.as_str())),
        (json!("https://elsewhere.example/v1/messages/batches/msgbatch_1/results"), Some(own.as_str())),
        (json!(null), None),
    ] {
        server.reset().await;
        let counts = json!({"processing": 0, "succeeded": 2, "errored": 1, "canceled": 0, "expired": 0});
        let body = json!({"id": "msgbatch_1", "processing_status": "ended", "request_counts": counts,
                          "results_url": results_url});
        let reply = ResponseTemplate::new(200).set_body_json(body);
        answers(&server, "GET", "/v1/messages/batches/msgbatch_1", reply).await;
        let polled = driver(&server).poll("msgbatch_1").await.expect("a look");
        assert_eq!((polled.status, polled.done), (RemoteStatus::Done, Some(3)));
        assert_eq!((polled.files.output.as_deref(), polled.files.errors), (expected, None));
    }
}

#[tokio::test]
async fn a_running_one_has_no_count() {
    let server = MockServer::start().await;
    let reply = ResponseTemplate::new(200).set_body_json(listed("msgbatch_1", "2026-11-21T10:00:00Z", 9));
    answers(&server, "GET", "/v1/messages/batches/msgbatch_1", reply).await;
    let polled = driver(&server).poll("msgbatch_1").await.expect("a look");
    assert_eq!((polled.status, polled.done, polled.files.output), (RemoteStatus::Running, None, None));
    assert!(driver(&server).poll("msgbatch_2").await.is_err_and(|error| error.missing));
}

#[tokio::test]
async fn results_are_downloaded_with_the_key_and_never_from_elsewhere() {
    let (server, elsewhere) = (MockServer::start().await, MockServer::start().await);
    let results = "/v1/messages/batches/msgbatch_1/results";
    answers(&server, "GET", results, ResponseTemplate::new(200).set_body_string("{}\n{}\n")).await;
    let driver = driver(&server);
    let mut fetched = Fetched::new(100);
    driver.download(&format!("{}{results}", server.uri()), &mut fetched.download).await.expect("results");
    assert_eq!(fetched.text(), "{}\n{}\n");
    let request = &requests(&server).await[0];
    assert_eq!(
        (header(request, "x-api-key"), header(request, "anthropic-version")),
        (Some("sk-1"), Some("2023-06-01"))
    );
    let error = driver.download(&format!("{}{results}", elsewhere.uri()), &mut fetched.download).await;
    assert_eq!(error.expect_err("elsewhere").failure.error.code, "invalid_provider_response");
    assert!(requests(&elsewhere).await.is_empty());
}

#[test]
fn the_schemas_refuse_what_is_wrong() {
    let said = json!([{"role": "user", "content": "u"}]);
    for body in [
        json!({"model": "m", "messages": said}),
        json!({"model": "m", "max_tokens": 1, "messages": [{"role": "system", "content": "s"}]}),
        json!({"model": "m", "max_tokens": 1, "messages": said, "seed": 1}),
        json!({"model": "m", "max_tokens": 1, "messages": said, "temperature": 0}),
        json!({"model": "m", "max_tokens": 1, "messages": said, "output_config": {"effort": "minimal"}}),
    ] {
        assert!(!wire::problems("anthropic.json", "CreateMessage", &body).is_empty(), "{body}");
    }
    let element = json!({"custom_id": "r 1", "params": {"model": "m", "max_tokens": 1, "messages": said}});
    assert!(!wire::problems("anthropic.json", "CreateMessageBatch", &json!({"requests": [element]})).is_empty());
}

#[tokio::test]
async fn what_has_ended_or_is_gone_is_done_with() {
    let server = MockServer::start().await;
    let at = "/v1/messages/batches/msgbatch_1";
    let driver = driver(&server);
    for (status, is_done) in [(200, true), (400, true), (404, false), (500, false)] {
        server.reset().await;
        let reply = ResponseTemplate::new(status).set_body_json(json!({}));
        answers(&server, "POST", &format!("{at}/cancel"), reply).await;
        assert_eq!(driver.cancel("msgbatch_1").await.is_ok(), is_done, "{status}");
    }
    for (status, is_done) in [(200, true), (404, true), (400, false)] {
        server.reset().await;
        answers(&server, "DELETE", at, ResponseTemplate::new(status).set_body_json(json!({}))).await;
        assert_eq!(driver.delete("msgbatch_1").await.is_ok(), is_done, "{status}");
    }
}
