//! Commands: what they send, what they print, how they end.

use clap::CommandFactory;
use client::command::Outcome;
use serde_json::{Value, json};
use wiremock::matchers::{method, path, query_param, query_param_is_missing};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::calls::closed_port;
use crate::support::{AdminLine, KEY, Line, job, job_with_failures, problem, run, run_at};

const SUBMIT: [&str; 6] = ["submit", "s3://data/in.csv", "--model", "sandbox/echo", "--prompt", "Say {{ word }}"];
const RUN: [&str; 6] = ["run", "s3://data/in.csv", "--model", "sandbox/echo", "--prompt", "Say {{ word }}"];

async fn mount(server: &MockServer, verb: &str, at: &str, response: ResponseTemplate) {
    Mock::given(method(verb)).and(path(at)).respond_with(response).mount(server).await;
}

fn ok(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

/// A service on which every submitted job has completed at once, with this table as output.
async fn instant(last: Value, table: &str) -> MockServer {
    let server = MockServer::start().await;
    mount(&server, "POST", "/v1/jobs", ResponseTemplate::new(201).set_body_json(job("queued"))).await;
    mount(&server, "GET", "/v1/jobs/job_1", ok(last)).await;
    mount(&server, "GET", "/v1/jobs/job_1/output", ResponseTemplate::new(200).set_body_string(table)).await;
    server
}

async fn submitted(server: &MockServer) -> Value {
    let requests = server.received_requests().await.expect("recorded");
    let request = requests.iter().find(|request| request.method.as_str() == "POST").expect("a submission");
    request.body_json().expect("JSON")
}

#[test]
fn the_command_line_is_consistent() {
    Line::command().debug_assert();
    AdminLine::command().debug_assert();
}

#[tokio::test]
async fn submit_prints_the_job_s_id() {
    let server = instant(job("completed"), "").await;
    let finished = run(&server, &SUBMIT).await;
    assert_eq!((finished.outcome, finished.results.as_str()), (Outcome::Done, "job_1\n"));
}

#[tokio::test]
async fn submit_sends_every_argument() {
    let server = instant(job("completed"), "").await;
    let arguments = [
        &SUBMIT[..],
        &["--system", "Be brief.", "--output", "s3://data/out.parquet", "--format", "parquet", "--input-format", "csv"],
        &["--column-prefix", "ai_", "--name", "words", "--if-exists", "replace", "--max-attempts", "3"],
        &["--deadline", "6h", "--metadata", "team=a", "--temperature", "0", "--top-p", "0.5", "--seed", "-7"],
        &["--max-output-tokens", "9", "--stop", "A", "--stop", "B", "--reasoning-effort", "low"],
        &["--param", r#"extra={"top_k":4}"#],
    ]
    .concat();
    assert_eq!(run(&server, &arguments).await.outcome, Outcome::Done);
    assert_eq!(
        submitted(&server).await,
        json!({
            "name": "words",
            "input": {"uri": "s3://data/in.csv", "format": "csv"},
            "output": {"uri": "s3://data/out.parquet", "format": "parquet", "column_prefix": "ai_", "if_exists": "replace"},
            "model": "sandbox/echo",
            "system": "Be brief.",
            "prompt": "Say {{ word }}",
            "params": {
                "temperature": 0, "top_p": 0.5, "max_output_tokens": 9, "stop": ["A", "B"], "seed": -7,
                "reasoning_effort": "low", "extra": {"top_k": 4}
            },
            "limits": {"max_attempts": 3},
            "deadline": "2026-11-21T06:00:00Z",
            "metadata": {"team": "a"}
        })
    );
}

#[tokio::test]
async fn json_is_what_the_service_answered() {
    let server = instant(job("completed"), "").await;
    let finished = run(&server, &[&SUBMIT[..], &["--json"]].concat()).await;
    assert_eq!(finished.results, format!("{}\n", job("queued")));
}

#[tokio::test]
async fn run_prints_the_table_s_head() {
    let table: String =
        std::iter::once("id,llm_response\n".to_owned()).chain((0..20).map(|row| format!("{row},\"a\nb\"\n"))).collect();
    let server = instant(job_with_failures(), &table).await;
    let finished = run(&server, &RUN).await;
    assert_eq!(finished.outcome, Outcome::DoneWithFailedRows);
    assert!(finished.results.starts_with("id,llm_response\n0,\"a\nb\"\n"), "{}", finished.results);
    assert!(finished.results.ends_with("9,\"a\nb\"\n"), "{}", finished.results);
    assert!(finished.notes.contains("gristmill items job_1 --status failed"), "{}", finished.notes);
}

#[tokio::test]
async fn run_fetches_the_output_to_a_file_in_the_format_of_its_name() {
    let server = instant(job("completed"), "PAR1").await;
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("out.parquet");
    let file_name = file.to_str().expect("UTF-8");
    let arguments = [&RUN[..], &["--output", file_name]].concat();

    let finished = run(&server, &arguments).await;

    assert_eq!(finished.outcome, Outcome::Done, "{}", finished.notes);
    assert_eq!(std::fs::read(&file).expect("a file"), b"PAR1");
    assert!(!finished.notes.contains("gristmill output"), "{}", finished.notes);
    assert_eq!(submitted(&server).await["output"], json!({"format": "parquet"}));

    let before = server.received_requests().await.expect("recorded").len();
    assert_eq!(run(&server, &arguments).await.outcome, Outcome::Usage);
    assert_eq!(server.received_requests().await.expect("recorded").len(), before);
    assert_eq!(run(&server, &[&arguments[..], &["--if-exists", "replace"]].concat()).await.outcome, Outcome::Done);
}

#[tokio::test]
async fn run_leaves_an_output_with_a_uri_to_the_service() {
    let server = instant(job("completed"), "id\n").await;
    let finished = run(&server, &[&RUN[..], &["--output", "s3://data/out.csv"]].concat()).await;
    assert_eq!((finished.outcome, finished.results.as_str()), (Outcome::Done, ""));
    assert_eq!(submitted(&server).await["output"], json!({"uri": "s3://data/out.csv"}));
}

#[tokio::test]
async fn a_local_file_is_sent_as_an_absolute_uri() {
    let server = instant(job("completed"), "").await;
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("in.csv");
    std::fs::write(&file, "word\nhello\n").expect("a file");
    let name = file.to_str().expect("UTF-8");
    let finished = run(&server, &["submit", name, "--model", "a/b", "--prompt", "{{ word }}"]).await;
    assert_eq!(finished.outcome, Outcome::Done);
    let canonical = file.canonicalize().expect("a path");
    assert_eq!(submitted(&server).await["input"]["uri"], format!("file://{}", canonical.display()));

    let finished = run(&server, &["submit", "nowhere.csv", "--model", "a/b", "--prompt", "{{ word }}"]).await;
    assert_eq!(finished.outcome, Outcome::Error);
    assert!(finished.notes.contains("can't find nowhere.csv"), "{}", finished.notes);
}

#[tokio::test]
async fn output_goes_to_standard_output_or_into_a_directory() {
    let server = instant(job("completed"), "id\n1\n").await;
    assert_eq!(run(&server, &["output", "job_1"]).await.results, "id\n1\n");
    let directory = tempfile::tempdir().expect("a directory");
    let name = directory.path().to_str().expect("UTF-8");
    assert_eq!(run(&server, &["output", "job_1", "--output", name]).await.outcome, Outcome::Done);
    assert_eq!(std::fs::read_to_string(directory.path().join("job_1.csv")).expect("a file"), "id\n1\n");
}

#[tokio::test]
async fn a_refusal_is_told_with_its_fields_request_and_a_hint() {
    let server = MockServer::start().await;
    mount(&server, "POST", "/v1/jobs", problem(422, "storage_location_not_allowed")).await;
    let finished = run(&server, &SUBMIT).await;
    assert_eq!(finished.outcome, Outcome::Error);
    let lines: Vec<_> = finished.notes.lines().collect();
    assert_eq!(lines[0], "error: Refused: the detail (HTTP 422)");
    assert_eq!(lines[1], "  /input/uri: is not allowed");
    assert_eq!(lines[2], "  request req_7");
    assert!(lines[3].starts_with("hint: ") && lines[3].contains("granted"), "{lines:?}");
}

#[tokio::test]
async fn who_is_not_authorised_gets_exit_code_4() {
    let server = MockServer::start().await;
    for status in [401, 403] {
        server.reset().await;
        mount(&server, "GET", "/v1/jobs/job_1", problem(status, "refused")).await;
        assert_eq!(run(&server, &["status", "job_1"]).await.outcome.code(), 4);
    }
    let finished = run_at(&server.uri(), None, &["status", "job_1"]).await;
    assert_eq!(finished.outcome.code(), 4);
    assert!(finished.notes.contains("GRISTMILL_API_KEY"), "{}", finished.notes);
}

#[tokio::test]
async fn nobody_at_the_address_is_told_with_a_hint() {
    let finished = run_at(&closed_port(), Some(KEY), &["status", "job_1"]).await;
    assert_eq!(finished.outcome.code(), 1);
    assert!(finished.notes.contains("nobody answers at http://127.0.0.1"), "{}", finished.notes);
    assert!(finished.notes.contains("hint: is the service running? `gristmill dev`"), "{}", finished.notes);
}

#[tokio::test]
async fn a_key_in_a_file_wins() {
    let server = instant(job("completed"), "").await;
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "gm_file\n").expect("a file");
    let name = file.path().to_str().expect("UTF-8");
    assert_eq!(run(&server, &["status", "job_1", "--api-key-file", name]).await.outcome, Outcome::Done);
    let requests = server.received_requests().await.expect("recorded");
    assert_eq!(requests[0].headers["Authorization"], "Bearer gm_file");
}

#[tokio::test]
async fn lists_are_followed_from_page_to_page() {
    let server = MockServer::start().await;
    let list = |cursor: Option<&str>| match cursor {
        Some(cursor) => Mock::given(path("/v1/jobs")).and(query_param("cursor", cursor)),
        None => Mock::given(path("/v1/jobs")).and(query_param_is_missing("cursor")),
    };
    let first = json!({"data": [job("completed"), job("running")], "next_cursor": "c1"});
    list(None).respond_with(ok(first)).mount(&server).await;
    list(Some("c1")).respond_with(ok(json!({"data": [job("failed")]}))).mount(&server).await;

    let all = run(&server, &["list", "--all", "--json"]).await;
    let lines: Vec<Value> = all.results.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines, [job("completed"), job("running"), job("failed")]);

    let one = run(&server, &["list", "--limit", "1"]).await;
    let lines: Vec<_> = one.results.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("JOB ") && lines[1].starts_with("job_1  completed"), "{lines:?}");
    assert!(!one.results.contains('\t'));
}

#[tokio::test]
async fn items_show_the_rows_that_failed() {
    let server = MockServer::start().await;
    let item = json!({"row": 3, "status": "failed", "error_code": "refused", "error": "said\nno", "attempts": 2,
        "model": "sandbox/echo", "usage": {"input_tokens": 1, "output_tokens": 0}});
    Mock::given(path("/v1/jobs/job_1/items"))
        .and(query_param("status", "failed"))
        .respond_with(ok(json!({"data": [item], "next_cursor": null})))
        .mount(&server)
        .await;
    let finished = run(&server, &["items", "job_1", "--status", "failed"]).await;
    let row = finished.results.lines().nth(1).expect("a row");
    let words: Vec<_> = row.split_whitespace().collect();
    assert_eq!(words, ["3", "failed", "2", "refused", "said", "no", "sandbox/echo"]);
}

#[tokio::test]
async fn verbs_tell_the_new_state() {
    let server = MockServer::start().await;
    for (verb, state) in [("cancel", "cancelling"), ("pause", "paused"), ("resume", "running")] {
        mount(&server, "POST", &format!("/v1/jobs/job_1/{verb}"), ok(job(state))).await;
        assert_eq!(run(&server, &[verb, "job_1"]).await.results, format!("job_1 {state}\n"));
    }
}

#[tokio::test]
async fn models_are_listed() {
    let server = MockServer::start().await;
    let models = json!({"data": [{"id": "sandbox/echo", "context_tokens": 128_000}]});
    mount(&server, "GET", "/v1/models", ok(models)).await;
    let finished = run(&server, &["models"]).await;
    assert!(finished.results.contains("sandbox/echo  128,000  -"), "{}", finished.results);
}
