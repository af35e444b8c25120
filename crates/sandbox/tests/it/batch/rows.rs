//! Markers of single requests.

use sandbox::Totals;
use serde_json::{Value, json};

use super::client::{Client, line, lines};
use crate::support::Sandbox;

#[tokio::test]
async fn result_lines_are_missing_twice_unknown_or_odd() {
    let sandbox = Sandbox::start().await;
    let client = Client::openai(&sandbox);
    let batch = client
        .ended(lines(&[
            "plain",
            "[[sandbox:batch_missing]]",
            "[[sandbox:batch_duplicate]]",
            "[[sandbox:batch_unknown]]",
            "[[sandbox:batch_status_zero]]",
            "[[sandbox:batch_null]]",
            "[[sandbox:batch_error code=request_timeout]]",
        ]))
        .await;
    assert_eq!(batch["status"], "completed");
    // The counts do not know of the three in the middle.
    assert_eq!(batch["request_counts"], json!({"total": 7, "completed": 6, "failed": 1}));
    let output = client.results(&batch["output_file_id"]).await;
    let errors = client.results(&batch["error_file_id"]).await;
    let of = |lines: &[Value], id: &str| -> Vec<Value> {
        lines.iter().filter(|line| line["custom_id"] == id).cloned().collect()
    };
    assert_eq!((output.len(), errors.len()), (6, 2));
    assert_eq!(of(&output, "r0").len(), 1);
    assert_eq!(of(&output, "r1").len() + of(&errors, "r1").len(), 0);
    let twice = of(&output, "r2");
    let content = |line: &Value| line["response"]["body"]["choices"][0]["message"]["content"].clone();
    assert_eq!(twice.len(), 2);
    assert_ne!(content(&twice[0]), content(&twice[1]));
    assert_eq!(of(&output, "r3").len(), 1);
    assert!(output.iter().any(|line| line["custom_id"].as_str().is_some_and(|id| id.starts_with("unknown-"))));
    let zero = &of(&errors, "r4")[0];
    assert_eq!((&zero["response"]["status_code"], &zero["response"]["body"]), (&json!(0), &json!("")));
    assert_eq!(zero["error"], Value::Null);
    let null = &of(&output, "r5")[0];
    assert_eq!((&null["response"], &null["error"]), (&Value::Null, &Value::Null));
    let failed = &of(&errors, "r6")[0];
    assert_eq!((&failed["response"], &failed["error"]["code"]), (&Value::Null, &json!("request_timeout")));
    let totals = Totals::of(sandbox.log_path()).expect("readable");
    assert_eq!(totals.billed, 3, "the plain one, the one answered twice, and the one beside the unknown one");
}

#[tokio::test]
async fn one_request_expires_and_the_whole_with_it() {
    let sandbox = Sandbox::start().await;
    let client = Client::openai(&sandbox);
    let batch = client.ended(lines(&["a", "[[sandbox:batch_expired times=1]]"])).await;
    assert_eq!(batch["status"], "expired");
    assert_eq!(client.results(&batch["output_file_id"]).await.len(), 1);
    assert_eq!(client.results(&batch["error_file_id"]).await[0]["error"]["code"], "batch_expired");
}

#[tokio::test]
async fn times_counts_deliveries_over_both_routes() {
    let sandbox = Sandbox::start().await;
    let client = Client::openai(&sandbox);
    let prompt = "[[sandbox:status code=500 times=2]] [[sandbox:batch_missing times=1]]";
    assert_eq!(client.ended(line("a", prompt)).await["output_file_id"], Value::Null);
    assert_eq!(sandbox.ask(prompt).await.status(), 500, "the second delivery");
    let batch = client.ended(line("a", prompt)).await;
    assert_eq!(client.results(&batch["output_file_id"]).await.len(), 1);

    let prompt = "[[sandbox:batch_invalid times=2]]";
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(client.ended(line("a", prompt)).await["status"].clone());
    }
    assert_eq!(statuses, ["failed", "failed", "completed"]);
}

#[tokio::test]
async fn row_markers_are_ignored_in_real_time_but_checked() {
    let sandbox = Sandbox::start().await;
    assert_eq!(sandbox.ask("[[sandbox:batch_missing]] [[sandbox:batch_error code=x]]").await.status(), 200);
    assert_eq!(sandbox.ask("[[sandbox:batch_missing]] [[sandbox:html]]").await.headers()["content-type"], "text/html");
    assert_eq!(sandbox.ask("[[sandbox:batch_mising]]").await.status(), 400);
    let client = Client::openai(&sandbox);
    let batch = client.ended(line("a", "[[sandbox:batch_mising]]")).await;
    assert_eq!(client.results(&batch["error_file_id"]).await[0]["response"]["status_code"], 400);
}

#[tokio::test]
async fn faults_of_a_connection_are_errors_of_the_server() {
    let sandbox = Sandbox::start().await;
    let client = Client::openai(&sandbox);
    let faults = [
        "timeout",
        "slow",
        "drip",
        "drop_before",
        "drop_after",
        "reset_mid_body",
        "html",
        "empty_body",
        "truncated_json",
        "endless",
    ];
    let prompts: Vec<_> = faults.iter().map(|name| format!("[[sandbox:{name}]]")).collect();
    let prompts: Vec<_> = prompts.iter().map(String::as_str).collect();
    let batch = client.ended(lines(&prompts)).await;
    let failed = client.results(&batch["error_file_id"]).await;
    assert_eq!((failed.len(), &batch["output_file_id"]), (faults.len(), &Value::Null));
    assert!(failed.iter().all(|line| line["response"]["status_code"] == 500));
    assert_eq!(Totals::of(sandbox.log_path()).expect("readable").billed, 0);
    assert_eq!(sandbox.stats().await.by_fault["drop_after"], 1);
    let batch = client.ended(lines(&["[[sandbox:oversized bytes=100000]]", "[[sandbox:status code=502]]"])).await;
    let by_id = client.by_id(&batch).await;
    let content = &by_id["r0"]["response"]["body"]["choices"][0]["message"]["content"];
    assert_eq!(content.as_str().map(str::len), Some(100_000));
    assert_eq!(by_id["r1"]["response"]["status_code"], 502);
}
