//! Calls in OpenAI's format, below any prefix.

use std::collections::BTreeMap;

use reqwest::multipart::{Form, Part};
use reqwest::{RequestBuilder, Response};
use sandbox::Config;
use serde_json::{Value, json};

use crate::support::{PATIENCE, Sandbox, request};

/// A sandbox and the prefix of a family.
pub struct Client<'a> {
    pub sandbox: &'a Sandbox,
    pub prefix: &'static str,
}

/// A configuration whose provider batches are as `batch` says.
pub fn config(batch: Value) -> Config {
    Config { batch: serde_json::from_value(batch).expect("valid"), ..Config::default() }
}

/// A line of an input file with that prompt.
pub fn line(custom_id: &str, prompt: &str) -> String {
    let body = request("echo", prompt);
    json!({"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body}).to_string() + "\n"
}

/// Lines with the ids `r0`, `r1` and so on.
pub fn lines(prompts: &[&str]) -> String {
    prompts.iter().enumerate().map(|(number, prompt)| line(&format!("r{number}"), prompt)).collect()
}

impl<'a> Client<'a> {
    pub fn openai(sandbox: &'a Sandbox) -> Self {
        Self { sandbox, prefix: "/v1" }
    }

    pub fn at(sandbox: &'a Sandbox, prefix: &'static str) -> Self {
        Self { sandbox, prefix }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{}{path}", self.sandbox.address, self.prefix)
    }

    pub async fn send(&self, request: RequestBuilder) -> reqwest::Result<Response> {
        request.bearer_auth("test-key").send().await
    }

    pub async fn get(&self, path: &str) -> Response {
        self.send(self.sandbox.client.get(self.url(path))).await.expect("an answer")
    }

    pub async fn post(&self, path: &str, body: &Value) -> Response {
        self.try_post(path, body).await.expect("an answer")
    }

    pub async fn try_post(&self, path: &str, body: &Value) -> reqwest::Result<Response> {
        self.send(self.sandbox.client.post(self.url(path)).json(body)).await
    }

    pub async fn delete(&self, path: &str) -> Response {
        self.send(self.sandbox.client.delete(self.url(path))).await.expect("an answer")
    }

    pub async fn try_upload(&self, name: &str, content: String) -> reqwest::Result<Response> {
        let file = Part::text(content).file_name(name.to_owned());
        let form = Form::new().text("purpose", "batch").part("file", file);
        self.send(self.sandbox.client.post(self.url("/files")).multipart(form)).await
    }

    /// The id of the file.
    pub async fn upload(&self, content: String) -> String {
        let response = self.try_upload("input.jsonl", content).await.expect("an answer");
        assert_eq!(response.status(), 200);
        text(&json(response).await, "id")
    }

    pub async fn try_create(&self, input: &str) -> reqwest::Result<Response> {
        let body = json!({
            "input_file_id": input, "endpoint": "/v1/chat/completions", "completion_window": "24h",
            "metadata": {"chunk": "7"},
        });
        self.try_post("/batches", &body).await
    }

    /// Uploads and creates; the id of the provider batch.
    pub async fn create(&self, content: String) -> String {
        let input = self.upload(content).await;
        let response = self.try_create(&input).await.expect("an answer");
        assert_eq!(response.status(), 200);
        text(&json(response).await, "id")
    }

    pub async fn batch(&self, id: &str) -> Value {
        json(self.get(&format!("/batches/{id}")).await).await
    }

    /// The object once it has one of these statuses.
    pub async fn until(&self, id: &str, statuses: &[&str]) -> Value {
        let reached = async {
            loop {
                let batch = self.batch(id).await;
                if statuses.contains(&batch["status"].as_str().unwrap_or_default()) {
                    return batch;
                }
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(PATIENCE, reached).await.expect("comes to an end")
    }

    /// Uploads, creates and waits for the end.
    pub async fn ended(&self, content: String) -> Value {
        let id = self.create(content).await;
        self.until(&id, &["completed", "failed", "expired", "cancelled"]).await
    }

    pub async fn content(&self, file: &str) -> String {
        let response = self.get(&format!("/files/{file}/content")).await;
        assert_eq!(response.status(), 200);
        response.text().await.expect("text")
    }

    /// The result lines of a file, none where there is no file.
    pub async fn results(&self, file: &Value) -> Vec<Value> {
        let Some(id) = file.as_str().filter(|id| !id.is_empty()) else {
            return Vec::new();
        };
        let content = self.content(id).await;
        content.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
    }

    /// The result lines of both files by custom id, which must be unique.
    pub async fn by_id(&self, batch: &Value) -> BTreeMap<String, Value> {
        let mut lines = self.results(&batch["output_file_id"]).await;
        lines.extend(self.results(&batch["error_file_id"]).await);
        let count = lines.len();
        let by_id: BTreeMap<_, _> = lines.into_iter().map(|line| (text(&line, "custom_id"), line)).collect();
        assert_eq!(by_id.len(), count, "ids are unique");
        by_id
    }
}

pub async fn json(response: Response) -> Value {
    response.json().await.expect("JSON")
}

pub fn text(value: &Value, name: &str) -> String {
    value[name].as_str().expect(name).to_owned()
}
