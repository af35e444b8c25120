//! The form of answers: problem documents for everything, request ids, health, and the document that describes it all.

use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tests::{Rig, RigOptions};

use crate::api::http::{callers, send, submission};

fn options() -> RigOptions {
    RigOptions { workers: 0, ..RigOptions::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn b1_b2_b4_b5_b6_b9_every_refusal_is_a_problem_document() -> anyhow::Result<()> {
    let rig = Rig::start(options()).await?;
    let (tenant, _) = callers(&rig)?;
    tenant.get("/v1/nothing").await?.assert_problem(404, "not_found");
    tenant.get("/nothing").await?.assert_problem(404, "not_found");
    let refused = tenant.call("PUT", "/v1/jobs", &json!({})).await?;
    refused.assert_problem(405, "method_not_allowed");
    let allowed = refused.header("allow").unwrap_or_default();
    assert!(allowed.contains("GET") && allowed.contains("POST"), "{allowed}");

    let raw = |body: Vec<u8>| tenant.request("POST", "/v1/jobs").header(CONTENT_TYPE, "application/json").body(body);
    for wrong in ["", "{", "{\"a\": 1} x", "{\"a\": 1, \"a\": 2}", "{\"limits\": {\"max_attempts\": 1e999}}"] {
        let reply = send(raw(wrong.into())).await?;
        reply.assert_problem(400, "invalid_json");
        assert!(reply.body["detail"].as_str().is_some_and(|detail| detail.contains("line 1 column")), "{}", reply.body);
    }
    send(raw("[".repeat(10_000).into())).await?.assert_problem(400, "invalid_json");
    send(raw(b"{\"name\": \"\xff\"}".to_vec())).await?.assert_problem(400, "invalid_json");
    for media_type in ["text/plain", "application/json; charset=latin1", "multipart/form-data"] {
        let request = tenant.request("POST", "/v1/jobs").header(CONTENT_TYPE, media_type).body("{}");
        send(request).await?.assert_problem(415, "unsupported_media_type");
    }
    send(tenant.request("POST", "/v1/jobs").body("{}")).await?.assert_problem(415, "unsupported_media_type");
    let compressed = raw(b"{}".to_vec()).header("content-encoding", "gzip");
    send(compressed).await?.assert_problem(415, "unsupported_media_type");
    send(raw(vec![b' '; 2 << 20])).await?.assert_problem(413, "payload_too_large");

    tenant.post("/v1/jobs", &json!([])).await?.assert_problem(422, "validation_failed");
    tenant.get("/v1/jobs?odd=1").await?.assert_problem(422, "validation_failed");
    let input = rig.write_rows("in.csv", std::iter::once("x".to_owned()))?;
    assert_eq!(tenant.post("/v1/jobs", &submission(&input)).await?.status, 201);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_a_request_id() -> anyhow::Result<()> {
    let rig = Rig::start(options()).await?;
    let (tenant, _) = callers(&rig)?;
    let made = tenant.get("/v1/jobs").await?;
    assert!(made.header("x-request-id").is_some_and(|id| id.starts_with("req_")));
    let own = send(tenant.request("GET", "/v1/nothing").header("x-request-id", "mine-1")).await?;
    assert_eq!((own.header("x-request-id"), own.body["instance"].as_str()), (Some("mine-1"), Some("mine-1")));
    let odd = send(tenant.request("GET", "/v1/nothing").header("x-request-id", "<b>")).await?;
    assert!(odd.header("x-request-id").is_some_and(|id| id.starts_with("req_")));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_the_document_need_no_key() -> anyhow::Result<()> {
    let rig = Rig::start(options()).await?;
    let (tenant, _) = callers(&rig)?;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(send(tenant.anonymous("GET", path)).await?.body, json!({"status": "ok"}), "{path}");
    }
    let served = send(tenant.anonymous("GET", "/openapi.json")).await?;
    let printed = std::process::Command::new(tests::process::binary()?).arg("openapi").output()?;
    assert!(printed.status.success());
    let printed: Value = serde_json::from_slice(&printed.stdout)?;
    assert_eq!(served.body, printed);
    assert_eq!(printed["openapi"].as_str().map(|version| &version[..3]), Some("3.1"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_later_work_say_so() -> anyhow::Result<()> {
    let rig = Rig::start(options()).await?;
    let (tenant, _) = callers(&rig)?;
    for (method, path) in [
        ("POST", "/v1/jobs/estimate"),
        ("PATCH", "/v1/jobs/job_x"),
        ("DELETE", "/v1/jobs/job_x"),
        ("GET", "/v1/jobs/job_x/events"),
        ("POST", "/v1/jobs/job_x/retry"),
        ("POST", "/v1/files"),
        ("GET", "/v1/files/file_x/content"),
        ("GET", "/v1/usage"),
        ("GET", "/v1/audit"),
        ("GET", "/v1/webhook_endpoints"),
        ("POST", "/v1/webhook_endpoints"),
        ("GET", "/v1/webhook_endpoints/whe_x/deliveries"),
    ] {
        tenant.call(method, path, &json!({})).await?.assert_problem(422, "not_yet_supported");
    }
    Ok(())
}
