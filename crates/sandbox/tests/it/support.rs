//! A running sandbox, a client, and a raw connection.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Response, StatusCode};
use sandbox::log::Request;
use sandbox::{Config, Entry, Stats, read_log};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Against hanging only.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct Sandbox {
    pub address: SocketAddr,
    pub client: reqwest::Client,
    directory: tempfile::TempDir,
    stop: oneshot::Sender<()>,
    server: JoinHandle<Result<(), sandbox::Error>>,
}

impl Sandbox {
    pub async fn start() -> Self {
        Self::with(Config::default()).await
    }

    /// With a log in a temporary directory, unless the configuration names one.
    pub async fn with(mut config: Config) -> Self {
        let directory = tempfile::tempdir().expect("temporary directory");
        let log = directory.path().join("oracle.jsonl");
        config.log = Some(config.log.unwrap_or(log));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("bound");
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            let _ = stopped.await;
        };
        let server = tokio::spawn(sandbox::serve(listener, config, shutdown));
        let client = reqwest::Client::builder().timeout(PATIENCE).build().expect("client");
        Self { address, client, directory, stop, server }
    }

    pub fn log_path(&self) -> PathBuf {
        self.directory.path().join("oracle.jsonl")
    }

    /// The requests in the log.
    pub fn requests(&self) -> Vec<Request<'static>> {
        self.entries()
            .into_iter()
            .filter_map(|entry| match entry {
                Entry::Request(request) => Some(request),
                _ => None,
            })
            .collect()
    }

    pub fn entries(&self) -> Vec<Entry> {
        let log = read_log(self.log_path()).expect("log");
        log.map(|entry| entry.expect("valid line")).collect()
    }

    /// Sends `prompt` to the model `echo`.
    pub async fn ask(&self, prompt: &str) -> Response {
        self.send(&request("echo", prompt)).await.expect("an answer")
    }

    pub async fn send(&self, body: &Value) -> reqwest::Result<Response> {
        let url = format!("http://{}/v1/chat/completions", self.address);
        self.client.post(url).bearer_auth("test-key").json(body).send().await
    }

    /// Sends a message as Anthropic wants it.
    pub async fn anthropic(&self, body: &Value) -> Response {
        let url = format!("http://{}/anthropic/v1/messages", self.address);
        let request = self.client.post(url).header("x-api-key", "test-key").header("anthropic-version", "2023-06-01");
        request.json(body).send().await.expect("an answer")
    }

    /// Asks the model for content as Gemini wants it.
    pub async fn gemini(&self, model: &str, body: &Value) -> Response {
        let url = format!("http://{}/gemini/v1beta/models/{model}:generateContent", self.address);
        self.client.post(url).header("x-goog-api-key", "test-key").json(body).send().await.expect("an answer")
    }

    pub async fn stats(&self) -> Stats {
        let url = format!("http://{}/_sandbox/stats", self.address);
        let response = self.client.get(url).send().await.expect("stats");
        response.json().await.expect("stats")
    }

    pub async fn patch(&self, patch: &Value) -> Response {
        let url = format!("http://{}/_sandbox/config", self.address);
        self.client.patch(url).json(patch).send().await.expect("an answer")
    }

    /// Sends `prompt` over a raw connection.
    pub async fn connect(&self, prompt: &str) -> TcpStream {
        self.connect_to("/chat/completions", "authorization: Bearer test-key", &request("echo", prompt)).await
    }

    /// Sends `body` over a raw connection.
    pub async fn connect_to(&self, path: &str, header: &str, body: &Value) -> TcpStream {
        let head = format!("POST {path} HTTP/1.1\r\nhost: sandbox\r\n{header}\r\n");
        let body = body.to_string();
        let length = body.len();
        let mut stream = TcpStream::connect(self.address).await.expect("connects");
        let request = format!("{head}content-length: {length}\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).await.expect("sends");
        stream
    }

    /// All that comes back over a raw connection until it closes.
    pub async fn raw(&self, prompt: &str) -> Vec<u8> {
        let mut stream = self.connect(prompt).await;
        let mut received = Vec::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut received));
        // A reset instead of an orderly close is as good.
        let _ = read.await.expect("the connection closes");
        received
    }

    /// Waits until the sandbox has seen as much as `enough` asks for.
    pub async fn until(&self, enough: impl Fn(&Stats) -> bool) {
        let seen = async {
            while !enough(&self.stats().await) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, seen).await.expect("the sandbox sees it");
    }

    pub async fn shut_down(self) -> tempfile::TempDir {
        let _ = self.stop.send(());
        let ended = tokio::time::timeout(PATIENCE, self.server).await;
        ended.expect("shuts down").expect("no panic").expect("no error");
        self.directory
    }
}

pub fn request(model: &str, prompt: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": prompt}]})
}

/// The least that Anthropic takes.
pub fn message(prompt: &str) -> Value {
    json!({"model": "echo", "max_tokens": 1000, "messages": [{"role": "user", "content": prompt}]})
}

/// The least that Gemini takes.
pub fn contents(prompt: &str) -> Value {
    json!({"contents": [{"role": "user", "parts": [{"text": prompt}]}]})
}

/// Status and `error` object.
pub async fn error(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let mut body: Value = response.json().await.expect("JSON");
    (status, body["error"].take())
}

pub fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().expect("text"))
}
