use domain::job::spec::Params;
use serde_json::json;
use wiremock::matchers::{method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{answers, driver, requests, says};
use crate::wire::{self, Encoded, assert_valid, header, params};

async fn offers_session(server: &MockServer, session: &str) {
    let reply = ResponseTemplate::new(200).insert_header("x-goog-upload-url", session);
    let begin = Mock::given(method("POST")).and(path("/x/upload/v1beta/files"));
    begin.respond_with(reply).mount(server).await;
}

#[tokio::test]
async fn a_file_is_uploaded_in_a_session() {
    let server = MockServer::start().await;
    offers_session(&server, &format!("{}/session?upload_id=7", server.uri())).await;
    let uploaded = says(&json!({"file": {"name": "files/abc", "state": "ACTIVE"}}));
    let finish = Mock::given(method("POST")).and(path("/session")).and(query_param("upload_id", "7"));
    finish.respond_with(uploaded).mount(&server).await;
    let driver = driver(&server);
    let encoded = Encoded::new(&*driver, &params(), &["r-1", "r-2"]);
    assert_eq!(driver.upload(&encoded.file()).await, Ok("files/abc".to_owned()));
    let requests = requests(&server).await;
    let length = encoded.text().len().to_string();
    assert_eq!(header(&requests[0], "x-goog-upload-protocol"), Some("resumable"));
    assert_eq!(header(&requests[0], "x-goog-upload-command"), Some("start"));
    assert_eq!(header(&requests[0], "x-goog-upload-header-content-length"), Some(length.as_str()));
    assert_eq!(header(&requests[0], "x-goog-upload-header-content-type"), Some("application/jsonl"));
    assert_valid("gemini.json", "StartUploadRequest", &wire::json(&requests[0]));
    assert_eq!(header(&requests[1], "x-goog-upload-command"), Some("upload, finalize"));
    assert_eq!(header(&requests[1], "x-goog-upload-offset"), Some("0"));
    assert_eq!(header(&requests[1], "content-length"), Some(length.as_str()));
    let body = String::from_utf8(requests[1].body.clone()).expect("UTF-8");
    assert_eq!(body, encoded.text());
    for line in body.lines() {
        assert_valid("gemini.json", "InputLine", &serde_json::from_str(line).expect("JSON"));
    }
}

#[tokio::test]
async fn a_session_elsewhere_gets_neither_key_nor_file() {
    let (server, elsewhere) = (MockServer::start().await, MockServer::start().await);
    let driver = driver(&server);
    let encoded = Encoded::new(&*driver, &Params::default(), &["r-1"]);
    offers_session(&server, &format!("{}/session", elsewhere.uri())).await;
    let error = driver.upload(&encoded.file()).await.expect_err("elsewhere");
    assert_eq!(error.failure.error.code, "invalid_provider_response");
    assert!(requests(&elsewhere).await.is_empty());
}

#[tokio::test]
async fn a_file_is_found_by_its_name_and_ready_when_processed() {
    let server = MockServer::start().await;
    let files =
        json!({"files": [{"name": "files/a", "displayName": "d-1.jsonl"}, {"name": "files/b", "displayName": "x"}]});
    answers(&server, "GET", "files", says(&files)).await;
    let driver = driver(&server);
    assert_eq!(driver.find_files("d-1.jsonl").await, Ok(vec!["files/a".to_owned()]));
    for (state, is_ready) in [("ACTIVE", Some(true)), ("PROCESSING", Some(false)), ("FAILED", None)] {
        server.reset().await;
        answers(&server, "GET", "files/a", says(&json!({"name": "files/a", "state": state}))).await;
        assert_eq!(driver.is_ready("files/a").await.ok(), is_ready, "{state}");
    }
}
