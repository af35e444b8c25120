//! Message batches.

mod calls;
mod life;

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::client::{json as body, text};
use crate::support::{PATIENCE, Sandbox, header, message};

const BATCHES: &str = "/anthropic/v1/messages/batches";

/// Calls with key and version.
struct Client<'a>(&'a Sandbox);

/// The body of a creation, with the ids `r0`, `r1` and so on.
fn requests(prompts: &[&str]) -> Value {
    let request =
        |(number, prompt): (usize, &&str)| json!({"custom_id": format!("r{number}"), "params": message(prompt)});
    json!({"requests": prompts.iter().enumerate().map(request).collect::<Vec<_>>()})
}

impl Client<'_> {
    async fn try_call(&self, method: Method, url: &str, body: Option<String>) -> reqwest::Result<Response> {
        let url = if url.starts_with('/') { format!("http://{}{url}", self.0.address) } else { url.to_owned() };
        let request = self.0.client.request(method, url).header("x-api-key", "test-key");
        let request = request.header("anthropic-version", "2023-06-01");
        match body {
            Some(body) => request.body(body).send().await,
            None => request.send().await,
        }
    }

    async fn get(&self, url: &str) -> Response {
        self.try_call(Method::GET, url, None).await.expect("an answer")
    }

    async fn try_create(&self, requests: &Value) -> Response {
        self.try_call(Method::POST, BATCHES, Some(requests.to_string())).await.expect("an answer")
    }

    async fn create(&self, prompts: &[&str]) -> String {
        let created = self.try_create(&requests(prompts)).await;
        assert_eq!(created.status(), 200);
        text(&body(created).await, "id")
    }

    async fn batch(&self, id: &str) -> Value {
        body(self.get(&format!("{BATCHES}/{id}")).await).await
    }

    async fn cancel(&self, id: &str) -> Response {
        self.try_call(Method::POST, &format!("{BATCHES}/{id}/cancel"), None).await.expect("an answer")
    }

    async fn delete(&self, id: &str) -> Response {
        self.try_call(Method::DELETE, &format!("{BATCHES}/{id}"), None).await.expect("an answer")
    }

    /// The object once it has ended.
    async fn until_ended(&self, id: &str) -> Value {
        let ended = async {
            loop {
                let batch = self.batch(id).await;
                if batch["processing_status"] == "ended" {
                    return batch;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(PATIENCE, ended).await.expect("comes to an end")
    }

    async fn ended(&self, prompts: &[&str]) -> Value {
        let id = self.create(prompts).await;
        self.until_ended(&id).await
    }

    /// The result lines in their order.
    async fn lines(&self, batch: &Value) -> Vec<Value> {
        let response = self.get(&text(batch, "results_url")).await;
        assert_eq!((response.status().as_u16(), header(&response, "content-type")), (200, Some("application/x-jsonl")));
        let content = response.text().await.expect("text");
        content.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
    }

    /// The results by custom id.
    async fn results(&self, batch: &Value) -> BTreeMap<String, Value> {
        let lines = self.lines(batch).await;
        lines.iter().map(|line| (text(line, "custom_id"), line["result"].clone())).collect()
    }
}

fn counts(batch: &Value) -> [u64; 5] {
    ["processing", "succeeded", "errored", "canceled", "expired"]
        .map(|name| batch["request_counts"][name].as_u64().expect("a count"))
}
