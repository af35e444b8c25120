//! Message batches.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::{Method, Response};
use sandbox::log::BatchCreated;
use sandbox::{Entry, Totals};
use serde_json::{Value, json};

use super::client::{config, json as body, text};
use crate::support::{PATIENCE, Sandbox, error, header, message};

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

#[tokio::test]
async fn message_batch_answers_as_the_real_time_route_does() {
    let sandbox = Sandbox::start().await;
    let client = Client(&sandbox);
    let prompts = ["one", "[[sandbox:refusal]]", "[[sandbox:status code=529]]", "grüße \"x\"\n"];
    let batch = client.ended(&prompts).await;
    assert_eq!(counts(&batch), [0, 3, 1, 0, 0]);
    let results = client.results(&batch).await;
    for (number, prompt) in prompts.iter().enumerate() {
        let answer = sandbox.anthropic(&message(prompt)).await;
        let (status, mut theirs) = (answer.status(), body(answer).await);
        let result = &results[&format!("r{number}")];
        let (kind, name, id) =
            if status == 200 { ("succeeded", "message", "id") } else { ("errored", "error", "request_id") };
        assert_eq!(result["type"], kind, "{prompt}");
        let mut ours = result[name].clone();
        for answer in [&mut ours, &mut theirs] {
            answer.as_object_mut().expect("an object").remove(id).expect("an id");
        }
        assert_eq!(ours, theirs, "{prompt}");
    }
    assert_eq!(results["r2"]["error"]["error"]["type"], "overloaded_error");
    let totals = Totals::of(sandbox.log_path()).expect("readable");
    assert_eq!((totals.batches.billed, totals.batches.created), (3, 1));
}

#[tokio::test]
async fn object_has_the_documented_shape_and_nothing_that_identifies_it() {
    let sandbox = Sandbox::with(config(json!({"complete_ms": 60_000}))).await;
    let client = Client(&sandbox);
    let created = client.try_create(&requests(&["a", "b"])).await;
    assert_eq!(header(&created, "request-id"), Some("req_0000000000000000"));
    let created = body(created).await;
    let names: Vec<_> = created.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "id",
            "type",
            "processing_status",
            "request_counts",
            "created_at",
            "expires_at",
            "ended_at",
            "cancel_initiated_at",
            "archived_at",
            "results_url"
        ]
    );
    assert!(text(&created, "id").starts_with("msgbatch_"));
    assert_eq!((&created["type"], &created["processing_status"]), (&json!("message_batch"), &json!("in_progress")));
    assert_eq!(counts(&created), [2, 0, 0, 0, 0]);
    for name in ["ended_at", "cancel_initiated_at", "archived_at", "results_url"] {
        assert_eq!(created[name], Value::Null, "{name}");
    }
    let time = |name: &str| chrono::DateTime::parse_from_rfc3339(&text(&created, name)).expect("RFC 3339");
    assert_eq!(time("expires_at") - time("created_at"), chrono::TimeDelta::hours(24));
    let id = text(&created, "id");
    let early = client.get(&format!("{BATCHES}/{id}/results")).await;
    assert_eq!(error(early).await.1["type"], "not_found_error");
    let tags: Vec<_> = sandbox.entries().into_iter().filter_map(created_tag).collect();
    assert_eq!(tags, ["r0"]);
}

fn created_tag(entry: Entry) -> Option<String> {
    match entry {
        Entry::BatchCreated(BatchCreated { tag, .. }) => Some(tag.into_owned()),
        _ => None,
    }
}

#[tokio::test]
async fn creation_checks_the_ids_and_nothing_of_the_params() {
    let sandbox = Sandbox::start().await;
    let client = Client(&sandbox);
    let request = |id: &str, params: Value| json!({"custom_id": id, "params": params});
    let good = || message("x");
    for (requests, reason) in [
        (json!({}), "requests: Field required"),
        (json!({"requests": {}}), "requests: Input should be a valid list"),
        (json!({"requests": []}), "at least 1 item"),
        (json!({"requests": [request("a", good())], "metadata": {}}), "metadata: Extra inputs"),
        (json!({"requests": [request("a", good()), request("a b", good())]}), "requests.1.custom_id: String should"),
        (json!({"requests": [request(&"x".repeat(65), good())]}), "requests.0.custom_id: String should"),
        (json!({"requests": [request("a", good()), request("a", good())]}), "used more than once"),
        (json!({"requests": [{"custom_id": "a"}]}), "requests.0.params: Field required"),
        (json!({"requests": [{"custom_id": "a", "params": {}, "x": 1}]}), "unknown field"),
        (json!([]), "not valid JSON"),
    ] {
        let (status, error) = error(client.try_create(&requests).await).await;
        assert_eq!((status.as_u16(), &error["type"]), (400, &json!("invalid_request_error")), "{requests}");
        assert!(error["message"].as_str().expect("text").contains(reason), "{requests}: {error}");
    }
    let mut streamed = good();
    streamed["stream"] = json!(true);
    let bad = [("model", json!({"model": "none"})), ("params", json!({})), ("stream", streamed), ("good", good())];
    let requests: Vec<_> = bad.iter().map(|(id, params)| request(id, params.clone())).collect();
    let created = body(client.try_create(&json!({"requests": requests})).await).await;
    let batch = client.until_ended(&text(&created, "id")).await;
    assert_eq!(counts(&batch), [0, 1, 3, 0, 0]);
    let results = client.results(&batch).await;
    for (id, _) in &bad[1..3] {
        assert_eq!(results[*id]["error"]["error"]["type"], "invalid_request_error");
    }
    assert_eq!(Totals::of(sandbox.log_path()).expect("readable").batches.created, 1);
}

#[tokio::test]
async fn key_and_version_are_needed() {
    let sandbox = Sandbox::start().await;
    let url = format!("http://{}{BATCHES}", sandbox.address);
    let no_key = sandbox.client.get(&url).header("anthropic-version", "2023-06-01").send().await.expect("an answer");
    assert_eq!(no_key.status(), 401);
    let no_version = sandbox.client.get(&url).header("x-api-key", "k").send().await.expect("an answer");
    assert_eq!(no_version.status(), 400);
}

#[tokio::test]
async fn version_of_the_creation_counts_for_its_requests() {
    let sandbox = Sandbox::start().await;
    let client = Client(&sandbox);
    let mut params = message("x");
    params["temperature"] = json!(0);
    let requests = json!({"requests": [{"custom_id": "a", "params": params}]});
    for (version, kind) in [("2023-06-01", "succeeded"), ("2026-10-21", "errored")] {
        let url = format!("http://{}{BATCHES}", sandbox.address);
        let request = sandbox.client.post(url).header("x-api-key", "k").header("anthropic-version", version);
        let created = body(request.json(&requests).send().await.expect("an answer")).await;
        let batch = client.until_ended(&text(&created, "id")).await;
        assert_eq!(client.results(&batch).await["a"]["type"], kind, "{version}");
    }
}

#[tokio::test]
async fn cancelled_message_batch_keeps_what_was_done() {
    let outcome = json!({"outcome": "stuck_running", "done_fraction": 0.5});
    let sandbox = Sandbox::with(config(json!({"outcomes": [outcome], "cancel_ms": 50}))).await;
    let client = Client(&sandbox);
    let id = client.create(&["a", "b", "c", "d"]).await;
    assert_eq!(counts(&client.batch(&id).await), [4, 0, 0, 0, 0], "no progress before the end");
    assert_eq!(client.delete(&id).await.status(), 400);
    let canceling = body(client.cancel(&id).await).await;
    assert_eq!(canceling["processing_status"], "canceling");
    assert!(canceling["cancel_initiated_at"].is_string());
    let batch = client.until_ended(&id).await;
    assert_eq!(counts(&batch), [0, 2, 0, 2, 0]);
    let results = client.results(&batch).await;
    let canceled = results.values().filter(|result| **result == json!({"type": "canceled"})).count();
    assert_eq!((results.len(), canceled), (4, 2));
    assert_eq!(client.cancel(&id).await.status(), 400);
    let totals = Totals::of(sandbox.log_path()).expect("readable").batches;
    assert_eq!((totals.billed, totals.cancel_asked), (2, 1));

    let deleted = body(client.delete(&id).await).await;
    assert_eq!(deleted, json!({"id": id, "type": "message_batch_deleted"}));
    assert_eq!(client.get(&format!("{BATCHES}/{id}")).await.status(), 404);
    assert_eq!(client.get(&text(&batch, "results_url")).await.status(), 404);
    assert_eq!(sandbox.stats().await.batches.files, 0);
}

#[tokio::test]
async fn requests_expire_unbilled_at_the_end_of_the_window() {
    let sandbox = Sandbox::with(config(json!({"outcomes": [{"outcome": "expire", "done_fraction": 0.25}]}))).await;
    let client = Client(&sandbox);
    let batch = client.ended(&["a", "b", "c", "[[sandbox:no_usage]]"]).await;
    assert_eq!(counts(&batch), [0, 1, 0, 0, 3]);
    let results = client.results(&batch).await;
    assert_eq!(results.values().filter(|result| **result == json!({"type": "expired"})).count(), 3);
    assert_eq!(Totals::of(sandbox.log_path()).expect("readable").billed, 1);

    let sandbox = Sandbox::with(config(json!({"complete_ms": 60_000, "window_ms": 20}))).await;
    let batch = Client(&sandbox).ended(&["a", "b"]).await;
    assert_eq!(counts(&batch), [0, 0, 0, 0, 2]);
}

#[tokio::test]
async fn row_markers_disturb_the_results() {
    let sandbox = Sandbox::start().await;
    let client = Client(&sandbox);
    let prompts = [
        "plain",
        "[[sandbox:batch_missing]]",
        "[[sandbox:batch_duplicate]]",
        "[[sandbox:batch_unknown]]",
        "[[sandbox:batch_expired]]",
        "[[sandbox:batch_error code=api_error]]",
        "[[sandbox:batch_null]]",
    ];
    let batch = client.ended(&prompts).await;
    let lines = client.lines(&batch).await;
    let of = |id: &str| -> Vec<_> { lines.iter().filter(|line| line["custom_id"] == id).collect() };
    assert_eq!([of("r0").len(), of("r1").len(), of("r2").len(), of("r3").len()], [1, 0, 2, 1]);
    let [first, second] = of("r2")[..] else { panic!("two lines") };
    assert_ne!(first["result"]["message"]["content"], second["result"]["message"]["content"]);
    assert!(lines.iter().any(|line| text(line, "custom_id").starts_with("unknown")));
    assert_eq!(of("r4")[0]["result"], json!({"type": "expired"}));
    assert_eq!(of("r5")[0]["result"]["error"]["error"]["type"], "api_error");
    assert_eq!(of("r6")[0]["result"], Value::Null);

    let invalid = client.try_create(&requests(&["[[sandbox:batch_invalid times=1]]"])).await;
    assert_eq!(invalid.status(), 400);
    assert_eq!(client.try_create(&requests(&["[[sandbox:batch_invalid times=1]]"])).await.status(), 200);
}

#[tokio::test]
async fn list_is_paged_from_newest_to_oldest() {
    let sandbox = Sandbox::start().await;
    let client = Client(&sandbox);
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.insert(0, client.create(&[&format!("row {number}")]).await);
    }
    for (query, page, has_more) in [
        ("", 0..5, false),
        ("?limit=2", 0..2, true),
        (&format!("?limit=2&after_id={}", ids[1]), 2..4, true),
        (&format!("?after_id={}", ids[3]), 4..5, false),
        (&format!("?limit=2&before_id={}", ids[3]), 1..3, true),
        (&format!("?limit=9&before_id={}", ids[2]), 0..2, false),
    ] {
        let list = body(client.get(&format!("{BATCHES}{query}")).await).await;
        let listed: Vec<_> = list["data"].as_array().expect("a list").iter().map(|batch| text(batch, "id")).collect();
        assert_eq!((&listed, &list["has_more"]), (&ids[page].to_vec(), &json!(has_more)), "{query}");
        assert_eq!((&list["first_id"], &list["last_id"]), (&json!(listed.first()), &json!(listed.last())));
    }
    for query in ["?limit=0", "?limit=1001", "?after_id=none"] {
        assert_eq!(client.get(&format!("{BATCHES}{query}")).await.status(), 400, "{query}");
    }
}

#[tokio::test]
async fn beyond_the_limits_is_a_413() {
    let sandbox = Sandbox::with(config(json!({"max_requests": 2, "max_bytes": 2000}))).await;
    let client = Client(&sandbox);
    assert_eq!(client.try_create(&requests(&["a", "b"])).await.status(), 200);
    for prompts in [vec!["a", "b", "c"], vec![&*"x".repeat(3000)]] {
        let (status, error) = error(client.try_create(&requests(&prompts)).await).await;
        assert_eq!((status.as_u16(), &error["type"]), (413, &json!("request_too_large")));
    }
}

#[tokio::test]
async fn queue_and_calls_are_limited() {
    let batch = json!({"max_queued_requests": 3, "complete_ms": 60_000});
    let sandbox = Sandbox::with(config(batch)).await;
    let client = Client(&sandbox);
    let id = client.create(&["a", "b"]).await;
    let full = client.try_create(&requests(&["c", "d"])).await;
    assert_eq!(header(&full, "retry-after"), None);
    assert_eq!(error(full).await.1["type"], "rate_limit_error");
    client.create(&["c"]).await;
    client.cancel(&id).await;
    client.until_ended(&id).await;
    client.create(&["d", "e"]).await;

    let sandbox = Sandbox::with(config(json!({"calls_per_minute": 1}))).await;
    let client = Client(&sandbox);
    assert_eq!(client.get(BATCHES).await.status(), 200);
    let over = client.get(BATCHES).await;
    assert!(header(&over, "retry-after").is_some());
    assert_eq!(over.status(), 429);
}

#[tokio::test]
async fn calls_meet_faults() {
    let faults = json!([
        {"op": "create", "fault": "drop_after", "times": 1},
        {"op": "poll", "fault": "status_529", "times": 1},
        {"op": "download", "fault": "truncate", "times": 1},
        {"op": "list", "fault": "status_500", "times": 1},
    ]);
    let outcomes =
        json!([{"outcome": "fail_validation", "times": 1, "skip": 1}, {"outcome": "fail_token_limit", "times": 1}]);
    let sandbox = Sandbox::with(config(json!({"faults": faults, "outcomes": []}))).await;
    let client = Client(&sandbox);
    assert!(client.try_call(Method::POST, BATCHES, Some(requests(&["a"]).to_string())).await.is_err());
    let listed = client.get(BATCHES).await;
    assert_eq!(error(listed).await.1["type"], "api_error");
    let list = body(client.get(BATCHES).await).await;
    let id = text(&list["data"][0], "id");
    let overloaded = client.get(&format!("{BATCHES}/{id}")).await;
    assert_eq!(
        (overloaded.status().as_u16(), error(overloaded).await.1["type"].take()),
        (529, json!("overloaded_error"))
    );
    let batch = client.until_ended(&id).await;
    let torn = client.get(&text(&batch, "results_url")).await;
    assert!(torn.bytes().await.is_err());
    assert_eq!(client.lines(&batch).await.len(), 1);
    let totals = Totals::of(sandbox.log_path()).expect("readable").batches;
    assert_eq!((totals.created, totals.created_unanswered, totals.lists), (1, 1, 1));

    sandbox.patch(&json!({"batch": {"outcomes": outcomes}})).await;
    assert_eq!(client.try_create(&requests(&["a"])).await.status(), 429);
    assert_eq!(client.try_create(&requests(&["a"])).await.status(), 400);
    assert_eq!(client.try_create(&requests(&["a"])).await.status(), 200);
}

#[tokio::test]
async fn body_of_many_megabytes_is_taken() {
    let sandbox = Sandbox::start().await;
    let client = Client(&sandbox);
    let padding = "x".repeat(30_000);
    let prompts: Vec<_> = (0..200).map(|number| format!("{number} {padding}")).collect();
    let prompts: Vec<_> = prompts.iter().map(String::as_str).collect();
    let pretty = serde_json::to_string_pretty(&requests(&prompts)).expect("JSON");
    let created = client.try_call(Method::POST, BATCHES, Some(pretty)).await.expect("an answer");
    let batch = client.until_ended(&text(&body(created).await, "id")).await;
    assert_eq!(counts(&batch), [0, 200, 0, 0, 0]);
    let results = client.results(&batch).await;
    assert_eq!(results["r7"]["message"]["content"][0]["text"], prompts[7][..4000]);
}
