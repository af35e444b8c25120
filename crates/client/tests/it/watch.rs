//! Following a job.

use client::command::Outcome;
use serde_json::{Value, json};
use wiremock::matchers::{method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::{Finished, busy, job, job_with_failures, problem, run};

async fn answer(server: &MockServer, times: u64, response: ResponseTemplate) {
    Mock::given(method("GET"))
        .and(path("/v1/jobs/job_1"))
        .respond_with(response)
        .up_to_n_times(times)
        .mount(server)
        .await;
}

fn ok(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

async fn watch_ending_as(last: Value) -> Finished {
    let server = MockServer::start().await;
    answer(&server, 1, ok(job("running"))).await;
    answer(&server, 1, ok(last)).await;
    run(&server, &["watch", "job_1"]).await
}

#[tokio::test]
async fn a_job_is_followed_until_it_has_completed() {
    let server = MockServer::start().await;
    answer(&server, 1, ok(job("queued"))).await;
    let mut waiting = job("running");
    waiting["status_reason"] = json!({"code": "provider_paused", "detail": "the provider refuses our key"});
    answer(&server, 2, ok(waiting)).await;
    answer(&server, 1, ok(job("completed"))).await;

    let finished = run(&server, &["watch", "job_1"]).await;

    assert_eq!(finished.outcome, Outcome::Done);
    assert_eq!(finished.results, "");
    let lines: Vec<_> = finished.notes.lines().collect();
    assert!(lines[0].starts_with("queued") && lines[1].starts_with("running"), "{lines:?}");
    assert!(lines[1].ends_with("the provider refuses our key (provider_paused)"), "{lines:?}");
    assert_eq!(lines[2], "job_1 completed in 2.5 s");
    assert!(finished.notes.contains("tokens: 1,200 in (0 cached), 40 out; cost: $0.0123"), "{}", finished.notes);
}

#[tokio::test]
async fn the_exit_code_tells_how_the_job_ended() {
    assert_eq!(watch_ending_as(job("completed")).await.outcome.code(), 0);
    assert_eq!(watch_ending_as(job_with_failures()).await.outcome.code(), 3);
    assert_eq!(watch_ending_as(job("cancelled")).await.outcome.code(), 6);
    assert_eq!(watch_ending_as(job("expired")).await.outcome.code(), 1);

    let mut failed = job("failed");
    failed["error"] = json!({"code": "input_changed", "message": "the input changed while it was read"});
    let finished = watch_ending_as(failed).await;
    assert_eq!(finished.outcome.code(), 1);
    assert!(finished.notes.contains("the input changed while it was read (input_changed)"), "{}", finished.notes);
}

#[tokio::test]
async fn json_is_the_job_once_it_has_ended() {
    let server = MockServer::start().await;
    answer(&server, 1, ok(job("running"))).await;
    answer(&server, 1, ok(job("completed"))).await;
    let finished = run(&server, &["watch", "job_1", "--json"]).await;
    assert_eq!(finished.results, format!("{}\n", job("completed")));
}

#[tokio::test]
async fn a_service_that_is_away_for_a_while_is_waited_for() {
    let server = MockServer::start().await;
    answer(&server, 1, ok(job("running"))).await;
    answer(&server, 6, busy()).await;
    answer(&server, 1, ok(job("completed"))).await;
    let finished = run(&server, &["watch", "job_1"]).await;
    assert_eq!(finished.outcome, Outcome::Done);
    assert!(finished.notes.contains("trying again"), "{}", finished.notes);
}

#[tokio::test]
async fn a_service_without_long_polls_is_asked_without() {
    let server = MockServer::start().await;
    Mock::given(query_param("wait", "2"))
        .respond_with(problem(422, "not_yet_supported"))
        .expect(1)
        .mount(&server)
        .await;
    answer(&server, 3, ok(job("running"))).await;
    answer(&server, 1, ok(job("completed"))).await;
    assert_eq!(run(&server, &["watch", "job_1"]).await.outcome, Outcome::Done);
}

#[tokio::test]
async fn a_timeout_stops_waiting_and_says_how_to_go_on() {
    let server = MockServer::start().await;
    Mock::given(method("GET")).respond_with(ok(job("running"))).mount(&server).await;
    let finished = run(&server, &["watch", "job_1", "--timeout", "0s"]).await;
    assert_eq!(finished.outcome.code(), 5);
    assert!(finished.notes.contains("gristmill watch job_1"), "{}", finished.notes);
}

#[tokio::test]
async fn a_job_that_vanishes_is_an_error_at_once() {
    let server = MockServer::start().await;
    answer(&server, 1, ok(job("running"))).await;
    answer(&server, 9, problem(404, "not_found")).await;
    assert_eq!(run(&server, &["watch", "job_1"]).await.outcome, Outcome::Error);
}
