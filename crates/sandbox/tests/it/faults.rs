use std::time::{Duration, Instant};

use sandbox::Config;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use crate::support::{PATIENCE, Sandbox, error, header};

/// The body of a 200 that meets a fault, as JSON.
async fn answer(sandbox: &Sandbox, prompt: &str) -> Value {
    let response = sandbox.ask(prompt).await;
    assert_eq!(response.status(), 200, "{prompt}");
    response.json().await.expect("JSON")
}

fn text(received: &[u8]) -> String {
    String::from_utf8_lossy(received).into_owned()
}

/// Head and body of a raw response.
fn split(received: &[u8]) -> (String, Vec<u8>) {
    let end = received.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
    (text(&received[..end]), received[end..].to_vec())
}

fn content_length(head: &str) -> usize {
    let line = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    line.expect("a length").parse().expect("a number")
}

#[tokio::test]
async fn statuses_have_true_to_life_bodies() {
    let sandbox = Sandbox::start().await;
    for (status, kind, code) in [
        (400, "invalid_request_error", Value::Null),
        (401, "invalid_request_error", json!("invalid_api_key")),
        (403, "invalid_request_error", json!("unsupported_country_region_territory")),
        (404, "invalid_request_error", json!("model_not_found")),
        (408, "timeout", Value::Null),
        (409, "conflict", Value::Null),
        (413, "invalid_request_error", json!("request_too_large")),
        (422, "invalid_request_error", Value::Null),
        (429, "requests", json!("rate_limit_exceeded")),
        (500, "server_error", Value::Null),
        (503, "service_unavailable_error", json!("server_is_overloaded")),
        (504, "server_error", json!("timeout")),
        (529, "overloaded_error", Value::Null),
    ] {
        let (got, error) = error(sandbox.ask(&format!("[[sandbox:status code={status}]]")).await).await;
        assert_eq!(got.as_u16(), status);
        assert_eq!((&error["type"], &error["code"]), (&json!(kind), &code), "{status}");
        assert!(error["message"].is_string());
    }
    let response = sandbox.ask("[[sandbox:status code=502]]").await;
    assert_eq!((response.status().as_u16(), header(&response, "content-type")), (502, Some("text/html")));
    let (status, error) = error(sandbox.ask("[[sandbox:status code=502 error=a type=b]]").await).await;
    assert_eq!((status.as_u16(), &error["code"], &error["type"]), (502, &json!("a"), &json!("b")));
    assert!(sandbox.requests().iter().all(|request| !request.billed));
}

#[tokio::test]
async fn rate_limit_tells_its_delay_in_each_way() {
    let sandbox = Sandbox::start().await;
    for (retry, name, value) in [
        ("seconds delay=1.2", "retry-after", "2"),
        ("ms delay=1.2", "retry-after-ms", "1200"),
        ("garbage", "retry-after", "soon"),
        ("huge", "retry-after", "31536000"),
    ] {
        let response = sandbox.ask(&format!("[[sandbox:rate_limit retry={retry}]]")).await;
        assert_eq!((response.status().as_u16(), header(&response, name)), (429, Some(value)));
        assert_eq!(error(response).await.1["code"], "rate_limit_exceeded");
    }
    let response = sandbox.ask("[[sandbox:rate_limit retry=none]]").await;
    assert_eq!((header(&response, "retry-after"), header(&response, "retry-after-ms")), (None, None));
    let now = i64::try_from(sandbox.requests()[0].at_ms / 1000).expect("fits");
    for (retry, from, to) in [("date delay=100", 100, 125), ("past", -3600, -3575)] {
        let response = sandbox.ask(&format!("[[sandbox:rate_limit retry={retry}]]")).await;
        let date = header(&response, "retry-after").expect("a date");
        let date = chrono::DateTime::parse_from_rfc2822(date).expect("an HTTP date").timestamp();
        assert!((from..=to).contains(&(date - now)), "{retry}: {date}");
    }
}

#[tokio::test]
async fn errors_of_the_account_and_the_prompt() {
    let sandbox = Sandbox::start().await;
    for (fault, status, kind, code) in [
        ("insufficient_quota", 429, "insufficient_quota", "insufficient_quota"),
        ("context_length", 400, "invalid_request_error", "context_length_exceeded"),
        ("content_filter as=400", 400, "invalid_request_error", "content_filter"),
    ] {
        let (got, error) = error(sandbox.ask(&format!("[[sandbox:{fault}]]")).await).await;
        assert_eq!((got.as_u16(), &error["type"], &error["code"]), (status, &json!(kind), &json!(code)));
    }
}

#[tokio::test]
async fn times_counts_deliveries_of_the_same_body() {
    let sandbox = Sandbox::start().await;
    let prompt = "[[sandbox:status code=500 times=2]] a";
    let mut statuses = Vec::new();
    for prompt in [prompt, prompt, prompt, "[[sandbox:status code=500 times=2]] b"] {
        statuses.push(sandbox.ask(prompt).await.status().as_u16());
    }
    assert_eq!(statuses, [500, 500, 200, 500]);
}

#[tokio::test]
async fn answers_of_an_odd_shape() {
    let sandbox = Sandbox::start().await;
    let refusal = answer(&sandbox, "[[sandbox:refusal]]").await;
    assert!(refusal["choices"][0]["message"]["refusal"].is_string());
    assert_eq!(refusal["choices"][0]["message"]["content"], Value::Null);

    for (fault, reason) in [("content_filter", "content_filter"), ("length", "length")] {
        let prompt = format!("[[sandbox:{fault}]]");
        let cut = answer(&sandbox, &prompt).await;
        assert_eq!(cut["choices"][0]["finish_reason"], reason);
        assert_eq!(cut["choices"][0]["message"]["content"], prompt[..prompt.len() / 2]);
    }
    let content = |body: &Value| body["choices"][0]["message"]["content"].clone();
    assert_eq!(content(&answer(&sandbox, "[[sandbox:empty_content]]").await), "");
    let null = answer(&sandbox, "[[sandbox:null_content]]").await;
    assert_eq!((content(&null), &null["usage"]["completion_tokens"]), (Value::Null, &json!(0)));
    assert_eq!(answer(&sandbox, "[[sandbox:no_choices]]").await["choices"], json!([]));
    assert_eq!(answer(&sandbox, "[[sandbox:no_usage]]").await.get("usage"), None);
    assert_eq!(answer(&sandbox, "[[sandbox:negative_usage]]").await["usage"]["prompt_tokens"], -1);
    assert_eq!(answer(&sandbox, "[[sandbox:huge_usage]]").await["usage"]["completion_tokens"], i64::MAX);
    let tool = answer(&sandbox, "[[sandbox:tool_call]]").await;
    assert_eq!(tool["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(tool["choices"][0]["message"]["tool_calls"][0]["function"]["name"], "lookup");
    assert_eq!(content(&answer(&sandbox, "[[sandbox:nul]]").await), "[[sandbox:nul]]\0");
    let nul = answer(&sandbox, "[[sandbox:nul_finish_reason]]").await;
    assert_eq!(content(&nul), "[[sandbox:nul_finish_reason]]");
    assert_eq!(nul["choices"][0]["finish_reason"], "stop\0");
    let unicode = content(&answer(&sandbox, "[[sandbox:unicode]]").await);
    assert!(unicode.as_str().expect("text").contains("\u{202e}"));
    assert_eq!(answer(&sandbox, "[[sandbox:wrong_type]]").await["choices"]["message"], "none");
}

#[tokio::test]
async fn bodies_that_are_no_answer() {
    let sandbox = Sandbox::start().await;
    let html = sandbox.ask("[[sandbox:html]]").await;
    assert_eq!((html.status().as_u16(), header(&html, "content-type")), (200, Some("text/html")));
    let plain = sandbox.ask("[[sandbox:bad_content_type]]").await;
    assert_eq!(header(&plain, "content-type"), Some("text/plain"));
    assert!(plain.json::<Value>().await.is_ok());
    let empty = sandbox.ask("[[sandbox:empty_body]]").await;
    assert_eq!((empty.status().as_u16(), empty.bytes().await.expect("body").len()), (200, 0));
    let truncated = sandbox.ask("[[sandbox:truncated_json]]").await.bytes().await.expect("whole as HTTP");
    assert!(serde_json::from_slice::<Value>(&truncated).is_err());
    let surrogate = sandbox.ask("[[sandbox:lone_surrogate]]").await.bytes().await.expect("body");
    assert!(text(&surrogate).contains(r"\ud800"));
    assert!(serde_json::from_slice::<Value>(&surrogate).is_err());
}

#[tokio::test]
async fn oversized_answer_is_valid_and_of_that_size() {
    let sandbox = Sandbox::start().await;
    let body = answer(&sandbox, "[[sandbox:oversized bytes=3000001]]").await;
    assert_eq!(body["choices"][0]["message"]["content"].as_str().expect("text").len(), 3_000_001);
    assert_eq!(body["usage"]["completion_tokens"], 750_001);
}

#[tokio::test]
async fn dropped_connections_get_no_byte() {
    let sandbox = Sandbox::start().await;
    assert_eq!(sandbox.raw("[[sandbox:drop_before]]").await, b"");
    assert_eq!(sandbox.raw("[[sandbox:drop_after]]").await, b"");
    let logged: Vec<_> = sandbox.requests().iter().map(|line| (line.billed, line.status)).collect();
    assert_eq!(logged, [(false, None), (true, None)]);
}

#[tokio::test]
async fn reset_mid_body_sends_half_of_what_it_promised() {
    let sandbox = Sandbox::start().await;
    let (head, body) = split(&sandbox.raw("[[sandbox:reset_mid_body]]").await);
    assert!(head.starts_with("HTTP/1.1 200"));
    assert_eq!(body.len(), content_length(&head) / 2);
    assert!(sandbox.requests()[0].billed);
}

#[tokio::test]
async fn drip_sends_spaces_without_end() {
    let sandbox = Sandbox::start().await;
    let mut stream = sandbox.connect("[[sandbox:drip ms=1]]").await;
    let mut received = Vec::new();
    let mut buffer = [0; 1024];
    while text(&received).matches("1\r\n \r\n").count() < 5 {
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await;
        let read = read.expect("goes on").expect("open");
        assert_ne!(read, 0);
        received.extend(&buffer[..read]);
    }
}

#[tokio::test]
async fn endless_body_grows_until_the_client_goes_away() {
    let sandbox = Sandbox::start().await;
    let mut response = sandbox.ask("[[sandbox:endless]]").await;
    let mut read = 0;
    while read < 5_000_000 {
        read += response.chunk().await.expect("goes on").expect("no end").len();
    }
    assert_eq!(sandbox.stats().await.in_flight, 1);
    drop(response);
    sandbox.until(|stats| stats.in_flight == 0).await;
}

#[tokio::test]
async fn timeout_never_answers() {
    let sandbox = Sandbox::start().await;
    let mut stream = sandbox.connect("[[sandbox:timeout]]").await;
    sandbox.until(|stats| stats.requests == 1).await;
    let read = tokio::time::timeout(Duration::from_millis(200), stream.read_u8()).await;
    assert!(read.is_err(), "neither a byte nor an end");
    drop(stream);
    sandbox.until(|stats| stats.abandoned == 1).await;
}

#[tokio::test]
async fn slow_answer_comes_late() {
    let sandbox = Sandbox::start().await;
    let started = Instant::now();
    answer(&sandbox, "[[sandbox:slow ms=150]]").await;
    assert!(started.elapsed() >= Duration::from_millis(150));
}

#[tokio::test]
async fn configured_fault_meets_first_deliveries_only() {
    let faults = serde_json::from_value(json!([{"fault": "status code=503", "fraction": 0.5}])).expect("faults");
    let sandbox = Sandbox::with(Config { faults, ..Config::default() }).await;
    let mut first = Vec::new();
    for number in 0..40 {
        first.push(sandbox.ask(&format!("row {number}")).await.status().as_u16());
        assert_eq!(sandbox.ask(&format!("row {number}")).await.status(), 200);
    }
    let failed = first.iter().filter(|&&status| status == 503).count();
    assert!((8..=32).contains(&failed), "{failed}");
}
