//! Guarantees, group A.

use serde_json::{Value, json};

use crate::app::TestApp;

/// A well-formed id of a job that nobody has.
const NO_JOB: &str = "job_01h455vb4pex5vsknk084sn02q";

#[tokio::test]
async fn a1_a2_a7_a10_credentials_are_one_key_in_one_header() {
    let app = TestApp::start().await;
    let missing = app.call("GET", "/v1/jobs", None, None, &[]).await;
    missing.expect_problem(401, "missing_credentials");
    assert_eq!(missing.headers["www-authenticate"], "Bearer");
    app.call("GET", "/v1/jobs", Some("gm_x"), None, &[]).await.expect_problem(401, "invalid_api_key");
    let stranger = domain::api_key::ApiKey::from_random([9; 32]);
    app.call("GET", "/v1/jobs", Some(stranger.expose()), None, &[]).await.expect_problem(401, "invalid_api_key");
    let twice = [("authorization", "Bearer gm_x")];
    app.call("GET", "/v1/jobs", Some(&app.key), None, &twice).await.expect_problem(401, "invalid_api_key");
    app.get(&format!("/v1/jobs?api_key={}", app.key)).await.expect_problem(401, "credentials_in_url");
    app.get("/v1/jobs").await.expect(200);
}

#[tokio::test]
async fn a3_a4_a8_a13_a_key_has_scopes_and_an_end() {
    let app = TestApp::start().await;
    let keys = format!("/v1/admin/tenants/{}/keys", app.tenant_id);
    let tomorrow =
        (chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now()) + chrono::Duration::days(1)).to_rfc3339();
    let request = json!({"name": "reader", "scopes": ["jobs:read"], "expires_at": tomorrow});
    let reader = app.admin("POST", &keys, request).await.expect(201);
    let secret = reader["key"].as_str().expect("a key");
    app.call("GET", "/v1/jobs", Some(secret), None, &[]).await.expect(200);
    let refused = app.call("POST", "/v1/jobs", Some(secret), Some(app.submission().to_string()), &[]).await;
    refused.expect_problem(403, "insufficient_scope");
    assert!(refused.body["detail"].as_str().is_some_and(|detail| detail.contains("jobs:write")));

    let list = app.admin("GET", &keys, Value::Null).await.expect(200);
    assert!(!list.to_string().contains(secret));
    assert_eq!(list["data"][1]["last_four"].as_str(), secret.get(secret.len() - 4..));
    assert!(list["data"][1]["last_used_at"].is_string());

    app.advance(2 * 86_400);
    app.call("GET", "/v1/jobs", Some(secret), None, &[]).await.expect_problem(401, "api_key_expired");
    let id = reader["id"].as_str().expect("an id");
    assert_eq!(app.admin("DELETE", &format!("{keys}/{id}"), Value::Null).await.status, 204);
    app.call("GET", "/v1/jobs", Some(secret), None, &[]).await.expect_problem(401, "api_key_revoked");
}

#[tokio::test]
async fn a5_another_tenant_s_job_looks_like_none() {
    let app = TestApp::start().await;
    let job = app.submit().await;
    let id = job["id"].as_str().expect("an id");
    let (_, other) = app.tenant("other").await;
    for (method, path) in [
        ("GET", ""),
        ("GET", "/items"),
        ("GET", "/items/0"),
        ("GET", "/output"),
        ("POST", "/cancel"),
        ("POST", "/pause"),
        ("POST", "/resume"),
    ] {
        let mut foreign = app.call(method, &format!("/v1/jobs/{id}{path}"), Some(&other), None, &[]).await;
        let mut random = app.call(method, &format!("/v1/jobs/{NO_JOB}{path}"), Some(&other), None, &[]).await;
        foreign.expect_problem(404, "not_found");
        foreign.body["instance"].take();
        random.body["instance"].take();
        assert_eq!(foreign.body, random.body, "{path}");
    }
    assert_eq!(app.call("GET", "/v1/jobs", Some(&other), None, &[]).await.expect(200), json!({"data": []}));
}

#[tokio::test]
async fn a6_a_tenant_id_in_the_request_switches_nothing() {
    let app = TestApp::start().await;
    let mut body = app.submission();
    body["tenant_id"] = "ten_01h455vb4pex5vsknk084sn02q".into();
    assert_eq!(app.post("/v1/jobs", body).await.fields(), [("/tenant_id", "unknown_field")]);
    assert_eq!(app.get("/v1/jobs?tenant_id=x").await.fields(), [("?tenant_id", "unknown_field")]);
}

#[tokio::test]
async fn a9_a_suspended_tenant_reads_and_changes_nothing() {
    let app = TestApp::start().await;
    let job = app.submit().await;
    let path = format!("/v1/admin/tenants/{}", app.tenant_id);
    app.admin("PATCH", &path, json!({"status": "suspended"})).await.expect(200);
    app.post("/v1/jobs", app.submission()).await.expect_problem(403, "tenant_suspended");
    let job = app.get(&format!("/v1/jobs/{}", job["id"].as_str().expect("an id"))).await.expect(200);
    assert_eq!(job["status_reason"]["code"], "tenant_suspended");
    app.admin("PATCH", &path, json!({"status": "active"})).await.expect(200);
    app.submit().await;
}

#[tokio::test]
async fn a11_admin_calls_don_t_exist_for_a_tenant() {
    let app = TestApp::start().await;
    app.get("/v1/admin/tenants").await.expect_problem(404, "not_found");
    app.post("/v1/admin/tenants", json!({"name": "x"})).await.expect_problem(404, "not_found");
    app.call("GET", "/v1/jobs", Some(&app.admin), None, &[]).await.expect_problem(403, "insufficient_scope");
}
