//! A scripted service, and the command line run against it with its output captured.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::Parser;
use client::api::Client;
use client::command::{self, AdminCommand, ClientCommand, Context, Outcome};
use client::terminal::Terminal;
use serde_json::{Value, json};
use wiremock::{MockServer, ResponseTemplate};

pub const KEY: &str = "gm_test";

#[derive(Debug, Parser)]
pub struct Line {
    #[command(subcommand)]
    command: ClientCommand,
}

#[derive(Debug, Parser)]
pub struct AdminLine {
    #[command(subcommand)]
    command: AdminCommand,
}

/// What a command left behind.
#[derive(Debug)]
pub struct Finished {
    pub outcome: Outcome,
    pub results: String,
    pub notes: String,
}

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no panic").clone()).expect("UTF-8")
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub async fn run(server: &MockServer, arguments: &[&str]) -> Finished {
    run_at(&server.uri(), Some(KEY), arguments).await
}

pub async fn run_at(url: &str, api_key: Option<&str>, arguments: &[&str]) -> Finished {
    let line = Line::try_parse_from([&["gristmill"], arguments, &["--url", url]].concat()).expect("a command line");
    finish(api_key, async |context| command::run(line.command, context).await).await
}

pub async fn run_admin(server: &MockServer, arguments: &[&str]) -> Finished {
    let url = server.uri();
    let words = [&["gristmill"], arguments, &["--url", &url]].concat();
    let line = AdminLine::try_parse_from(words).expect("a command line");
    finish(Some(KEY), async |context| command::run_admin(line.command, context).await).await
}

async fn finish(api_key: Option<&str>, run: impl AsyncFnOnce(Context) -> Outcome) -> Finished {
    let (results, notes) = (Captured::default(), Captured::default());
    let context = Context {
        api_key: api_key.map(str::to_owned),
        now: "2026-11-21T00:00:00Z".parse().expect("a time"),
        terminal: Terminal::to(results.clone(), notes.clone()),
    };
    let outcome = run(context).await;
    Finished { outcome, results: results.text(), notes: notes.text() }
}

/// A client that repeats quickly.
pub fn client(server: &MockServer) -> Client {
    Client::builder(&server.uri()).api_key(KEY).retry_delay(Duration::from_millis(1)).build().expect("a client")
}

pub fn job(status: &str) -> Value {
    json!({
        "id": "job_1", "object": "job", "name": null, "status": status, "status_reason": null,
        "input": {"uri": "s3://data/in.csv", "format": "csv"},
        "output": {"uri": null, "format": "csv", "bytes": null, "sha256": null},
        "model": "sandbox/echo",
        "counts": {"total": 4, "pending": 0, "running": 0, "succeeded": 4, "failed": 0, "cancelled": 0, "expired": 0},
        "usage": {"input_tokens": 1200, "cached_input_tokens": 0, "output_tokens": 40, "cost_usd": "0.0123"},
        "progress": 1.0, "created_at": "2026-11-21T00:00:00Z", "started_at": "2026-11-21T00:00:01Z",
        "finished_at": "2026-11-21T00:00:03.5Z", "error": null, "metadata": {}, "novelty": [1, 2]
    })
}

pub fn job_with_failures() -> Value {
    let mut job = job("completed");
    job["counts"]["succeeded"] = json!(3);
    job["counts"]["failed"] = json!(1);
    job
}

pub fn problem(status: u16, code: &str) -> ResponseTemplate {
    let body = json!({
        "type": format!("https://gristmill.example/problems/{code}"), "title": "Refused", "status": status,
        "detail": "the detail", "instance": "req_7", "code": code,
        "errors": [{"pointer": "/input/uri", "code": code, "message": "is not allowed"}]
    });
    ResponseTemplate::new(status).set_body_raw(body.to_string(), "application/problem+json")
}

pub fn busy() -> ResponseTemplate {
    ResponseTemplate::new(503).insert_header("Retry-After", "0")
}
