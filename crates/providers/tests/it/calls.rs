use chrono::{DateTime, TimeDelta, Utc};
use domain::failure::Class;
use domain::provider::Driver;
use providers::{CallError, Found, Input, NewBatch, Wanted};
use serde_json::{Value, json};
use wiremock::matchers::{body_json, method, path, query_param, query_param_is_missing};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::{Turn, connect, impatient, scripted};

const BATCH: NewBatch<'_> = NewBatch { input: Input::File("file-1"), tag: "d-1", window_s: 86_400 };

async fn create(base_url: &str) -> Result<String, CallError> {
    connect(Driver::Openai, base_url).create(&BATCH).await
}

async fn create_answered(status: u16, body: &str) -> CallError {
    let server = MockServer::start().await;
    let reply = ResponseTemplate::new(status).set_body_string(body);
    Mock::given(path("/v1/batches")).respond_with(reply).expect(1).mount(&server).await;
    create(&format!("{}/v1", server.uri())).await.expect_err("a failure")
}

#[tokio::test]
async fn a_create_names_its_file_its_window_and_its_tag() {
    let server = MockServer::start().await;
    let body = json!({
        "input_file_id": "file-1", "endpoint": "/v1/chat/completions", "completion_window": "24h",
        "metadata": {"gristmill": "d-1"}, "output_expires_after": {"anchor": "created_at", "seconds": 2_592_000},
    });
    let reply = ResponseTemplate::new(200).set_body_json(json!({"id": "batch_1", "status": "validating"}));
    Mock::given(method("POST")).and(body_json(body)).respond_with(reply).expect(1).mount(&server).await;
    assert_eq!(create(&format!("{}/v1", server.uri())).await, Ok("batch_1".to_owned()));
}

#[tokio::test]
async fn a_create_is_ambiguous_where_the_provider_may_have_done_it() {
    let table = [
        (400, "", false, Class::Permanent),
        (400, r#"{"error":{"code":"token_limit_exceeded"}}"#, false, Class::Wait),
        (400, r#"{"error":{"code":"billing_hard_limit_reached"}}"#, false, Class::KeyLevel),
        (401, "", false, Class::KeyLevel),
        (404, r#"{"error":{"code":"model_not_found"}}"#, false, Class::KeyLevel),
        (409, "", false, Class::Transient),
        (429, "", false, Class::Wait),
        (429, r#"{"error":{"code":"insufficient_quota"}}"#, false, Class::KeyLevel),
        (302, "", false, Class::KeyLevel),
        (500, "", true, Class::Transient),
        (502, "<html>", true, Class::Transient),
        (503, "", true, Class::Wait),
        (504, "", true, Class::Transient),
        (529, "", true, Class::Wait),
        (200, "<html>", true, Class::Transient),
        (200, "{}", true, Class::Transient),
        (200, r#"{"id":""}"#, true, Class::Transient),
    ];
    for (status, body, ambiguous, class) in table {
        let error = create_answered(status, body).await;
        assert_eq!((error.ambiguous, error.failure.class), (ambiguous, class), "{status} {body} {error}");
        assert!(!error.missing, "{status}");
    }
}

#[tokio::test]
async fn a_create_without_a_reply_is_ambiguous_unless_it_never_left() {
    let (url, server) = scripted(vec![Turn::Hangs(Vec::new())]).await;
    let silent = impatient(Driver::Openai, &url).create(&BATCH).await.expect_err("silence");
    assert_eq!((silent.ambiguous, silent.failure.error.code.as_str()), (true, "provider_timeout"));
    server.abort();
    for half in ["", "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{\"id\":"] {
        let (url, _server) = scripted(vec![Turn::Says(half.into())]).await;
        let lost = create(&url).await.expect_err("a lost connection");
        assert_eq!((lost.ambiguous, lost.failure.error.code.as_str()), (true, "connection_lost"));
    }
    let unreachable = create("http://127.0.0.1:1/v1").await.expect_err("nobody there");
    assert_eq!((unreachable.ambiguous, unreachable.failure.error.code.as_str()), (false, "provider_unreachable"));
    let nowhere = create("not a url").await.expect_err("no address");
    assert_eq!((nowhere.ambiguous, nowhere.failure.class), (false, Class::KeyLevel));
}

fn since() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).expect("a time")
}

fn job(id: &str, minutes_later: i64, mut more: Value) -> Value {
    more["id"] = id.into();
    more["created_at"] = (since() + TimeDelta::minutes(minutes_later)).timestamp().into();
    more
}

async fn page(server: &MockServer, after: Option<&str>, jobs: Vec<Value>, has_more: Value, calls: u64) {
    let mock = Mock::given(method("GET")).and(path("/v1/batches"));
    let mock = match after {
        Some(id) => mock.and(query_param("after", id)),
        None => mock.and(query_param_is_missing("after")),
    };
    let reply = ResponseTemplate::new(200).set_body_json(json!({"data": jobs, "has_more": has_more}));
    mock.respond_with(reply).expect(calls).mount(server).await;
}

async fn find(server: &MockServer) -> Result<Vec<String>, CallError> {
    let wanted = Wanted { tag: "d-1", file: Some("file-1"), since: since(), requests: 2 };
    let found = connect(Driver::Openai, &format!("{}/v1", server.uri())).find(&wanted).await?;
    assert!(found.iter().all(|found| found.certain));
    Ok(found.into_iter().map(|Found { id, .. }| id).collect())
}

#[tokio::test]
async fn a_search_matches_the_tag_or_the_file_and_goes_back_far_enough() {
    let server = MockServer::start().await;
    let first = vec![
        job("b9", 9, json!({"metadata": {"gristmill": "d-2"}, "input_file_id": "file-2"})),
        job("b8", 8, json!({"metadata": {"gristmill": "d-1"}})),
        job("b7", 7, json!({"metadata": null, "input_file_id": null})),
    ];
    let second = vec![job("b6", 6, json!({"input_file_id": "file-1"})), job("b5", -5, json!({}))];
    let third = vec![job("b4", -6, json!({})), job("b3", -11, json!({}))];
    page(&server, None, first, true.into(), 1).await;
    page(&server, Some("b7"), second, true.into(), 1).await;
    page(&server, Some("b5"), third, true.into(), 1).await;
    page(&server, Some("b3"), vec![], true.into(), 0).await;
    assert_eq!(find(&server).await, Ok(vec!["b8".to_owned(), "b6".to_owned()]));
}

#[tokio::test]
async fn a_list_in_another_order_is_read_to_its_end() {
    let server = MockServer::start().await;
    page(&server, None, vec![job("b1", -90, json!({})), job("b2", -80, json!({}))], true.into(), 1).await;
    page(&server, Some("b2"), vec![job("b3", 1, json!({"input_file_id": "file-1"}))], false.into(), 1).await;
    assert_eq!(find(&server).await, Ok(vec!["b3".to_owned()]));
}

#[tokio::test]
async fn a_list_without_pages_is_read_once() {
    let server = MockServer::start().await;
    let all = vec![job("b1", 1, json!({"input_file_id": "file-1"})), job("b2", 1, json!({}))];
    Mock::given(path("/v1/batches"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({"data": all})))
        .expect(2)
        .mount(&server)
        .await;
    assert_eq!(find(&server).await, Ok(vec!["b1".to_owned()]));
}

#[tokio::test]
async fn a_search_that_reaches_no_end_is_not_empty_but_an_error() {
    let server = MockServer::start().await;
    let count = std::sync::atomic::AtomicU32::new(0);
    Mock::given(path("/v1/batches"))
        .respond_with(move |_: &wiremock::Request| {
            let id = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string();
            ResponseTemplate::new(200).set_body_json(json!({"data": [job(&id, 5, json!({}))], "has_more": true}))
        })
        .mount(&server)
        .await;
    let error = find(&server).await.expect_err("no end");
    assert_eq!((error.failure.class, error.failure.error.code.as_str()), (Class::Transient, "provider_list_too_long"));
}

#[tokio::test]
async fn a_poll_of_what_is_gone_is_missing() {
    let server = MockServer::start().await;
    Mock::given(path("/v1/batches/b%2F1")).respond_with(ResponseTemplate::new(404)).mount(&server).await;
    let error = connect(Driver::Openai, &format!("{}/v1", server.uri())).poll("b/1").await.expect_err("gone");
    assert!(error.missing && !error.ambiguous);
}

#[tokio::test]
async fn a_cancel_of_what_has_ended_is_no_error() {
    let server = MockServer::start().await;
    for (id, status) in [("b200", 200), ("b400", 400), ("b409", 409), ("b500", 500), ("b404", 404)] {
        let reply = ResponseTemplate::new(status).set_body_string("{}");
        Mock::given(path(format!("/v1/batches/{id}/cancel"))).respond_with(reply).mount(&server).await;
    }
    let driver = connect(Driver::Openai, &format!("{}/v1", server.uri()));
    for id in ["b200", "b400", "b409"] {
        driver.cancel(id).await.expect(id);
    }
    assert!(driver.cancel("b500").await.is_err());
    assert!(driver.cancel("b404").await.expect_err("gone").missing);
}

#[tokio::test]
async fn uploaded_files_are_found_by_name() {
    let server = MockServer::start().await;
    let file = |id: &str, name: &str| json!({"id": id, "filename": name});
    let first = json!({"data": [file("f1", "d-1.jsonl"), file("f2", "d-2.jsonl")], "has_more": true});
    let second = json!({"data": [file("f3", "d-1.jsonl")], "has_more": false});
    let files = || Mock::given(path("/v1/files")).and(query_param("purpose", "batch"));
    files()
        .and(query_param("after", "f2"))
        .respond_with(ResponseTemplate::new(200).set_body_json(second))
        .mount(&server)
        .await;
    files().respond_with(ResponseTemplate::new(200).set_body_json(first)).mount(&server).await;
    let found = connect(Driver::Openai, &format!("{}/v1", server.uri())).find_files("d-1.jsonl").await;
    assert_eq!(found, Ok(vec!["f1".to_owned(), "f3".to_owned()]));
}
