//! Administration.

use client::command::Outcome;
use serde_json::{Value, json};
use wiremock::matchers::{any, body_json, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::run_admin;

/// Runs a command against a service that expects exactly this call.
async fn expect(verb: &str, at: &str, body: Option<Value>, answer: Value, arguments: &[&str]) -> String {
    let server = MockServer::start().await;
    let call = Mock::given(method(verb)).and(path(at));
    let call = match body {
        Some(body) => call.and(body_json(body)),
        None => call.and(any()),
    };
    call.respond_with(ResponseTemplate::new(200).set_body_json(answer)).expect(1).mount(&server).await;
    let finished = run_admin(&server, arguments).await;
    assert_eq!(finished.outcome, Outcome::Done, "{}", finished.notes);
    finished.results
}

#[tokio::test]
async fn tenants_are_created_changed_and_listed() {
    let body = json!({"name": "acme", "weight": 2, "quotas": {"max_running_jobs": 10}});
    let arguments = ["tenant", "create", "acme", "--weight", "2", "--quota", "max_running_jobs=10"];
    let results = expect("POST", "/v1/admin/tenants", Some(body), json!({"id": "ten_1"}), &arguments).await;
    assert_eq!(results, "ten_1\n");

    let arguments = ["tenant", "update", "ten_1", "--status", "suspended"];
    let body = json!({"status": "suspended"});
    expect("PATCH", "/v1/admin/tenants/ten_1", Some(body), json!({"id": "ten_1"}), &arguments).await;

    let tenant = json!({"id": "ten_1", "quotas": {}});
    let results = expect("GET", "/v1/admin/tenants/ten_1", None, tenant, &["tenant", "get", "ten_1"]).await;
    assert_eq!(results, "{\"id\":\"ten_1\",\"quotas\":{}}\n");

    let list = json!({"data": [{"id": "ten_1", "name": "acme", "status": "active", "weight": 2}]});
    let results = expect("GET", "/v1/admin/tenants", None, list, &["tenant", "list"]).await;
    assert!(results.contains("ten_1   acme  active  2"), "{results}");
}

#[tokio::test]
async fn keys_are_created_listed_and_revoked() {
    let at = "/v1/admin/tenants/ten_1/keys";
    let body = json!({"name": "ci", "scopes": ["jobs:read", "jobs:write"], "expires_at": "2026-11-22T00:00:00Z"});
    let answer = json!({"id": "key_1", "key": "gm_secret"});
    let arguments = ["key", "create", "ten_1", "--name", "ci", "--expires", "1d"];
    assert_eq!(expect("POST", at, Some(body), answer, &arguments).await, "gm_secret\n");

    let list = json!({"data": [{"id": "key_1", "name": "ci", "scopes": ["jobs:read"]}]});
    assert!(expect("GET", at, None, list, &["key", "list", "ten_1"]).await.contains("key_1"));
    expect("DELETE", &format!("{at}/key_1"), None, Value::Null, &["key", "revoke", "ten_1", "key_1"]).await;
}

#[tokio::test]
async fn grants_are_added_listed_and_removed() {
    let at = "/v1/admin/tenants/ten_1/grants";
    let body = json!({"uri_prefix": "s3://data/", "access": "read", "credential": "aws"});
    let answer = json!({"id": "grt_1", "uri_prefix": "s3://data/", "access": "read"});
    let arguments = ["grant", "add", "ten_1", "s3://data/", "--access", "read", "--credential", "aws"];
    assert_eq!(expect("POST", at, Some(body), answer.clone(), &arguments).await, "grt_1\n");

    let list = json!({"data": [answer]});
    assert!(expect("GET", at, None, list, &["grant", "list", "ten_1"]).await.contains("s3://data/"));
    expect("DELETE", &format!("{at}/grt_1"), None, Value::Null, &["grant", "remove", "ten_1", "grt_1"]).await;
}

#[tokio::test]
async fn credentials_and_records_come_from_files() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("file");
    let name = file.to_str().expect("UTF-8");
    std::fs::write(&file, "sk-abc\n").expect("a file");
    let arguments = ["credential", "put", "openai-main", "--secret-file", name];
    let at = "/v1/admin/credentials/openai-main";
    expect("PUT", at, Some(json!({"secret": "sk-abc"})), json!({}), &arguments).await;

    let record = json!({"driver": "openai", "base_url": "https://api.openai.com/v1", "batch": null});
    std::fs::write(&file, record.to_string()).expect("a file");
    let arguments = ["provider", "put", "openai", "--file", name];
    expect("PUT", "/v1/admin/providers/openai", Some(record.clone()), json!({}), &arguments).await;
    let arguments = [&arguments[..], &["--json"]].concat();
    let answer = expect("PUT", "/v1/admin/providers/openai", None, json!({"version": 2}), &arguments).await;
    assert_eq!(
        answer,
        "{\"version\":2}
"
    );
    let results =
        expect("GET", "/v1/admin/providers/openai", None, record.clone(), &["provider", "get", "openai"]).await;
    assert_eq!(results, format!("{record}\n"));

    let arguments = ["model", "put", "together/meta/llama", "--file", name];
    expect("PUT", "/v1/admin/providers/together/models/meta%2Fllama", Some(record), json!({}), &arguments).await;
}

#[tokio::test]
async fn records_are_printed_listed_and_deleted() {
    let list = json!({"data": [
        {"id": "local", "driver": "openai-compatible", "base_url": "http://x", "credential": null, "version": 1},
        {"id": "openai", "driver": "openai", "base_url": "https://y", "credential": "openai", "version": 3}]});
    let results = expect("GET", "/v1/admin/providers", None, list, &["provider", "list"]).await;
    assert!(results.contains("openai    openai             https://y  openai      3"), "{results}");
    let list = json!({"data": [{"id": "together/meta/llama", "upstream_model": "llama-4", "version": 2}]});
    let results = expect("GET", "/v1/admin/models", None, list, &["model", "list"]).await;
    assert!(results.contains("together/meta/llama  llama-4   2"), "{results}");

    let at = "/v1/admin/providers/together/models/meta%2Fllama";
    let record = json!({"id": "together/meta/llama", "version": 2});
    let results = expect("GET", at, None, record.clone(), &["model", "get", "together/meta/llama"]).await;
    assert_eq!(results, format!("{record}\n"));
    expect("DELETE", at, None, Value::Null, &["model", "delete", "together/meta/llama"]).await;
    expect("DELETE", "/v1/admin/providers/together", None, Value::Null, &["provider", "delete", "together"]).await;
}
