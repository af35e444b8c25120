//! Generated content.

use std::collections::BTreeMap;

use reqwest::StatusCode;
use sandbox::{Config, Model, Totals};
use serde_json::{Value, json};

use crate::support::{Sandbox, contents, error, header};

fn with_model(model: Model) -> Config {
    Config { models: BTreeMap::from([("echo".to_owned(), model)]), ..Config::default() }
}

/// The body of a 200 that meets a fault.
async fn answer(sandbox: &Sandbox, prompt: &str) -> Value {
    let response = sandbox.gemini("echo", &contents(prompt)).await;
    assert_eq!(response.status(), StatusCode::OK, "{prompt}");
    response.json().await.expect("JSON")
}

async fn refused(sandbox: &Sandbox, prompt: &str) -> (u16, Value) {
    let (status, error) = error(sandbox.gemini("echo", &contents(prompt)).await).await;
    (status.as_u16(), error)
}

/// The detail of that kind.
fn detail<'a>(error: &'a Value, kind: &str) -> Option<&'a Value> {
    let details = error["details"].as_array()?;
    details.iter().find(|detail| detail["@type"].as_str().is_some_and(|name| name.ends_with(kind)))
}

#[tokio::test]
async fn answer_is_the_last_user_content_with_its_usage() {
    let sandbox = Sandbox::with(with_model(Model { cached_tokens: 2, thinking_tokens: 10, ..Model::default() })).await;
    let mut body = contents("grüße \"x\"");
    body["systemInstruction"] = json!({"parts": [{"text": "be brief"}]});
    let response = sandbox.gemini("echo", &body).await;
    assert_eq!(header(&response, "x-request-id"), None);
    let answer: Value = response.json().await.expect("JSON");
    let candidate = &answer["candidates"][0];
    assert_eq!((&candidate["finishReason"], &candidate["index"]), (&json!("STOP"), &json!(0)));
    assert_eq!(candidate["content"]["role"], "model");
    assert_eq!(candidate["content"]["parts"][0]["thought"], true);
    assert_eq!(candidate["content"]["parts"][1], json!({"text": "grüße \"x\""}));
    assert_eq!(answer["modelVersion"], "echo");
    let expected = json!({"promptTokenCount": 5, "cachedContentTokenCount": 2, "candidatesTokenCount": 3,
                          "thoughtsTokenCount": 10, "totalTokenCount": 18});
    assert_eq!(answer["usageMetadata"], expected);
    let totals = Totals::of(sandbox.log_path()).expect("readable");
    assert_eq!((totals.billed, totals.billed_prompt_tokens, totals.billed_completion_tokens), (1, 5, 13));
    let line = &sandbox.requests()[0];
    assert_eq!((line.key_tail.as_deref(), line.model.as_deref()), (Some("-key"), Some("echo")));
}

#[tokio::test]
async fn answer_is_cut_to_the_tokens_asked_for() {
    let sandbox = Sandbox::start().await;
    let mut body = contents("a long prompt");
    body["generationConfig"] = json!({"maxOutputTokens": 2});
    let answer: Value = sandbox.gemini("echo", &body).await.json().await.expect("JSON");
    let candidate = &answer["candidates"][0];
    assert_eq!(candidate["content"]["parts"][0]["text"], "a long p");
    assert_eq!(candidate["finishReason"], "MAX_TOKENS");
}

#[tokio::test]
async fn key_is_needed() {
    let sandbox = Sandbox::with(Config { api_keys: vec!["test-key".into()], ..Config::default() }).await;
    assert_eq!(sandbox.gemini("echo", &contents("x")).await.status(), 200);
    let url = format!("http://{}/gemini/v1beta/models/echo:generateContent", sandbox.address);
    let request = || sandbox.client.post(&url).json(&contents("x"));
    let (status, missing) = error(request().send().await.expect("an answer")).await;
    assert_eq!((status.as_u16(), &missing["status"]), (403, &json!("PERMISSION_DENIED")));
    let (status, wrong) = error(request().header("x-goog-api-key", "wrong").send().await.expect("an answer")).await;
    assert_eq!((status.as_u16(), &wrong["code"], &wrong["status"]), (400, &json!(400), &json!("INVALID_ARGUMENT")));
    assert_eq!(detail(&wrong, "google.rpc.ErrorInfo").expect("a reason")["reason"], "API_KEY_INVALID");
}

#[tokio::test]
async fn invalid_requests_get_the_documented_errors() {
    let sandbox = Sandbox::start().await;
    let changed = |name: &str, value: Value| {
        let mut body = contents("x");
        body[name] = value;
        body
    };
    for (body, text) in [
        (changed("foo", json!(1)), "Unknown name \"foo\": Cannot find field."),
        (changed("system_instruction", json!({})), "Unknown name"),
        (changed("generationConfig", json!({"maxOutputTokens": 128_000})), "exceeds the maximum number of tokens"),
        (changed("contents", json!([])), "contents is not specified"),
        (contents("[[sandbox:tpyo]]"), "Sandbox marker"),
        (json!([]), "Invalid JSON payload"),
    ] {
        let (got, error) = error(sandbox.gemini("echo", &body).await).await;
        assert_eq!((got.as_u16(), &error["status"]), (400, &json!("INVALID_ARGUMENT")), "{text}");
        assert!(error["message"].as_str().expect("text").contains(text), "{error}");
    }
    let (status, error) = error(sandbox.gemini("none", &contents("x")).await).await;
    assert_eq!((status.as_u16(), &error["status"]), (404, &json!("NOT_FOUND")));
    assert!(error["message"].as_str().expect("text").starts_with("models/none"));
    let url = format!("http://{}/gemini/v1beta/models/echo:unheardOf", sandbox.address);
    let unheard_of = sandbox.client.post(url).header("x-goog-api-key", "k").send().await.expect("an answer");
    assert_eq!(unheard_of.status(), 404);
}

#[tokio::test]
async fn limits_are_told_in_the_error_alone() {
    let sandbox = Sandbox::with(with_model(Model { requests_per_minute: Some(1), ..Model::default() })).await;
    let first = sandbox.gemini("echo", &contents("a")).await;
    assert!(first.headers().keys().all(|name| !name.as_str().contains("ratelimit")));
    let over = sandbox.gemini("echo", &contents("b")).await;
    assert_eq!(header(&over, "retry-after"), None);
    let (status, error) = error(over).await;
    assert_eq!((status.as_u16(), &error["status"]), (429, &json!("RESOURCE_EXHAUSTED")));
    let delay = detail(&error, "google.rpc.RetryInfo").expect("a delay")["retryDelay"].as_str().expect("text");
    let seconds: f64 = delay.strip_suffix('s').expect("seconds").parse().expect("a number");
    assert!((30.0..=60.0).contains(&seconds), "{delay}");
    let failure = detail(&error, "google.rpc.QuotaFailure").expect("a quota");
    assert!(failure["violations"][0]["quotaId"].as_str().expect("an id").contains("PerMinute"));
}

#[tokio::test]
async fn concurrency_limit_has_no_details() {
    let sandbox = Sandbox::with(with_model(Model { max_concurrency: Some(0), ..Model::default() })).await;
    let (status, error) = refused(&sandbox, "a").await;
    assert_eq!((status, error.get("details")), (429, None));
}

#[tokio::test]
async fn statuses_have_true_to_life_bodies() {
    let sandbox = Sandbox::start().await;
    for (code, status) in [
        (400, "INVALID_ARGUMENT"),
        (401, "UNAUTHENTICATED"),
        (403, "PERMISSION_DENIED"),
        (404, "NOT_FOUND"),
        (429, "RESOURCE_EXHAUSTED"),
        (499, "CANCELLED"),
        (500, "INTERNAL"),
        (503, "UNAVAILABLE"),
        (504, "DEADLINE_EXCEEDED"),
    ] {
        let (got, error) = refused(&sandbox, &format!("[[sandbox:status code={code}]]")).await;
        assert_eq!((got, &error["code"], &error["status"]), (code, &json!(code), &json!(status)));
        assert!(error["message"].is_string());
    }
    let (_, named) = refused(&sandbox, "[[sandbox:status code=400 type=FAILED_PRECONDITION error=BILLING]]").await;
    assert_eq!(named["status"], "FAILED_PRECONDITION");
    assert_eq!(detail(&named, "ErrorInfo").expect("a reason")["reason"], "BILLING");
}

#[tokio::test]
async fn rate_limit_tells_its_delay_in_each_way() {
    let sandbox = Sandbox::start().await;
    for (retry, delay) in [
        ("seconds delay=1.2", Some("2s")),
        ("ms delay=1.2", Some("1.200s")),
        ("garbage", Some("soon")),
        ("huge", Some("31536000s")),
        ("past", Some("-3600s")),
        ("none", None),
    ] {
        let (status, error) = refused(&sandbox, &format!("[[sandbox:rate_limit retry={retry}]]")).await;
        assert_eq!(status, 429);
        let told = detail(&error, "google.rpc.RetryInfo").map(|info| info["retryDelay"].as_str().expect("text"));
        assert_eq!(told, delay, "{retry}");
    }
    let (_, error) = refused(&sandbox, "[[sandbox:rate_limit retry=date]]").await;
    let date = detail(&error, "google.rpc.RetryInfo").expect("a date")["retryDelay"].as_str().expect("text");
    assert!(chrono::DateTime::parse_from_rfc2822(date).is_ok(), "{date}");
}

#[tokio::test]
async fn quota_of_the_day_is_told_by_its_name() {
    let sandbox = Sandbox::start().await;
    let (status, error) = refused(&sandbox, "[[sandbox:insufficient_quota]]").await;
    assert_eq!((status, &error["status"]), (429, &json!("RESOURCE_EXHAUSTED")));
    let failure = detail(&error, "google.rpc.QuotaFailure").expect("a quota");
    assert!(failure["violations"][0]["quotaId"].as_str().expect("an id").contains("PerDay"));
    assert!(detail(&error, "google.rpc.RetryInfo").is_none());
}

#[tokio::test]
async fn answers_of_an_odd_shape() {
    let sandbox = Sandbox::start().await;
    let text = |answer: &Value| answer["candidates"][0]["content"]["parts"][0]["text"].clone();
    let blocked = answer(&sandbox, "[[sandbox:refusal]]").await;
    assert_eq!((blocked.get("candidates"), &blocked["promptFeedback"]["blockReason"]), (None, &json!("SAFETY")));
    assert_eq!(blocked["usageMetadata"].get("candidatesTokenCount"), None);
    for (fault, reason) in [("content_filter", "SAFETY"), ("length", "MAX_TOKENS")] {
        let prompt = format!("[[sandbox:{fault}]]");
        let cut = answer(&sandbox, &prompt).await;
        assert_eq!(
            (&cut["candidates"][0]["finishReason"], text(&cut)),
            (&json!(reason), json!(prompt[..prompt.len() / 2]))
        );
    }
    assert_eq!(text(&answer(&sandbox, "[[sandbox:empty_content]]").await), "");
    let null = answer(&sandbox, "[[sandbox:null_content]]").await;
    assert_eq!(null["candidates"][0]["content"], json!({"role": "model"}));
    assert_eq!(answer(&sandbox, "[[sandbox:no_choices]]").await["candidates"], json!([]));
    assert_eq!(answer(&sandbox, "[[sandbox:no_usage]]").await.get("usageMetadata"), None);
    assert_eq!(answer(&sandbox, "[[sandbox:negative_usage]]").await["usageMetadata"]["promptTokenCount"], -1);
    let huge = answer(&sandbox, "[[sandbox:huge_usage]]").await;
    assert_eq!(huge["usageMetadata"]["candidatesTokenCount"], i64::MAX);
    let tool = answer(&sandbox, "[[sandbox:tool_call]]").await;
    assert_eq!(tool["candidates"][0]["finishReason"], "UNEXPECTED_TOOL_CALL");
    assert_eq!(tool["candidates"][0]["content"]["parts"][0]["functionCall"]["name"], "lookup");
    let nul = answer(&sandbox, "[[sandbox:nul_finish_reason]]").await;
    assert_eq!(nul["candidates"][0]["finishReason"], "STOP\0");
    assert_eq!(answer(&sandbox, "[[sandbox:wrong_type]]").await["candidates"]["content"], "none");
    let big = answer(&sandbox, "[[sandbox:oversized bytes=100001]]").await;
    assert_eq!(text(&big).as_str().expect("text").len(), 100_001);
    assert_eq!(big["usageMetadata"]["candidatesTokenCount"], 25_001);
}
