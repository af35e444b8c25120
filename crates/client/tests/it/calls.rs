//! Calls of the typed client: what is sent, what is repeated, what is said of failures.

use std::time::Duration;

use client::api::{Client, Error, JobFilter, Submission};
use serde_json::json;
use wiremock::matchers::{body_json, header, method, path, query_param, query_param_is_missing};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::{KEY, busy, client, job, problem};

fn submission() -> Submission {
    Submission::new("s3://data/in.csv", "sandbox/echo", "Say {{ word }}")
}

#[tokio::test]
async fn a_submission_is_repeated_with_the_same_idempotency_key() {
    let server = MockServer::start().await;
    let submit = || Mock::given(method("POST")).and(path("/v1/jobs"));
    submit().respond_with(busy()).up_to_n_times(1).mount(&server).await;
    submit().respond_with(problem(409, "idempotency_in_progress")).up_to_n_times(1).mount(&server).await;
    submit().respond_with(ResponseTemplate::new(201).set_body_json(job("queued"))).mount(&server).await;

    let answer = client(&server).submit(&submission(), None).await.expect("a job");

    assert_eq!((answer.id.as_str(), &answer.json), ("job_1", &job("queued")));
    let requests = server.received_requests().await.expect("recorded");
    let keys: Vec<_> = requests.iter().map(|request| request.headers["Idempotency-Key"].clone()).collect();
    assert_eq!(keys.len(), 3);
    assert!(keys.iter().all(|key| key == keys[0] && key.len() == 36), "{keys:?}");
}

#[tokio::test]
async fn a_given_idempotency_key_is_sent() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(header("Idempotency-Key", "mine"))
        .and(header("Authorization", format!("Bearer {KEY}")))
        .and(body_json(json!({
            "input": {"uri": "s3://data/in.csv"}, "model": "sandbox/echo", "prompt": "Say {{ word }}"
        })))
        .respond_with(ResponseTemplate::new(201).set_body_json(job("queued")))
        .mount(&server)
        .await;
    client(&server).submit(&submission(), Some("mine")).await.expect("a job");
}

#[tokio::test]
async fn a_read_is_repeated_three_times_and_no_more() {
    let server = MockServer::start().await;
    Mock::given(method("GET")).respond_with(busy()).expect(4).mount(&server).await;
    let error = client(&server).job("job_1", None).await.expect_err("no answer");
    assert!(matches!(error, Error::Refused { status: 503, .. }), "{error:?}");
}

#[tokio::test]
async fn a_verb_that_may_have_been_carried_out_is_not_repeated() {
    let server = MockServer::start().await;
    Mock::given(path("/v1/jobs/job_1/pause")).respond_with(busy()).expect(1).mount(&server).await;
    client(&server).pause("job_1").await.expect_err("no answer");
}

#[tokio::test]
async fn a_refusal_for_now_is_repeated_for_every_call() {
    let server = MockServer::start().await;
    let pause = || Mock::given(method("POST")).and(path("/v1/jobs/job_1/pause"));
    pause().respond_with(problem(429, "too_many_requests")).up_to_n_times(1).mount(&server).await;
    pause().respond_with(ResponseTemplate::new(200).set_body_json(job("paused"))).mount(&server).await;
    assert_eq!(client(&server).pause("job_1").await.expect("a job").status.name(), "paused");
}

#[tokio::test]
async fn a_problem_comes_with_its_fields() {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(problem(422, "unknown_column")).expect(1).mount(&server).await;
    let error = client(&server).submit(&submission(), None).await.expect_err("refused");
    let problem = error.problem().expect("a problem");
    assert_eq!((error.status(), problem.instance.as_deref()), (Some(422), Some("req_7")));
    assert_eq!(problem.errors[0].pointer.as_deref(), Some("/input/uri"));
    assert_eq!(error.to_string(), "Refused: the detail (HTTP 422)");
}

#[tokio::test]
async fn an_error_page_of_something_else_is_shown_in_part() {
    let server = MockServer::start().await;
    let page = ResponseTemplate::new(404).set_body_string("<html>nothing here</html>");
    Mock::given(method("GET")).respond_with(page).mount(&server).await;
    let error = client(&server).job("job_1", None).await.expect_err("refused");
    assert_eq!(error.to_string(), "Not Found: <html>nothing here</html> (HTTP 404)");
}

#[tokio::test]
async fn an_answer_that_is_not_of_this_api_is_told_as_such() {
    let server = MockServer::start().await;
    Mock::given(method("GET")).respond_with(ResponseTemplate::new(200).set_body_string("hello")).mount(&server).await;
    let error = client(&server).job("job_1", None).await.expect_err("no job");
    assert!(matches!(error, Error::InvalidAnswer { .. }), "{error:?}");
}

#[tokio::test]
async fn silence_is_a_timeout_and_a_closed_port_is_unreachable() {
    let server = MockServer::start().await;
    let late = ResponseTemplate::new(200).set_delay(Duration::from_mins(1));
    Mock::given(method("GET")).respond_with(late).expect(1).mount(&server).await;
    let builder = Client::builder(&server.uri()).api_key(KEY).answer_timeout(Duration::from_millis(50));
    let error = builder.build().expect("a client").job("job_1", None).await.expect_err("no answer");
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");

    let builder = Client::builder(&closed_port()).api_key(KEY).retry_delay(Duration::from_millis(1));
    let error = builder.build().expect("a client").job("job_1", None).await.expect_err("no answer");
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
}

pub fn closed_port() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    format!("http://{}", listener.local_addr().expect("an address"))
}

#[tokio::test]
async fn filters_and_cursors_are_sent() {
    let server = MockServer::start().await;
    Mock::given(path("/v1/jobs"))
        .and(query_param("status", "running"))
        .and(query_param("metadata.team", "a b"))
        .and(query_param("limit", "7"))
        .and(query_param("cursor", "c1"))
        .and(query_param_is_missing("name"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({"data": [job("running")], "next_cursor": "c2"})))
        .mount(&server)
        .await;
    let filter = JobFilter {
        status: Some("running".into()),
        metadata: vec![("team".into(), "a b".into())],
        ..JobFilter::default()
    };
    let page = client(&server).jobs(&filter, 7, Some("c1")).await.expect("a page");
    assert_eq!((page.data.len(), page.next_cursor.as_deref()), (1, Some("c2")));
}
