use std::collections::BTreeMap;

use sandbox::{Config, Model};

use crate::support::{Sandbox, error, header, request};

fn limited(model: Model) -> Config {
    Config { models: BTreeMap::from([("echo".to_owned(), model)]), ..Config::default() }
}

#[tokio::test]
async fn request_limit_has_true_headers() {
    let sandbox = Sandbox::with(limited(Model { requests_per_minute: Some(2), ..Model::default() })).await;
    let first = sandbox.ask("a").await;
    assert_eq!(header(&first, "x-ratelimit-limit-requests"), Some("2"));
    assert_eq!(header(&first, "x-ratelimit-remaining-requests"), Some("1"));
    assert_eq!(header(&first, "x-ratelimit-reset-requests"), Some("1m0s"));
    assert_eq!(header(&first, "x-ratelimit-limit-tokens"), None);
    sandbox.ask("b").await;
    let over = sandbox.ask("c").await;
    assert_eq!(over.status(), 429);
    assert_eq!(header(&over, "x-ratelimit-remaining-requests"), Some("0"));
    let ms: u64 = header(&over, "retry-after-ms").expect("a delay").parse().expect("a number");
    let seconds: u64 = header(&over, "retry-after").expect("a delay").parse().expect("a number");
    assert!((30_000..=60_000).contains(&ms));
    assert_eq!(seconds, ms.div_ceil(1000));
    let (_, body) = error(over).await;
    assert_eq!((&body["type"], &body["code"]), (&"requests".into(), &"rate_limit_exceeded".into()));
    let billed: Vec<_> = sandbox.requests().iter().map(|request| request.billed).collect();
    assert_eq!(billed, [true, true, false]);
}

#[tokio::test]
async fn token_limit_counts_prompt_and_tokens_asked_for() {
    let sandbox = Sandbox::with(limited(Model { tokens_per_minute: Some(100), ..Model::default() })).await;
    let mut body = request("echo", "four");
    body["max_tokens"] = 59.into();
    let first = sandbox.send(&body).await.expect("an answer");
    assert_eq!(header(&first, "x-ratelimit-remaining-tokens"), Some("40"));
    let (status, over) = error(sandbox.send(&body).await.expect("an answer")).await;
    assert_eq!((status.as_u16(), &over["type"]), (429, &"tokens".into()));
}

#[tokio::test]
async fn hidden_limit_has_no_headers() {
    let config = limited(Model { requests_per_minute: Some(2), ..Model::default() });
    let sandbox = Sandbox::with(Config { rate_limit_headers: false, ..config }).await;
    assert_eq!(header(&sandbox.ask("a").await, "x-ratelimit-limit-requests"), None);
}

#[tokio::test]
async fn concurrency_limit_counts_requests_at_work() {
    let sandbox = Sandbox::with(limited(Model { max_concurrency: Some(1), ..Model::default() })).await;
    let hanging = sandbox.connect("[[sandbox:timeout]]").await;
    sandbox.until(|stats| stats.in_flight == 1).await;
    let over = sandbox.ask("a").await;
    assert_eq!((over.status().as_u16(), header(&over, "retry-after")), (429, None));
    drop(hanging);
    sandbox.until(|stats| stats.in_flight == 0).await;
    assert_eq!(sandbox.ask("a").await.status(), 200);
}
