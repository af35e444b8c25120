//! What becomes of the requests.

use sandbox::Totals;
use serde_json::{Value, json};

use super::super::client::{config, json as body, text};
use super::{BATCHES, Client, counts, requests};
use crate::support::{Sandbox, message};

#[tokio::test]
async fn message_batch_answers_as_the_real_time_route_does() {
    let sandbox = Sandbox::start().await;
    let client = Client(&sandbox);
    let prompts = ["one", "[[sandbox:refusal]]", "[[sandbox:status code=529]]", "grüße \"x\"\n"];
    let batch = client.ended(&prompts).await;
    assert_eq!(counts(&batch), [0, 3, 1, 0, 0]);
    let results = client.results(&batch).await;
    for (number, prompt) in prompts.iter().enumerate() {
        let answer = sandbox.anthropic(&message(prompt)).await;
        let (status, mut theirs) = (answer.status(), body(answer).await);
        let result = &results[&format!("r{number}")];
        let (kind, name, id) =
            if status == 200 { ("succeeded", "message", "id") } else { ("errored", "error", "request_id") };
        assert_eq!(result["type"], kind, "{prompt}");
        let mut ours = result[name].clone();
        for answer in [&mut ours, &mut theirs] {
            answer.as_object_mut().expect("an object").remove(id).expect("an id");
        }
        assert_eq!(ours, theirs, "{prompt}");
    }
    assert_eq!(results["r2"]["error"]["error"]["type"], "overloaded_error");
    let totals = Totals::of(sandbox.log_path()).expect("readable");
    assert_eq!((totals.batches.billed, totals.batches.created), (3, 1));
}

#[tokio::test]
async fn version_of_the_creation_counts_for_its_requests() {
    let sandbox = Sandbox::start().await;
    let client = Client(&sandbox);
    let mut params = message("x");
    params["temperature"] = json!(0);
    let requests = json!({"requests": [{"custom_id": "a", "params": params}]});
    for (version, kind) in [("2023-06-01", "succeeded"), ("2026-10-21", "errored")] {
        let url = format!("http://{}{BATCHES}", sandbox.address);
        let request = sandbox.client.post(url).header("x-api-key", "k").header("anthropic-version", version);
        let created = body(request.json(&requests).send().await.expect("an answer")).await;
        let batch = client.until_ended(&text(&created, "id")).await;
        assert_eq!(client.results(&batch).await["a"]["type"], kind, "{version}");
    }
}

#[tokio::test]
async fn cancelled_message_batch_keeps_what_was_done() {
    let outcome = json!({"outcome": "stuck_running", "done_fraction": 0.5});
    let sandbox = Sandbox::with(config(json!({"outcomes": [outcome], "cancel_ms": 50}))).await;
    let client = Client(&sandbox);
    let id = client.create(&["a", "b", "c", "d"]).await;
    assert_eq!(counts(&client.batch(&id).await), [4, 0, 0, 0, 0], "no progress before the end");
    assert_eq!(client.delete(&id).await.status(), 400);
    let canceling = body(client.cancel(&id).await).await;
    assert_eq!(canceling["processing_status"], "canceling");
    assert!(canceling["cancel_initiated_at"].is_string());
    let batch = client.until_ended(&id).await;
    assert_eq!(counts(&batch), [0, 2, 0, 2, 0]);
    let results = client.results(&batch).await;
    let canceled = results.values().filter(|result| **result == json!({"type": "canceled"})).count();
    assert_eq!((results.len(), canceled), (4, 2));
    assert_eq!(client.cancel(&id).await.status(), 400);
    let totals = Totals::of(sandbox.log_path()).expect("readable").batches;
    assert_eq!((totals.billed, totals.cancel_asked), (2, 1));

    let deleted = body(client.delete(&id).await).await;
    assert_eq!(deleted, json!({"id": id, "type": "message_batch_deleted"}));
    assert_eq!(client.get(&format!("{BATCHES}/{id}")).await.status(), 404);
    assert_eq!(client.get(&text(&batch, "results_url")).await.status(), 404);
    assert_eq!(sandbox.stats().await.batches.files, 0);
}

#[tokio::test]
async fn requests_expire_unbilled_at_the_end_of_the_window() {
    let sandbox = Sandbox::with(config(json!({"outcomes": [{"outcome": "expire", "done_fraction": 0.25}]}))).await;
    let client = Client(&sandbox);
    let batch = client.ended(&["a", "b", "c", "[[sandbox:no_usage]]"]).await;
    assert_eq!(counts(&batch), [0, 1, 0, 0, 3]);
    let results = client.results(&batch).await;
    assert_eq!(results.values().filter(|result| **result == json!({"type": "expired"})).count(), 3);
    assert_eq!(Totals::of(sandbox.log_path()).expect("readable").billed, 1);

    let sandbox = Sandbox::with(config(json!({"complete_ms": 60_000, "window_ms": 20}))).await;
    let batch = Client(&sandbox).ended(&["a", "b"]).await;
    assert_eq!(counts(&batch), [0, 0, 0, 0, 2]);
}

#[tokio::test]
async fn row_markers_disturb_the_results() {
    let sandbox = Sandbox::start().await;
    let client = Client(&sandbox);
    let prompts = [
        "plain",
        "[[sandbox:batch_missing]]",
        "[[sandbox:batch_duplicate]]",
        "[[sandbox:batch_unknown]]",
        "[[sandbox:batch_expired]]",
        "[[sandbox:batch_error code=api_error]]",
        "[[sandbox:batch_null]]",
    ];
    let batch = client.ended(&prompts).await;
    let lines = client.lines(&batch).await;
    let of = |id: &str| -> Vec<_> { lines.iter().filter(|line| line["custom_id"] == id).collect() };
    assert_eq!([of("r0").len(), of("r1").len(), of("r2").len(), of("r3").len()], [1, 0, 2, 1]);
    let [first, second] = of("r2")[..] else { panic!("two lines") };
    assert_ne!(first["result"]["message"]["content"], second["result"]["message"]["content"]);
    assert!(lines.iter().any(|line| text(line, "custom_id").starts_with("unknown")));
    assert_eq!(of("r4")[0]["result"], json!({"type": "expired"}));
    assert_eq!(of("r5")[0]["result"]["error"]["error"]["type"], "api_error");
    assert_eq!(of("r6")[0]["result"], Value::Null);

    let invalid = client.try_create(&requests(&["[[sandbox:batch_invalid times=1]]"])).await;
    assert_eq!(invalid.status(), 400);
    assert_eq!(client.try_create(&requests(&["[[sandbox:batch_invalid times=1]]"])).await.status(), 200);
}
