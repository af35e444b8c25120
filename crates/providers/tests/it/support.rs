use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use domain::provider::Driver;
use providers::client::{HttpClient, HttpOptions};
use providers::{BatchDriver, Connection, EncodedFile, Endpoint};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What [`impatient`] takes for a standstill.
pub const STALL: Duration = Duration::from_millis(600);

pub fn connect_with(kind: Driver, base_url: &str, options: &[(&str, &str)]) -> Connection {
    connection(kind, base_url, options, Duration::from_mins(1))
}

pub fn connect(kind: Driver, base_url: &str) -> Arc<dyn BatchDriver> {
    connect_with(kind, base_url, &[]).batch.expect("a batch API")
}

pub fn impatient(kind: Driver, base_url: &str) -> Arc<dyn BatchDriver> {
    connection(kind, base_url, &[], STALL).batch.expect("a batch API")
}

fn connection(kind: Driver, base_url: &str, options: &[(&str, &str)], timeout: Duration) -> Connection {
    let http = HttpClient::new(HttpOptions { allow_private: true, ..HttpOptions::default() }).expect("a client");
    let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let endpoint = Endpoint {
        base_url: base_url.to_owned(),
        secret: Some("sk-1".to_owned().into()),
        upstream_model: "m-1".to_owned(),
        max_output_tokens: None,
        timeout,
        options: options.collect(),
    };
    providers::connect(kind, http, endpoint)
}

pub fn encoded(path: &Path) -> EncodedFile<'_> {
    EncodedFile { path, bytes: std::fs::metadata(path).expect("a file").len(), name: "d-1.jsonl" }
}

/// What a server does with one connection after it has read one request.
pub enum Turn {
    /// Writes this and closes.
    Says(Vec<u8>),
    /// Writes this and goes silent.
    Hangs(Vec<u8>),
    /// Writes this, and then byte by byte, each after a third of a standstill, and closes.
    Drips(Vec<u8>, &'static [u8]),
}

/// A server with a turn for each connection, and the requests that it got.
pub async fn scripted(turns: Vec<Turn>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/v1", listener.local_addr().expect("an address"));
    let task = tokio::spawn(async move {
        let (mut requests, mut silent) = (Vec::new(), Vec::new());
        for turn in turns {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            requests.push(request(&mut stream).await);
            match turn {
                Turn::Says(bytes) => stream.write_all(&bytes).await.expect("a client that listens"),
                Turn::Hangs(bytes) => {
                    stream.write_all(&bytes).await.expect("a client that listens");
                    silent.push(stream);
                }
                Turn::Drips(head, bytes) => {
                    stream.write_all(&head).await.expect("a client that listens");
                    for byte in bytes {
                        tokio::time::sleep(STALL / 3).await;
                        stream.write_all(&[*byte]).await.expect("a client that listens");
                    }
                }
            }
        }
        if !silent.is_empty() {
            std::future::pending::<()>().await;
        }
        requests
    });
    (url, task)
}

async fn request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
            if body.len() >= length.parse().expect("a length") {
                return String::from_utf8_lossy(&bytes).into_owned();
            }
        }
        assert!(stream.read_buf(&mut bytes).await.expect("a request") > 0, "cut: {text}");
    }
}
