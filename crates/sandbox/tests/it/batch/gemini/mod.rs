//! Provider batches of the Gemini API, within calls and by file.

mod calls;
mod life;

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use super::client::{json as body, text};
use crate::support::{PATIENCE, Sandbox, contents, header};

const START: &str = "/gemini/upload/v1beta/files";
const CREATE: &str = "/gemini/v1beta/models/echo:batchGenerateContent";

/// Calls with a key.
struct Client<'a>(&'a Sandbox);

/// Lines of a file with the keys `r0`, `r1` and so on.
fn lines(prompts: &[&str]) -> String {
    let line = |(number, prompt): (usize, &&str)| json!({"key": format!("r{number}"), "request": contents(prompt)});
    prompts.iter().enumerate().map(|row| line(row).to_string() + "\n").collect()
}

/// The same within a call.
fn inline(prompts: &[&str]) -> Value {
    let request = |(number, prompt): (usize, &&str)| json!({"request": contents(prompt), "metadata": {"key": format!("r{number}")}});
    let requests: Vec<_> = prompts.iter().enumerate().map(request).collect();
    json!({"batch": {"displayName": "job1-chunk7", "inputConfig": {"requests": {"requests": requests}}}})
}

fn by_file(name: &str) -> Value {
    json!({"batch": {"displayName": "job1-chunk7", "inputConfig": {"fileName": name}}})
}

impl Client<'_> {
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = if path.starts_with('/') { format!("http://{}{path}", self.0.address) } else { path.to_owned() };
        self.0.client.request(method, url).header("x-goog-api-key", "test-key")
    }

    async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.expect("an answer")
    }

    async fn delete(&self, path: &str) -> Response {
        self.request(Method::DELETE, path).send().await.expect("an answer")
    }

    async fn try_create(&self, creation: &Value) -> Response {
        self.request(Method::POST, CREATE).json(creation).send().await.expect("an answer")
    }

    /// The name of the operation.
    async fn create(&self, creation: &Value) -> String {
        let created = self.try_create(creation).await;
        assert_eq!(created.status(), 200);
        text(&body(created).await, "name")
    }

    async fn batch(&self, name: &str) -> Value {
        body(self.get(&format!("/gemini/v1beta/{name}")).await).await
    }

    async fn cancel(&self, name: &str) -> Response {
        self.request(Method::POST, &format!("/gemini/v1beta/{name}:cancel")).send().await.expect("an answer")
    }

    /// The operation once it is done.
    async fn until_done(&self, name: &str) -> Value {
        let done = async {
            loop {
                let batch = self.batch(name).await;
                if batch["done"] == true {
                    return batch;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(PATIENCE, done).await.expect("comes to an end")
    }

    async fn done(&self, creation: &Value) -> Value {
        let name = self.create(creation).await;
        self.until_done(&name).await
    }

    async fn start(&self, length: usize) -> Response {
        let request = self.request(Method::POST, START).header("x-goog-upload-protocol", "resumable");
        let request =
            request.header("x-goog-upload-command", "start").header("x-goog-upload-header-content-length", length);
        let request = request.header("x-goog-upload-header-content-type", "application/jsonl");
        request.json(&json!({"file": {"displayName": "chunk-7.jsonl"}})).send().await.expect("an answer")
    }

    /// A piece, without key.
    async fn piece(&self, session: &str, command: &str, offset: usize, piece: &str) -> reqwest::Result<Response> {
        let request = self.0.client.post(session).header("x-goog-upload-command", command);
        request.header("x-goog-upload-offset", offset).body(piece.to_owned()).send().await
    }

    /// The object of the file.
    async fn upload(&self, content: &str) -> Value {
        let started = self.start(content.len()).await;
        assert_eq!((started.status().as_u16(), header(&started, "x-goog-upload-status")), (200, Some("active")));
        let session = header(&started, "x-goog-upload-url").expect("a session").to_owned();
        let finished = self.piece(&session, "upload, finalize", 0, content).await.expect("an answer");
        assert_eq!((finished.status().as_u16(), header(&finished, "x-goog-upload-status")), (200, Some("final")));
        body(finished).await["file"].take()
    }

    async fn content(&self, name: &str) -> String {
        let response = self.get(&format!("/gemini/v1beta/{name}:download?alt=media")).await;
        assert_eq!(response.status(), 200);
        response.text().await.expect("text")
    }

    /// The result lines of a file, by key.
    async fn results(&self, name: &str) -> BTreeMap<String, Value> {
        let content = self.content(name).await;
        let lines = content.lines().map(|line| serde_json::from_str::<Value>(line).expect("a JSON line"));
        lines.map(|line| (text(&line, "key"), line)).collect()
    }
}

fn stats(batch: &Value) -> [&str; 4] {
    ["requestCount", "successfulRequestCount", "failedRequestCount", "pendingRequestCount"]
        .map(|name| batch["metadata"]["batchStats"][name].as_str().expect("a string"))
}

fn state(batch: &Value) -> &str {
    batch["metadata"]["state"].as_str().expect("a state")
}
