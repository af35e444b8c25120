//! Outputs: where they come from, who is told the key, and what a broken download leaves.

use std::io::{Read, Write};
use std::path::Path;

use client::api::{Client, Error};
use wiremock::matchers::{header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::{KEY, client, problem};

const TABLE: &str = "id,llm_response\n1,yes\n";

fn files_in(directory: &Path) -> usize {
    std::fs::read_dir(directory).expect("a directory").count()
}

async fn redirect(server: &MockServer, location: &str) {
    Mock::given(path("/v1/jobs/job_1/output"))
        .and(header("Authorization", format!("Bearer {KEY}")))
        .respond_with(ResponseTemplate::new(302).insert_header("Location", location))
        .mount(server)
        .await;
}

#[tokio::test]
async fn a_redirect_to_another_host_is_followed_without_the_key() {
    let (server, storage) = (MockServer::start().await, MockServer::start().await);
    redirect(&server, &format!("{}/bucket/out.csv?signature=s", storage.uri())).await;
    Mock::given(path("/bucket/out.csv"))
        .and(query_param("signature", "s"))
        .respond_with(ResponseTemplate::new(200).set_body_string(TABLE))
        .mount(&storage)
        .await;
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("out.csv");

    let written = client(&server).download_to_file("job_1", &file).await.expect("the output");

    assert_eq!(written, TABLE.len() as u64);
    assert_eq!(std::fs::read_to_string(&file).expect("a file"), TABLE);
    assert_eq!(files_in(directory.path()), 1);
    let requests = storage.received_requests().await.expect("recorded");
    assert_eq!(requests.len(), 1);
    assert!(!requests[0].headers.contains_key("Authorization"), "{:?}", requests[0].headers);
}

#[tokio::test]
async fn a_redirect_within_the_service_keeps_the_key() {
    let server = MockServer::start().await;
    redirect(&server, "/v1/files/7/content").await;
    Mock::given(path("/v1/files/7/content"))
        .and(header("Authorization", format!("Bearer {KEY}")))
        .respond_with(ResponseTemplate::new(200).set_body_string(TABLE))
        .mount(&server)
        .await;
    let mut bytes = Vec::new();
    client(&server).download("job_1", &mut bytes).await.expect("the output");
    assert_eq!(bytes, TABLE.as_bytes());
}

#[tokio::test]
async fn an_endless_redirect_ends() {
    let server = MockServer::start().await;
    redirect(&server, "/v1/jobs/job_1/output").await;
    let error = client(&server).download("job_1", &mut Vec::new()).await.expect_err("no output");
    assert!(matches!(error, Error::InvalidAnswer { .. }), "{error:?}");
}

#[tokio::test]
async fn a_redirect_to_a_file_is_refused() {
    let server = MockServer::start().await;
    redirect(&server, "file:///etc/passwd").await;
    let error = client(&server).download("job_1", &mut Vec::new()).await.expect_err("no output");
    assert!(matches!(error, Error::InvalidAnswer { .. }), "{error:?}");
}

#[tokio::test]
async fn an_output_that_is_not_there_leaves_no_file() {
    let server = MockServer::start().await;
    Mock::given(method("GET")).respond_with(problem(409, "output_not_ready")).mount(&server).await;
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("out.csv");
    client(&server).download_to_file("job_1", &file).await.expect_err("refused");
    assert_eq!(files_in(directory.path()), 0);
}

#[tokio::test]
async fn a_download_that_breaks_leaves_the_old_file() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let _ = stream.read(&mut [0; 4096]).expect("a request");
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nid,llm_resp").expect("half an answer");
    });
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("out.csv");
    std::fs::write(&file, "old").expect("a file");

    let error = Client::new(&url, KEY).expect("a client").download_to_file("job_1", &file).await.expect_err("broken");

    assert!(matches!(error, Error::Broken { .. }), "{error:?}");
    assert_eq!(std::fs::read_to_string(&file).expect("a file"), "old");
    assert_eq!(files_in(directory.path()), 1);
    server.join().expect("no panic");
}
