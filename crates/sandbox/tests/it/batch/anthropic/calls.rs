//! The calls, their limits and their faults.

use reqwest::Method;
use sandbox::log::BatchCreated;
use sandbox::{Entry, Totals};
use serde_json::{Value, json};

use super::super::client::{config, json as body, text};
use super::{BATCHES, Client, counts, requests};
use crate::support::{Sandbox, error, header, message};

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
