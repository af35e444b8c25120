use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::client::{Client, config, line};
use crate::support::{PATIENCE, Sandbox};

/// Head and body of one request, answered with that status.
async fn receive(listener: &TcpListener, status: u16) -> (String, String) {
    let accepted = tokio::time::timeout(PATIENCE, listener.accept()).await;
    let (mut stream, _) = accepted.expect("a call").expect("accepts");
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).await.expect("readable");
        received.extend(&buffer[..read]);
        let text = String::from_utf8(received.clone()).expect("text");
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && body.len() == header(head, "content-length").parse::<usize>().expect("a number")
        {
            let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.expect("writable");
            return (head.to_owned(), body.to_owned());
        }
    }
}

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    let mut values = head.lines().filter_map(|line| line.split_once(": ")).filter(|(key, _)| *key == name);
    values.next().expect("a header").1
}

#[tokio::test]
async fn end_is_told_until_it_is_heard() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let url = format!("http://{}/hook?x=1", listener.local_addr().expect("bound"));
    let key = b"0123456789abcdef0123456789abcdef";
    let secret = format!("whsec_{}", STANDARD.encode(key));
    let sandbox = Sandbox::with(config(json!({"webhook": {"url": url, "secret": secret}}))).await;
    let client = Client::openai(&sandbox);
    let batch = client.ended(line("a", "x")).await;
    let (first, _) = receive(&listener, 503).await;
    let (head, body) = receive(&listener, 200).await;
    assert!(head.starts_with("POST /hook?x=1 HTTP/1.1"));
    assert_eq!(header(&first, "webhook-id"), header(&head, "webhook-id"));
    let event: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((&event["object"], &event["type"]), (&json!("event"), &json!("batch.completed")));
    assert_eq!((&event["data"]["id"], event["id"].as_str()), (&batch["id"], Some(header(&head, "webhook-id"))));
    let signed = format!("{}.{}.{body}", header(&head, "webhook-id"), header(&head, "webhook-timestamp"));
    let signature = STANDARD.decode(header(&head, "webhook-signature").strip_prefix("v1,").expect("version 1"));
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::verify(&key, signed.as_bytes(), &signature.expect("base64")).expect("the right signature");
}
