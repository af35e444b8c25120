//! What administrators set up.

use serde_json::json;
use tests::{Rig, RigOptions};

use crate::api::http::{callers, submission};
use crate::jobs::support::hexadecimal;

fn options() -> RigOptions {
    RigOptions { workers: 0, ..RigOptions::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a13_keys_and_credentials_are_never_readable() -> anyhow::Result<()> {
    const SECRET: &str = "sk-canary-5f0c1d2e";
    let rig = Rig::start(options()).await?;
    let (_, admin) = callers(&rig)?;
    let stored = admin.call("PUT", "/v1/admin/credentials/main", &json!({"secret": SECRET})).await?;
    assert!((200..300).contains(&stored.status), "{}", stored.body);
    let provider = json!({"driver": "openai-compatible", "base_url": "http://127.0.0.1:9/v1", "credential": "main"});
    let put = admin.call("PUT", "/v1/admin/providers/second", &provider).await?;
    let got = admin.get("/v1/admin/providers/second").await?;
    let read = admin.get("/v1/admin/credentials/main").await?;
    assert!([404, 405].contains(&read.status), "{}", read.body);
    let keys = admin.get(&format!("/v1/admin/tenants/{}/keys", rig.tenant_id)).await?;
    for reply in [&stored, &put, &got, &read, &keys] {
        let text = reply.body.to_string();
        assert!(!text.contains(SECRET) && !text.contains(&rig.api_key), "{text}");
    }
    let shown = &keys.body["data"][0];
    assert_eq!(shown["last_four"].as_str(), Some(&rig.api_key[rig.api_key.len() - 4..]), "{shown}");
    assert_eq!(shown["key"], json!(null));

    // Neither the database nor a log has them as they are.
    let db = rig.db.as_ref().expect("a database of its own");
    let mut superuser = db.superuser().await?;
    for (table, column) in [("credential_versions", "credential_versions::text"), ("api_keys", "api_keys::text")] {
        let query = format!("SELECT coalesce(string_agg({column}, ''), '') FROM {table}");
        let text: String = sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(&mut superuser).await?;
        let hexadecimal = hexadecimal(SECRET.as_bytes());
        assert!(!text.is_empty() && !text.contains(SECRET) && !text.contains(&hexadecimal), "{table}");
        assert!(!text.contains(&rig.api_key), "{table}");
    }
    assert!(!rig.api.log().contains(SECRET));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_checked_field_by_field() -> anyhow::Result<()> {
    let rig = Rig::start(options()).await?;
    let (tenant, admin) = callers(&rig)?;
    let own = format!("/v1/admin/tenants/{}", rig.tenant_id);
    for (method, path, body, pointer, code) in [
        ("POST", "/v1/admin/tenants", json!({}), "/name", "required"),
        (
            "POST",
            "/v1/admin/tenants",
            json!({"name": "a", "quotas": {"max_running_jobs": 1}}),
            "/quotas/max_running_jobs",
            "not_yet_supported",
        ),
        ("POST", "/v1/admin/tenants", json!({"name": "a", "weight": 2}), "/weight", "not_yet_supported"),
        ("PATCH", &*own, json!({"status": "odd"}), "/status", "invalid_value"),
        ("POST", &*format!("{own}/keys"), json!({"name": "k", "scopes": ["admin"]}), "/scopes", "invalid_value"),
        (
            "POST",
            &*format!("{own}/keys"),
            json!({"name": "k", "expires_at": "2020-01-01T00:00:00Z"}),
            "/expires_at",
            "out_of_range",
        ),
        (
            "POST",
            &*format!("{own}/grants"),
            json!({"uri_prefix": "s3://b/../c", "access": "read"}),
            "/uri_prefix",
            "invalid_object_path",
        ),
        (
            "POST",
            &*format!("{own}/grants"),
            json!({"uri_prefix": "s3://bucket/", "access": "all"}),
            "/access",
            "invalid_value",
        ),
        (
            "PUT",
            "/v1/admin/providers/p",
            json!({"driver": "bedrock", "base_url": "https://x.test"}),
            "/driver",
            "not_yet_supported",
        ),
        ("PUT", "/v1/admin/providers/p", json!({"driver": "openai"}), "/base_url", "required"),
        (
            "PUT",
            "/v1/admin/providers/p",
            json!({"driver": "openai", "base_url": "https://x.test", "batch": {"max_requests": 0}}),
            "/batch/max_requests",
            "out_of_range",
        ),
        (
            "PUT",
            "/v1/admin/providers/sandbox/models/m",
            json!({"upstream_model": "m", "odd": 1}),
            "/odd",
            "unknown_field",
        ),
        (
            "PUT",
            "/v1/admin/providers/sandbox/models/m",
            json!({"upstream_model": "m", "batch": {"discount": "0.5"}}),
            "/batch",
            "invalid_value",
        ),
    ] {
        admin.call(method, path, &body).await?.assert_wrong_field(pointer, code);
    }
    admin.post("/v1/admin/tenants", &json!({"name": "test"})).await?.assert_problem(409, "already_exists");
    let nobody = "/v1/admin/tenants/ten_00000000000000000000000001";
    admin.call("PATCH", nobody, &json!({"status": "suspended"})).await?.assert_problem(404, "not_found");
    admin.post(&format!("{nobody}/keys"), &json!({"name": "k"})).await?.assert_problem(404, "not_found");
    let orphan = json!({"upstream_model": "m"});
    admin.call("PUT", "/v1/admin/providers/none/models/m", &orphan).await?.assert_problem(404, "not_found");
    let input = rig.write_rows("in.csv", std::iter::once("x".to_owned()))?;
    assert_eq!(tenant.post("/v1/jobs", &submission(&input)).await?.status, 201);
    Ok(())
}

/// Provider records are a way into the network unless they are held to public addresses.
#[tokio::test(flavor = "multi_thread")]
async fn c1_c2_c3_c4_private_addresses_are_no_providers_in_production() -> anyhow::Result<()> {
    let settings = vec![("GRISTMILL_EGRESS__ALLOW_PRIVATE".to_owned(), "false".to_owned())];
    let started = Rig::start(RigOptions { settings, ..options() }).await;
    // The rig's own provider is on loopback, so its record is the first that is refused.
    let refused = format!("{:#}", started.err().expect("the sandbox's address is private"));
    assert!(refused.contains("422"), "{refused}");
    Ok(())
}
