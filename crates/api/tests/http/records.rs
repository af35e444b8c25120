//! Provider and model records: kept as they were sent, listed, deleted.

use serde_json::{Value, json};

use crate::app::TestApp;

fn provider() -> Value {
    json!({"driver": "openai", "base_url": "https://api.openai.com/v1", "credential": "openai-main",
        "realtime": {"requests_per_minute": 10_000, "output_tokens_per_minute": null, "max_concurrency": 500, "timeout_s": 120},
        "batch": {"max_requests": 50_000, "max_bytes": 200_000_000, "max_enqueued_tokens": 20_000_000, "window_s": 86_400,
            "min_items": 50, "min_saving_usd": "0.50", "discount": "0.5", "poll_interval_s": 30}})
}

/// The fields of `sent` as they are in `shown`.
fn part(shown: &Value, sent: &Value) -> Value {
    sent.as_object()
        .expect("an object")
        .keys()
        .map(|name| (name.clone(), shown[name].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

async fn put(app: &TestApp, path: &str, record: &Value) -> Value {
    app.admin("PUT", path, record.clone()).await.expect(200)
}

async fn app() -> TestApp {
    let app = TestApp::start().await;
    app.admin("PUT", "/v1/admin/credentials/openai-main", json!({"secret": "sk-x"})).await.expect(200);
    app
}

#[tokio::test]
async fn what_was_put_is_what_is_shown() {
    let app = app().await;
    let path = "/v1/admin/providers/openai";
    let null = json!({"driver": "groq", "base_url": "https://x.test", "realtime": null, "batch": null});
    let options = json!({"driver": "anthropic", "base_url": "https://x.test", "realtime": {}, "batch": {"window_s": 60},
        "options": {"anthropic_version": "2023-06-01"}});
    for record in [provider(), null, options] {
        let stored = put(&app, path, &record).await;
        assert_eq!(part(&stored, &record), record);
        assert_eq!(app.admin("GET", path, Value::Null).await.expect(200), stored);
    }
    put(&app, path, &provider()).await;
    let short =
        json!({"input_per_mtok_usd": "0.25", "cached_input_per_mtok_usd": "0.025", "output_per_mtok_usd": "2.00"});
    let list = json!([{"kind": "input", "route": "realtime", "per_mtok_usd": "1"},
        {"kind": "input", "route": "realtime", "above_input_tokens": 200_000, "per_mtok_usd": "2.5"},
        {"kind": "output", "route": "batch", "per_mtok_usd": "4.000"}]);
    let full = json!({"upstream_model": "gpt-5-mini", "tasks": ["chat"], "context_tokens": 400_000, "max_output_tokens": 128_000,
        "prices": short, "realtime": {}, "batch": {}});
    for record in [
        full,
        json!({"upstream_model": "x", "prices": list, "realtime": null, "batch": {"discount": "0.4"}}),
        json!({"upstream_model": "x", "prices": null, "batch": null, "realtime": {"timeout_s": 9}}),
    ] {
        let path = format!("{path}/models/a/b");
        let stored = put(&app, &path, &record).await;
        assert_eq!((part(&stored, &record), &stored["id"]), (record, &json!("openai/a/b")));
        assert_eq!(app.admin("GET", &path, Value::Null).await.expect(200), stored);
    }
}

#[tokio::test]
async fn a_record_that_was_looked_up_can_be_changed_and_sent_back() {
    let app = app().await;
    let path = "/v1/admin/providers/openai";
    put(&app, path, &provider()).await;
    let mut shown = app.admin("GET", path, Value::Null).await.expect(200);
    shown["batch"]["min_items"] = json!(7);
    let stored = put(&app, path, &shown).await;
    assert_eq!((&stored["version"], &stored["batch"]["min_items"]), (&json!(2), &json!(7)));
    // Somebody else was faster.
    app.admin("PUT", path, shown).await.expect_problem(409, "version_conflict");
    let model = put(&app, &format!("{path}/models/m"), &json!({"upstream_model": "m"})).await;
    assert_eq!(put(&app, &format!("{path}/models/m"), &model).await["version"], 2);
    app.admin("PUT", &format!("{path}/models/m"), model).await.expect_problem(409, "version_conflict");
}

#[tokio::test]
async fn everything_wrong_with_a_record_is_told_at_once() {
    let app = app().await;
    let mut record = provider();
    record["batch"] = json!({"max_requests": 0, "discount": "half"});
    record["options"] = json!({"anthropic_version": "x"});
    record["realtime"]["requests_per_day"] = json!(0);
    let answer = app.admin("PUT", "/v1/admin/providers/openai", record).await;
    let expected = [
        ("/realtime/requests_per_day", "out_of_range"),
        ("/batch/max_requests", "out_of_range"),
        ("/batch/discount", "invalid_value"),
        ("/options/anthropic_version", "unknown_field"),
    ];
    assert_eq!((answer.status, answer.fields()), (422, expected.into()));
    let mut record = provider();
    record["credential"] = json!("none");
    record["webhook_credential"] = json!("none-either");
    let answer = app.admin("PUT", "/v1/admin/providers/openai", record.clone()).await;
    let missing = [("/credential", "credential_not_found"), ("/webhook_credential", "credential_not_found")];
    assert_eq!((answer.status, answer.fields()), (422, missing.into()));
    // A key is there, and it can't sign.
    record["credential"] = Value::Null;
    record["webhook_credential"] = json!("openai-main");
    let answer = app.admin("PUT", "/v1/admin/providers/openai", record).await;
    assert_eq!(answer.fields(), [("/webhook_credential", "invalid_value")]);
    let batch = json!({"upstream_model": "x", "batch": {"max_requests": 5}});
    let answer = app.admin("PUT", "/v1/admin/providers/sandbox/models/x", batch).await;
    assert_eq!(answer.fields(), [("/batch", "invalid_value")]);
    app.admin("GET", "/v1/admin/providers/openai", Value::Null).await.expect_problem(404, "not_found");
}

async fn ids(app: &TestApp, list: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = app.admin("GET", &format!("{list}?limit=2{cursor}"), Value::Null).await.expect(200);
        let data = page["data"].as_array().expect("a list");
        assert!(data.len() <= 2);
        ids.extend(data.iter().map(|record| record["id"].as_str().expect("an id").to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return ids,
        }
    }
}

#[tokio::test]
async fn records_are_listed_page_by_page() {
    let app = app().await;
    for id in ["b", "a", "d", "c"] {
        put(&app, &format!("/v1/admin/providers/{id}"), &provider()).await;
        put(&app, &format!("/v1/admin/providers/{id}/models/x/y"), &json!({"upstream_model": "m"})).await;
    }
    assert_eq!(ids(&app, "/v1/admin/providers").await, ["a", "b", "c", "d", "sandbox"]);
    assert_eq!(ids(&app, "/v1/admin/models").await, ["a/x/y", "b/x/y", "c/x/y", "d/x/y", "sandbox/echo"]);
    let page = app.admin("GET", "/v1/admin/providers?limit=1", Value::Null).await.expect(200);
    let cursor = page["next_cursor"].as_str().expect("a cursor");
    let strange = app.admin("GET", &format!("/v1/admin/models?cursor={cursor}"), Value::Null).await;
    strange.expect_problem(400, "invalid_cursor");
    for list in ["/v1/admin/providers", "/v1/admin/models"] {
        app.get(list).await.expect_problem(404, "not_found");
    }
}

#[tokio::test]
async fn a_record_is_deleted_when_no_job_needs_it() {
    let app = app().await;
    let (provider_path, path) = ("/v1/admin/providers/sandbox", "/v1/admin/providers/sandbox/models/echo");
    let job = app.submit().await;
    for path in [path, provider_path] {
        app.admin("DELETE", path, Value::Null).await.expect_problem(409, "in_use");
    }
    let job_id = job["id"].as_str().expect("an id");
    app.post(&format!("/v1/jobs/{job_id}/cancel"), json!({})).await.expect(200);
    assert_eq!(app.admin("DELETE", path, Value::Null).await.status, 204);
    app.admin("DELETE", path, Value::Null).await.expect_problem(404, "not_found");
    app.admin("GET", path, Value::Null).await.expect_problem(404, "not_found");
    app.post("/v1/jobs", app.submission()).await.expect_problem(422, "model_not_found");
    // A version never means two records.
    assert_eq!(put(&app, path, &json!({"upstream_model": "echo"})).await["version"], 2);
    assert_eq!(app.admin("DELETE", provider_path, Value::Null).await.status, 204);
    assert_eq!(app.admin("GET", "/v1/admin/models", Value::Null).await.expect(200)["data"], json!([]));
    app.admin("DELETE", provider_path, Value::Null).await.expect_problem(404, "not_found");
}

#[tokio::test]
async fn tenants_see_prices_and_nothing_of_routes() {
    let app = app().await;
    put(&app, "/v1/admin/providers/openai", &provider()).await;
    let list = json!([{"kind": "input", "route": "realtime", "per_mtok_usd": "1"},
        {"kind": "output", "route": "batch", "per_mtok_usd": "4.5"}]);
    put(&app, "/v1/admin/providers/openai/models/m", &json!({"upstream_model": "m", "prices": list})).await;
    let none = json!({"upstream_model": "m", "realtime": null, "batch": {}});
    put(&app, "/v1/admin/providers/sandbox/models/none", &none).await;
    let models = app.get("/v1/models").await.expect(200);
    let models = models["data"].as_array().expect("a list");
    let names: Vec<_> = models.iter().map(|model| model["id"].as_str().expect("an id")).collect();
    assert_eq!(names, ["openai/m", "sandbox/echo"]);
    assert_eq!(models[0]["prices"][1], json!({"kind": "output", "route": "batch", "per_mtok_usd": "4.50"}));
    assert_eq!((&models[0]["batch"], &models[0]["realtime"]["max_concurrency"]), (&Value::Null, &json!(500)));
    let mut submission = app.submission();
    submission["model"] = json!("sandbox/none");
    let refused = app.post("/v1/jobs", submission).await;
    assert_eq!(refused.fields(), [("/model", "model_not_callable")]);
}
