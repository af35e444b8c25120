//! Administration.

use serde_json::{Value, json};

use crate::app::TestApp;

#[tokio::test]
async fn a_tenant_s_name_is_its_own() {
    let app = TestApp::start().await;
    app.admin("POST", "/v1/admin/tenants", json!({"name": "acme"})).await.expect_problem(409, "already_exists");
    let nobody = "/v1/admin/tenants/ten_01h455vb4pex5vsknk084sn02q";
    app.admin("GET", nobody, Value::Null).await.expect_problem(404, "not_found");
    app.admin("POST", &format!("{nobody}/keys"), json!({"name": "x"})).await.expect_problem(404, "not_found");
    let list = app.admin("GET", "/v1/admin/tenants", Value::Null).await.expect(200);
    assert_eq!(list["data"][0]["name"], "acme");
}

#[tokio::test]
async fn a_credential_is_named_before_it_is_used_and_never_read_back() {
    let app = TestApp::start().await;
    let provider = json!({"driver": "openai", "base_url": "https://api.openai.com/v1", "credential": "main"});
    app.admin("PUT", "/v1/admin/providers/openai", provider.clone()).await.expect_problem(422, "credential_not_found");
    let stored = app.admin("PUT", "/v1/admin/credentials/main", json!({"secret": "sk-canary"})).await.expect(200);
    assert_eq!(stored, json!({"name": "main"}));
    let stored = app.admin("PUT", "/v1/admin/providers/openai", provider).await.expect(200);
    assert_eq!((&stored["version"], &stored["credential"]), (&json!(1), &json!("main")));
    assert_eq!(app.admin("GET", "/v1/admin/providers/openai", Value::Null).await.expect(200), stored);
    app.admin("GET", "/v1/admin/credentials/main", Value::Null).await.expect_problem(405, "method_not_allowed");
}

#[tokio::test]
async fn a_grant_that_is_taken_back_covers_nothing() {
    let app = TestApp::start().await;
    let grants = format!("/v1/admin/tenants/{}/grants", app.tenant_id);
    let list = app.admin("GET", &grants, Value::Null).await.expect(200);
    let id = list["data"][0]["id"].as_str().expect("an id");
    assert_eq!(app.admin("DELETE", &format!("{grants}/{id}"), Value::Null).await.status, 204);
    app.admin("DELETE", &format!("{grants}/{id}"), Value::Null).await.expect_problem(404, "not_found");
    app.post("/v1/jobs", app.submission()).await.expect_problem(403, "storage_location_not_allowed");
}

#[tokio::test]
async fn a_model_s_name_may_hold_slashes() {
    let app = TestApp::start().await;
    let record =
        json!({"upstream_model": "x", "prices": {"input_per_mtok_usd": "0.25", "output_per_mtok_usd": "2.00"}});
    for path in ["meta/llama", "meta%2Fllama"] {
        let stored =
            app.admin("PUT", &format!("/v1/admin/providers/sandbox/models/{path}"), record.clone()).await.expect(200);
        assert_eq!(stored["id"], "sandbox/meta/llama");
    }
    let models = app.get("/v1/models").await.expect(200);
    assert_eq!(models["data"][1]["prices"]["output_per_mtok_usd"], "2.00");
    app.admin("PUT", "/v1/admin/providers/none/models/x", record).await.expect_problem(404, "not_found");
}
