//! Providers' hints that a provider batch has ended.

use std::time::SystemTime;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::app::{Answer, TestApp};

const SECRET: &[u8] = b"a secret of twenty-four!";

const PATH: &str = "/v1/provider_webhooks/openai";

async fn app() -> TestApp {
    let app = TestApp::start().await;
    let secret = format!("whsec_{}", STANDARD.encode(SECRET));
    app.admin("PUT", "/v1/admin/credentials/hooks", json!({"secret": secret})).await.expect(200);
    let provider = json!({"driver": "openai", "base_url": "https://x.test", "webhook_credential": "hooks"});
    app.admin("PUT", "/v1/admin/providers/openai", provider).await.expect(200);
    app
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs()
}

async fn call(app: &TestApp, path: &str, body: &str, secret: &[u8]) -> Answer {
    let timestamp = now().to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let signature = STANDARD.encode(hmac::sign(&key, format!("evt_1.{timestamp}.{body}").as_bytes()));
    let signatures = format!("v1,AAAA v1,{signature}");
    let headers = [("webhook-id", "evt_1"), ("webhook-timestamp", &*timestamp), ("webhook-signature", &*signatures)];
    app.call("POST", path, None, Some(body.to_owned()), &headers).await
}

#[tokio::test]
async fn a_signed_hint_is_taken_whether_anybody_waits_for_it_or_not() {
    let app = app().await;
    for body in [r#"{"type":"batch.completed","data":{"id":"batch_1"}}"#, r#"{"type":"batch.failed"}"#, "{", ""] {
        let answer = call(&app, PATH, body, SECRET).await;
        assert_eq!((answer.status, answer.body), (204, json!("")), "{body}");
    }
}

#[tokio::test]
async fn a_hint_that_is_not_the_provider_s_is_refused() {
    let app = app().await;
    let body = r#"{"type":"batch.completed","data":{"id":"batch_1"}}"#;
    call(&app, PATH, body, b"another").await.expect_problem(401, "invalid_signature");
    app.call("POST", PATH, None, Some(body.to_owned()), &[]).await.expect_problem(401, "invalid_signature");
    app.call("POST", PATH, Some(&app.admin), Some(body.to_owned()), &[]).await.expect_problem(401, "invalid_signature");
    app.advance(400);
    call(&app, PATH, body, SECRET).await.expect_problem(401, "invalid_signature");
    app.advance(-400);
    for other in ["sandbox", "none", "a b"] {
        let path = format!("/v1/provider_webhooks/{}", other.replace(' ', "%20"));
        call(&app, &path, body, SECRET).await.expect_problem(404, "not_found");
    }
    let long = format!("\"{}\"", "x".repeat(64 << 10));
    call(&app, PATH, &long, SECRET).await.expect_problem(413, "payload_too_large");
}
