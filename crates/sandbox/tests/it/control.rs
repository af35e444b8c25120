use sandbox::Config;
use serde_json::{Value, json};

use crate::support::Sandbox;

#[tokio::test]
async fn outage_begins_and_ends_at_run_time() {
    let sandbox = Sandbox::start().await;
    let outage = json!({"faults": [{"fault": "status code=503", "fraction": 1.0, "sticky": true}]});
    assert_eq!(sandbox.ask("a").await.status(), 200);
    let config: Value = sandbox.patch(&outage).await.json().await.expect("JSON");
    assert_eq!(config["faults"][0]["fault"], "status code=503");
    assert_eq!(sandbox.ask("a").await.status(), 503);
    assert_eq!(sandbox.ask("a").await.status(), 503);
    sandbox.patch(&json!({"faults": []})).await;
    assert_eq!(sandbox.ask("a").await.status(), 200);
}

#[tokio::test]
async fn limit_steps_at_run_time() {
    let sandbox = Sandbox::start().await;
    sandbox.patch(&json!({"models": {"echo": {"requests_per_minute": 1}}})).await;
    assert_eq!(sandbox.ask("a").await.status(), 200);
    assert_eq!(sandbox.ask("a").await.status(), 429);
    sandbox.patch(&json!({"models": {"echo": {"requests_per_minute": 2}}})).await;
    assert_eq!(sandbox.ask("a").await.status(), 200);
}

#[tokio::test]
async fn patch_that_makes_no_sense_changes_nothing() {
    let sandbox = Sandbox::start().await;
    for patch in [
        json!({"latency": 1}),
        json!({"faults": [{"fault": "html"}]}),
        json!({"faults": [{"fault": "x", "fraction": 1}]}),
    ] {
        assert_eq!(sandbox.patch(&patch).await.status(), 400, "{patch}");
    }
    assert_eq!(sandbox.ask("a").await.status(), 200);
}

#[tokio::test]
async fn stats_count_and_reset_forgets() {
    let sandbox = Sandbox::start().await;
    sandbox.ask("four").await;
    sandbox.ask("[[sandbox:html]]").await;
    sandbox.raw("[[sandbox:drop_after]]").await;
    sandbox.ask("[[sandbox:status code=500 times=1]]").await;
    let stats = sandbox.stats().await;
    assert_eq!((stats.requests, stats.answers, stats.billed), (4, 3, 2));
    assert_eq!((stats.by_status[&200], stats.by_status[&500], stats.by_fault["html"]), (2, 1, 1));
    assert_eq!((stats.in_flight, stats.max_in_flight), (0, 1));
    assert_eq!(stats.arrivals_per_second.iter().sum::<u32>(), 4);
    let url = format!("http://{}/_sandbox/reset", sandbox.address);
    assert_eq!(sandbox.client.post(url).send().await.expect("sent").status(), 200);
    assert_eq!(sandbox.stats().await.requests, 0);
    assert_eq!(sandbox.ask("[[sandbox:status code=500 times=1]]").await.status(), 500, "deliveries begin anew");
}

#[tokio::test]
async fn configuration_that_makes_no_sense_is_refused_at_the_start() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let faults = serde_json::from_value(json!([{"fault": "html"}])).expect("parses");
    let served = sandbox::serve(listener, Config { faults, ..Config::default() }, std::future::ready(())).await;
    assert!(matches!(served, Err(sandbox::Error::Config(_))));
}
