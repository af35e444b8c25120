//! Who may call.

use client::api::NewKey;
use reqwest::header::AUTHORIZATION;
use serde_json::json;
use tests::{Rig, RigOptions};

use crate::api::http::{Http, callers, send, submission, with};

fn options() -> RigOptions {
    RigOptions { workers: 0, ..RigOptions::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a1_a2_a7_a10_a_call_needs_one_sound_key_in_its_header() -> anyhow::Result<()> {
    let rig = Rig::start(options()).await?;
    let (tenant, _) = callers(&rig)?;
    let anonymous = send(tenant.anonymous("GET", "/v1/jobs")).await?;
    anonymous.assert_problem(401, "missing_credentials");
    assert_eq!(anonymous.header("www-authenticate"), Some("Bearer"));

    let key = &rig.api_key;
    let last = if key.ends_with('0') { '1' } else { '0' };
    let wrong_checksum = format!("{}{last}", &key[..key.len() - 1]);
    let unknown = domain::api_key::ApiKey::from_random([7; 32]);
    for wrong in [&key[..key.len() - 4], &wrong_checksum, unknown.expose(), "gm_", "x", "gm_\u{fc}"] {
        let request = tenant.anonymous("GET", "/v1/jobs").header(AUTHORIZATION, format!("Bearer {wrong}").into_bytes());
        send(request).await?.assert_problem(401, "invalid_api_key");
    }
    let twice = tenant.request("GET", "/v1/jobs").header(AUTHORIZATION, format!("Bearer {key}"));
    send(twice).await?.assert_problem(401, "invalid_api_key");
    let long = tenant.anonymous("GET", "/v1/jobs").header(AUTHORIZATION, format!("Bearer {}", "x".repeat(100_000)));
    assert!([400, 401, 431].contains(&send(long).await?.status));

    for query in [format!("?api_key={key}"), format!("?access_token={key}"), format!("?cursor={key}")] {
        send(tenant.anonymous("GET", &format!("/v1/jobs{query}"))).await?.assert_problem(401, "credentials_in_url");
    }
    assert!(!rig.api.log().contains(key.as_str()), "the key is in the log");
    assert_eq!(tenant.get("/v1/jobs").await?.status, 200);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a3_a_revoked_or_expired_key_is_refused_as_such() -> anyhow::Result<()> {
    let rig = Rig::start(options()).await?;
    let (tenant, _) = callers(&rig)?;
    let new = |name: &str| NewKey { name: name.to_owned(), ..NewKey::default() };
    let revoked = rig.admin.create_key(&rig.tenant_id, &new("revoked")).await?;
    let holder = Http::new(&rig, revoked.key.as_deref().unwrap_or_default())?;
    assert_eq!(holder.get("/v1/jobs").await?.status, 200);
    rig.admin.revoke_key(&rig.tenant_id, &revoked.id).await?;
    holder.get("/v1/jobs").await?.assert_problem(401, "api_key_revoked");

    let soon = std::time::SystemTime::now() + std::time::Duration::from_millis(1_500);
    let expiring =
        rig.admin.create_key(&rig.tenant_id, &NewKey { expires_at: Some(soon.into()), ..new("expiring") }).await?;
    let holder = Http::new(&rig, expiring.key.as_deref().unwrap_or_default())?;
    let mut reply = holder.get("/v1/jobs").await?;
    assert_eq!(reply.status, 200);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while reply.status == 200 && std::time::Instant::now() < until {
        reply = holder.get("/v1/jobs").await?;
    }
    reply.assert_problem(401, "api_key_expired");
    assert_eq!(tenant.get("/v1/jobs").await?.status, 200);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a4_a6_a9_a11_a_key_does_what_its_scopes_and_its_tenant_allow() -> anyhow::Result<()> {
    let rig = Rig::start(options()).await?;
    let (tenant, admin) = callers(&rig)?;
    let input = rig.write_rows("in.csv", std::iter::once("x".to_owned()))?;
    let scopes = vec!["jobs:read".to_owned()];
    let reader =
        rig.admin.create_key(&rig.tenant_id, &NewKey { name: "reader".to_owned(), scopes, expires_at: None }).await?;
    let reader = Http::new(&rig, reader.key.as_deref().unwrap_or_default())?;
    assert_eq!(reader.get("/v1/jobs").await?.status, 200);
    let refused = reader.post("/v1/jobs", &submission(&input)).await?;
    refused.assert_problem(403, "insufficient_scope");
    assert!(refused.body["detail"].as_str().is_some_and(|detail| detail.contains("jobs:write")));
    admin.post("/v1/jobs", &submission(&input)).await?.assert_problem(403, "insufficient_scope");

    // A tenant is its key's; naming another changes nothing or is refused.
    let named = tenant.request("GET", "/v1/jobs").header("x-tenant-id", "ten_00000000000000000000000000");
    assert_eq!(send(named).await?.status, 200);
    tenant.get("/v1/jobs?tenant_id=ten_x").await?.assert_wrong_field("?tenant_id", "unknown_field");
    let body = with(submission(&input), json!({"tenant_id": "ten_x"}));
    tenant.post("/v1/jobs", &body).await?.assert_wrong_field("/tenant_id", "unknown_field");

    let own = format!("/v1/admin/tenants/{}", rig.tenant_id);
    for (method, path) in [
        ("GET", "/v1/admin/tenants"),
        ("POST", "/v1/admin/tenants"),
        ("PATCH", &*own),
        ("GET", &*format!("{own}/keys")),
        ("POST", &*format!("{own}/grants")),
        ("PUT", "/v1/admin/credentials/x"),
        ("PUT", "/v1/admin/providers/x"),
        ("DELETE", "/v1/admin/providers/x"),
        ("PUT", "/v1/admin/providers/x/models/y"),
        ("DELETE", "/v1/admin/providers/x/models/y"),
        ("GET", "/v1/admin/providers"),
        ("GET", "/v1/admin/models"),
    ] {
        tenant.call(method, path, &json!({})).await?.assert_problem(404, "not_found");
        send(tenant.anonymous(method, path).json(&json!({}))).await?.assert_problem(401, "missing_credentials");
    }

    assert_eq!(admin.call("PATCH", &own, &json!({"status": "suspended"})).await?.status, 200);
    tenant.post("/v1/jobs", &submission(&input)).await?.assert_problem(403, "tenant_suspended");
    assert_eq!(tenant.get("/v1/jobs").await?.status, 200);
    assert_eq!(admin.call("PATCH", &own, &json!({"status": "active"})).await?.status, 200);
    assert_eq!(tenant.post("/v1/jobs", &submission(&input)).await?.status, 201);
    Ok(())
}
