use domain::failure::Class;
use domain::provider::Driver;
use providers::CallError;
use wiremock::matchers::{header, header_exists, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::{STALL, Turn, connect, encoded, impatient, scripted};
use crate::wire::Fetched;

async fn fetch(target: &mut Fetched, base_url: &str) -> Result<(), CallError> {
    connect(Driver::Openai, base_url).download("file-1", &mut target.download).await
}

fn reply(status: &str, headers: &str, body: &str) -> Turn {
    Turn::Says(format!("HTTP/1.1 {status}\r\n{headers}Connection: close\r\n\r\n{body}").into_bytes())
}

#[tokio::test]
async fn a_download_that_was_cut_off_goes_on_where_it_ends() {
    let (url, server) = scripted(vec![
        reply("200 OK", "Content-Length: 10\r\n", "01234"),
        reply("206 Partial Content", "Content-Range: bytes 5-9/10\r\nContent-Length: 5\r\n", "56789"),
    ])
    .await;
    let mut target = Fetched::new(100);
    let cut = fetch(&mut target, &url).await.expect_err("a short body");
    assert_eq!((cut.failure.class, cut.failure.error.code.as_str()), (Class::Transient, "connection_lost"));
    assert_eq!(target.download.bytes(), 5);
    fetch(&mut target, &url).await.expect("the rest");
    assert_eq!(target.text(), "0123456789");
    let requests = server.await.expect("both requests");
    assert!(!requests[0].to_lowercase().contains("range:"));
    assert!(requests[1].contains("range: bytes=5-\r\n"), "{}", requests[1]);
}

#[tokio::test]
async fn a_part_that_ends_before_the_file_does_is_gone_on_from() {
    let (url, server) = scripted(vec![
        reply("200 OK", "Content-Length: 10\r\n", "01234"),
        reply("206 Partial Content", "Content-Range: bytes 5-7/10\r\nContent-Length: 3\r\n", "567"),
        reply("206 Partial Content", "Content-Range: bytes 8-9/10\r\nContent-Length: 2\r\n", "89"),
    ])
    .await;
    let mut target = Fetched::new(100);
    fetch(&mut target, &url).await.expect_err("a short body");
    fetch(&mut target, &url).await.expect_err("a part");
    fetch(&mut target, &url).await.expect("the rest");
    assert_eq!(target.text(), "0123456789");
    server.await.expect("three requests");
}

#[tokio::test]
async fn a_server_without_ranges_starts_over() {
    let (url, server) = scripted(vec![
        reply("200 OK", "Content-Length: 10\r\n", "01234"),
        reply("200 OK", "Content-Length: 3\r\n", "abc"),
    ])
    .await;
    let mut target = Fetched::new(100);
    fetch(&mut target, &url).await.expect_err("a short body");
    fetch(&mut target, &url).await.expect("another whole");
    assert_eq!(target.text(), "abc");
    assert_eq!(target.download.bytes(), 3);
    server.await.expect("both requests");
}

#[tokio::test]
async fn another_range_than_asked_for_is_not_appended() {
    for headers in ["", "Content-Range: bytes 0-4/10\r\n", "Content-Range: bytes 6-9/10\r\n"] {
        let (url, server) = scripted(vec![
            reply("200 OK", "Content-Length: 10\r\n", "01234"),
            reply("206 Partial Content", headers, "xxxxx"),
            reply("200 OK", "Content-Length: 10\r\n", "0123456789"),
        ])
        .await;
        let mut target = Fetched::new(100);
        fetch(&mut target, &url).await.expect_err("a short body");
        let wrong = fetch(&mut target, &url).await.expect_err("a wrong range");
        assert_eq!(wrong.failure.error.code, "invalid_provider_response");
        fetch(&mut target, &url).await.expect("all of it");
        assert_eq!(target.text(), "0123456789");
        server.await.expect("three requests");
    }
}

#[tokio::test]
async fn nothing_left_to_send_means_that_all_is_there() {
    let cut = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n";
    let (url, server) = scripted(vec![
        Turn::Says(cut.into()),
        reply("416 Range Not Satisfiable", "Content-Range: bytes */5\r\n", ""),
        reply("416 Range Not Satisfiable", "Content-Range: bytes */9\r\n", ""),
        reply("200 OK", "Content-Length: 9\r\n", "012345678"),
    ])
    .await;
    let mut target = Fetched::new(100);
    fetch(&mut target, &url).await.expect_err("a body without its end");
    fetch(&mut target, &url).await.expect("nothing is missing");
    assert_eq!(target.text(), "01234");
    fetch(&mut target, &url).await.expect_err("another length");
    fetch(&mut target, &url).await.expect("all of it");
    assert_eq!(target.text(), "012345678");
    server.await.expect("four requests");
}

#[tokio::test]
async fn a_standstill_ends_a_download_and_slowness_does_not() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n";
    let (url, server) = scripted(vec![Turn::Hangs(format!("{head}0").into())]).await;
    let mut target = Fetched::new(100);
    let stalled = impatient(Driver::Openai, &url).download("file-1", &mut target.download).await.expect_err("silence");
    assert_eq!(stalled.failure.error.code, "provider_timeout");
    assert_eq!(target.download.bytes(), 1);
    server.abort();
    let slow = "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 1-5/6\r\n\r\n";
    let (url, server) = scripted(vec![Turn::Drips(slow.into(), b"12345")]).await;
    impatient(Driver::Openai, &url).download("file-1", &mut target.download).await.expect("slow, and whole");
    assert_eq!(target.text(), "012345");
    server.await.expect("a request");
}

#[tokio::test]
async fn a_download_is_bounded() {
    let server = MockServer::start().await;
    let body = ResponseTemplate::new(200).set_body_string("0123456789");
    Mock::given(path("/v1/files/file-1/content")).respond_with(body).mount(&server).await;
    let mut target = Fetched::new(9);
    let error = fetch(&mut target, &format!("{}/v1", server.uri())).await.expect_err("too long");
    assert_eq!(error.failure.error.code, "provider_response_too_large");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (here, elsewhere) = (MockServer::start().await, MockServer::start().await);
    let location = format!("{}/secret", elsewhere.uri());
    let redirect = ResponseTemplate::new(302).insert_header("location", location);
    Mock::given(header("authorization", "Bearer sk-1")).respond_with(redirect).mount(&here).await;
    Mock::given(header_exists("user-agent")).respond_with(ResponseTemplate::new(200)).expect(0).mount(&elsewhere).await;
    let url = format!("{}/v1", here.uri());
    let mut target = Fetched::new(100);
    let error = fetch(&mut target, &url).await.expect_err("a redirect");
    assert_eq!((error.failure.class, error.failure.error.code.as_str()), (Class::KeyLevel, "provider_misconfigured"));
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("in");
    std::fs::write(&path, "{}\n").expect("a file");
    let error = connect(Driver::Openai, &url).upload(&encoded(&path)).await.expect_err("a redirect");
    assert_eq!(error.failure.class, Class::KeyLevel);
}

#[tokio::test]
async fn what_is_gone_is_missing_and_no_error_to_a_delete() {
    let server = MockServer::start().await;
    let body = r#"{"error":{"message":"No such File object: file-1"}}"#;
    let gone = ResponseTemplate::new(404).set_body_string(body);
    Mock::given(method("GET")).respond_with(gone.clone()).mount(&server).await;
    Mock::given(method("DELETE")).respond_with(gone).expect(1).mount(&server).await;
    let url = format!("{}/v1", server.uri());
    let error = fetch(&mut Fetched::new(100), &url).await.expect_err("nothing there");
    assert!(error.missing && !error.ambiguous);
    assert_eq!(error.failure.error.message, "HTTP 404: No such File object: file-1");
    connect(Driver::Openai, &url).delete_file("file-1").await.expect("gone is gone");
}

#[tokio::test]
async fn an_upload_streams_with_its_length_and_the_key() {
    let (url, server) =
        scripted(vec![reply("200 OK", "Content-Type: application/json\r\n", r#"{"id":"file-9"}"#)]).await;
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("in");
    let lines = "{\"custom_id\":\"r1\"}\n".repeat(20_000);
    std::fs::write(&path, &lines).expect("a file");
    let id = connect(Driver::Openai, &url).upload(&encoded(&path)).await.expect("an id");
    assert_eq!(id, "file-9");
    let request = server.await.expect("a request").remove(0);
    let (head, body) = request.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("POST /v1/files HTTP/1.1"), "{head}");
    assert!(head.contains("authorization: Bearer sk-1"), "{head}");
    assert!(head.contains(&format!("content-length: {}", body.len())) && !head.contains("chunked"), "{head}");
    for field in [
        "name=\"purpose\"\r\n\r\nbatch\r\n",
        "name=\"expires_after[anchor]\"\r\n\r\ncreated_at\r\n",
        "name=\"expires_after[seconds]\"\r\n\r\n1209600\r\n",
    ] {
        assert!(body.contains(field), "{field}");
    }
    let file =
        body.split_once("filename=\"d-1.jsonl\"\r\nContent-Type: application/jsonl\r\n\r\n").expect("the file").1;
    assert!(file.starts_with(&lines));
}

#[tokio::test]
async fn an_upload_without_a_reply_ends_and_is_ambiguous() {
    let (url, server) = scripted(vec![Turn::Hangs(Vec::new())]).await;
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("in");
    std::fs::write(&path, "{}\n").expect("a file");
    let begun = std::time::Instant::now();
    let error = impatient(Driver::Openai, &url).upload(&encoded(&path)).await.expect_err("silence");
    assert!(error.ambiguous && begun.elapsed() >= STALL);
    assert_eq!(error.failure.error.code, "provider_timeout");
    server.abort();
}
