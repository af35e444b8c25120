use std::collections::BTreeSet;

use futures::future::join_all;
use sandbox::{Config, Entry, Totals};
use serde_json::Value;

use crate::support::{Sandbox, contents, message, request};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_stands_in_the_log_once() {
    let sandbox = Sandbox::with(Config { latency_ms: 1, latency_jitter_ms: 3, ..Config::default() }).await;
    let prompts: Vec<_> = (0..300).map(|number| format!("row {number:04}")).collect();
    join_all(prompts.iter().map(|prompt| async { sandbox.ask(prompt).await.bytes().await.expect("whole") })).await;
    let requests = sandbox.requests();
    let numbers: BTreeSet<_> = requests.iter().map(|request| request.seq).collect();
    assert_eq!(numbers, (1..=300).collect());
    assert_eq!(requests.len(), 300);
    let totals = Totals::of(sandbox.log_path()).expect("readable");
    assert_eq!((totals.requests, totals.answered, totals.billed, totals.abandoned), (300, 300, 300, 0));
    assert_eq!((totals.billed_prompt_tokens, totals.billed_completion_tokens), (600, 600));
}

#[tokio::test]
async fn line_holds_the_facts_of_its_request() {
    let sandbox = Sandbox::start().await;
    sandbox.ask("four").await;
    sandbox.ask("four").await;
    sandbox.ask("[[sandbox:refusal]]").await;
    let [first, second, third] = sandbox.requests().try_into().expect("three lines");
    assert_eq!((first.key_tail.as_deref(), first.model.as_deref()), (Some("-key"), Some("echo")));
    assert_eq!((first.prompt_tokens, first.completion_tokens, first.billed, first.status), (1, 1, true, Some(200)));
    assert_eq!((first.delivery, second.delivery, third.delivery), (1, 2, 1));
    assert_eq!(first.request_sha256, second.request_sha256);
    assert_eq!(first.request_sha256.len(), 32);
    assert_eq!((first.fault.as_deref(), third.fault.as_deref()), (None, Some("refusal")));
    assert_eq!(first.in_flight, 1);
}

#[tokio::test]
async fn client_that_vanishes_leaves_its_request_billed_and_abandoned() {
    let sandbox = Sandbox::with(Config { latency_ms: 60_000, ..Config::default() }).await;
    let client = sandbox.connect("hello").await;
    sandbox.until(|stats| stats.in_flight == 1).await;
    assert_eq!(sandbox.requests().len(), 1, "logged on arrival");
    drop(client);
    sandbox.until(|stats| stats.abandoned == 1 && stats.in_flight == 0).await;
    let entries = sandbox.entries();
    assert!(matches!(entries[1..], [Entry::Request(_), Entry::Abandoned(_)]), "{entries:?}");
    let totals = Totals::of(sandbox.log_path()).expect("readable");
    assert_eq!((totals.requests, totals.answered, totals.billed, totals.abandoned), (1, 0, 1, 1));
}

#[tokio::test]
async fn request_cut_short_has_not_arrived() {
    use tokio::io::AsyncWriteExt;
    let sandbox = Sandbox::start().await;
    let mut stream = tokio::net::TcpStream::connect(sandbox.address).await.expect("connects");
    let half = b"POST /chat/completions HTTP/1.1\r\nhost: s\r\ncontent-length: 99\r\n\r\n{";
    stream.write_all(half).await.expect("sends");
    drop(stream);
    assert_eq!(sandbox.ask("whole").await.status(), 200);
    assert_eq!(sandbox.requests().len(), 1);
}

#[tokio::test]
async fn restarted_sandbox_appends() {
    let sandbox = Sandbox::start().await;
    sandbox.ask("a").await;
    let directory = sandbox.shut_down().await;
    let log = directory.path().join("oracle.jsonl");
    let again = Sandbox::with(Config { log: Some(log.clone()), ..Config::default() }).await;
    again.ask("a").await;
    assert_eq!(Totals::of(log).expect("readable").requests, 2);
}

#[tokio::test]
async fn shutdown_cuts_what_hangs() {
    let sandbox = Sandbox::start().await;
    let _hanging = sandbox.connect("[[sandbox:timeout]]").await;
    sandbox.until(|stats| stats.in_flight == 1).await;
    sandbox.shut_down().await;
}

/// Names and the column `billed` of the README's table of faults.
fn documented_faults() -> Vec<(&'static str, bool)> {
    let readme = include_str!("../../README.md");
    let rows = readme.lines().skip_while(|line| *line != "## Faults").filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let name = row.split(['`', ' ']).find(|word| word.len() > 1).expect("a name");
        let billed = row.trim_end_matches(" |").rsplit("| ").next().expect("a last cell");
        (name, billed.starts_with("yes"))
    })
    .collect()
}

#[tokio::test]
async fn faults_are_billed_as_documented_in_every_family() {
    let anthropic = "x-api-key: test-key\r\nanthropic-version: 2023-06-01";
    for (path, header, body) in [
        (
            "/chat/completions",
            "authorization: Bearer test-key",
            (|prompt| request("echo", prompt)) as fn(&str) -> Value,
        ),
        ("/anthropic/v1/messages", anthropic, message),
        ("/gemini/v1beta/models/echo:generateContent", "x-goog-api-key: test-key", contents),
    ] {
        let sandbox = Sandbox::start().await;
        let faults = documented_faults();
        for (number, (name, _)) in (1..).zip(&faults) {
            // Some never end; what counts is logged on arrival.
            let _connection = sandbox.connect_to(path, header, &body(&format!("[[sandbox:{name}]]"))).await;
            sandbox.until(|stats| stats.requests == number).await;
        }
        let requests = sandbox.requests();
        let logged: Vec<_> =
            requests.iter().map(|request| (request.fault.as_deref().unwrap_or_default(), request.billed)).collect();
        assert_eq!(logged, faults, "{path}");
    }
}
