//! What becomes of the requests.

use sandbox::Totals;
use serde_json::{Value, json};

use super::super::client::{config, json as body, text};
use super::{Client, by_file, inline, lines, state, stats};
use crate::support::{PATIENCE, Sandbox, contents, error};

#[tokio::test]
async fn provider_batch_by_file_answers_as_the_real_time_route_does() {
    let sandbox = Sandbox::start().await;
    let client = Client(&sandbox);
    let prompts = ["one", "[[sandbox:refusal]]", "[[sandbox:status code=503]]", "grüße \"x\""];
    let file = client.upload(&lines(&prompts)).await;
    let batch = client.done(&by_file(&text(&file, "name"))).await;
    assert_eq!((state(&batch), stats(&batch)), ("BATCH_STATE_SUCCEEDED", ["4", "3", "1", "0"]));
    let output = text(&batch["response"], "responsesFile");
    assert_eq!(batch["metadata"]["output"], json!({"responsesFile": output}));
    assert_eq!(batch.get("error"), None);
    let results = client.results(&output).await;
    for (number, prompt) in prompts.iter().enumerate() {
        let answer = sandbox.gemini("echo", &contents(prompt)).await;
        let (status, mut theirs) = (answer.status(), body(answer).await);
        let result = &results[&format!("r{number}")];
        if status == 200 {
            let mut ours = result["response"].clone();
            for answer in [&mut ours, &mut theirs] {
                answer.as_object_mut().expect("an object").remove("responseId").expect("an id");
            }
            assert_eq!(ours, theirs, "{prompt}");
        } else {
            assert_eq!(
                (&result["error"]["code"], &result["error"]["message"]),
                (&json!(14), &theirs["error"]["message"])
            );
            assert_eq!(result.get("response"), None);
        }
    }
    let totals = Totals::of(sandbox.log_path()).expect("readable").batches;
    assert_eq!((totals.billed, totals.created, totals.files_uploaded), (3, 1, 1));
}

#[tokio::test]
async fn inline_results_come_twice_with_their_metadata_and_without_files() {
    let sandbox = Sandbox::start().await;
    let client = Client(&sandbox);
    let batch = client.done(&inline(&["one", "[[sandbox:status code=400]]"])).await;
    let responses = &batch["response"]["inlinedResponses"]["inlinedResponses"];
    assert_eq!(batch["metadata"]["output"]["inlinedResponses"]["inlinedResponses"], *responses);
    let of = |key: &str| {
        let found = responses.as_array().expect("a list").iter().find(|response| response["metadata"]["key"] == key);
        found.expect(key).clone()
    };
    assert_eq!(of("r0")["response"]["candidates"][0]["content"]["parts"][0]["text"], "one");
    assert_eq!(of("r1")["error"]["code"], 3);
    assert_eq!(body(client.get("/gemini/v1beta/files").await).await, json!({}));

    let name = text(&batch, "name");
    assert_eq!(body(client.delete(&format!("/gemini/v1beta/{name}")).await).await, json!({}));
    assert_eq!(client.get(&format!("/gemini/v1beta/{name}")).await.status(), 404);
    assert_eq!(sandbox.stats().await.batches.files, 0);
}

#[tokio::test]
async fn invalid_file_fails_the_operation_and_an_invalid_request_only_itself() {
    let sandbox = Sandbox::start().await;
    let client = Client(&sandbox);
    let good = lines(&["a"]);
    for content in [
        "no JSON\n".to_owned(),
        format!("{good}{good}"),
        json!({"request": contents("x")}).to_string(),
        "{\"key\":\"a\"}".to_owned(),
    ] {
        let file = client.upload(&content).await;
        let batch = client.done(&by_file(&text(&file, "name"))).await;
        assert_eq!((state(&batch), &batch["error"]["code"]), ("BATCH_STATE_FAILED", &json!(3)), "{content}");
        assert_eq!((batch.get("response"), batch["metadata"].get("output")), (None, None));
    }
    let invalid = json!({"key": "b", "request": {"contents": [], "foo": 1}}).to_string();
    let file = client.upload(&format!("{good}{invalid}")).await;
    let batch = client.done(&by_file(&text(&file, "name"))).await;
    assert_eq!(stats(&batch), ["2", "1", "1", "0"]);
    let results = client.results(&text(&batch["response"], "responsesFile")).await;
    assert_eq!(results["b"]["error"]["code"], 3);
}

#[tokio::test]
async fn expired_operation_has_no_results() {
    for batch in [
        json!({"outcomes": [{"outcome": "expire", "done_fraction": 0.5}]}),
        json!({"complete_ms": 60_000, "window_ms": 20}),
    ] {
        let sandbox = Sandbox::with(config(batch)).await;
        let batch = Client(&sandbox).done(&inline(&["a", "b"])).await;
        assert_eq!((state(&batch), &batch["error"]["code"]), ("BATCH_STATE_EXPIRED", &json!(4)));
        assert_eq!((batch.get("response"), batch["metadata"].get("output")), (None, None));
        assert_eq!(Totals::of(sandbox.log_path()).expect("readable").billed, 0);
    }
}

#[tokio::test]
async fn cancelled_operation_has_what_was_done_in_its_metadata() {
    let outcome = json!({"outcome": "stuck_running", "done_fraction": 0.5});
    let sandbox = Sandbox::with(config(json!({"outcomes": [outcome]}))).await;
    let client = Client(&sandbox);
    let file = client.upload(&lines(&["a", "b", "c", "d"])).await;
    let name = client.create(&by_file(&text(&file, "name"))).await;
    let running = async {
        loop {
            let batch = client.batch(&name).await;
            if state(&batch) == "BATCH_STATE_RUNNING" {
                return batch;
            }
        }
    };
    let running = tokio::time::timeout(PATIENCE, running).await.expect("runs");
    assert_eq!(stats(&running), ["4", "2", "0", "2"]);
    assert_eq!(body(client.cancel(&name).await).await, json!({}));
    let batch = client.until_done(&name).await;
    assert_eq!((state(&batch), &batch["error"]["code"]), ("BATCH_STATE_CANCELLED", &json!(1)));
    assert_eq!(batch.get("response"), None);
    let output = text(&batch["metadata"]["output"], "responsesFile");
    assert_eq!(client.results(&output).await.len(), 2);
    assert_eq!(client.cancel(&name).await.status(), 200);
    let totals = Totals::of(sandbox.log_path()).expect("readable").batches;
    assert_eq!((totals.billed, totals.cancel_asked), (2, 1));
}

#[tokio::test]
async fn row_markers_disturb_the_results() {
    let sandbox = Sandbox::start().await;
    let client = Client(&sandbox);
    let prompts = [
        "plain",
        "[[sandbox:batch_missing]]",
        "[[sandbox:batch_duplicate]]",
        "[[sandbox:batch_null]]",
        "[[sandbox:batch_error code=oops]]",
    ];
    let file = client.upload(&lines(&prompts)).await;
    let batch = client.done(&by_file(&text(&file, "name"))).await;
    let content = client.content(&text(&batch["response"], "responsesFile")).await;
    let lines: Vec<Value> = content.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let count = |key: &str| lines.iter().filter(|line| line["key"] == key).count();
    assert_eq!(["r0", "r1", "r2", "r3", "r4"].map(count), [1, 0, 2, 1, 1]);
    let of = |key: &str| lines.iter().find(|line| line["key"] == key).expect(key);
    assert_eq!(*of("r3"), json!({"key": "r3"}));
    assert_eq!(of("r4")["error"]["message"], "oops");

    let batch = client.done(&inline(&["a", "[[sandbox:batch_expired]]"])).await;
    assert_eq!((state(&batch), batch["metadata"].get("output")), ("BATCH_STATE_EXPIRED", None));
}

#[tokio::test]
async fn outcomes_happen_to_operations() {
    let outcomes: Vec<_> = ["no_keys", "fail_validation", "fail_token_limit", "no_output_file", "unknown_status"]
        .iter()
        .map(|outcome| json!({"outcome": outcome, "times": 1}))
        .collect();
    let sandbox = Sandbox::with(config(json!({"outcomes": outcomes}))).await;
    let client = Client(&sandbox);
    let keyless = client.done(&inline(&["a"])).await;
    assert_eq!(keyless["response"]["inlinedResponses"]["inlinedResponses"][0].get("metadata"), None);
    assert_eq!(state(&client.done(&inline(&["a"])).await), "BATCH_STATE_FAILED");
    let (status, full) = error(client.try_create(&inline(&["a"])).await).await;
    assert_eq!((status.as_u16(), &full["status"], full.get("details")), (429, &json!("RESOURCE_EXHAUSTED"), None));
    let lost = client.done(&inline(&["a"])).await;
    assert_eq!((state(&lost), lost["metadata"].get("output")), ("BATCH_STATE_SUCCEEDED", None));
    let name = client.create(&inline(&["a"])).await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(state(&client.batch(&name).await).to_owned());
    }
    assert!(seen.contains(&"BATCH_STATE_REBALANCING".to_owned()), "{seen:?}");
}

#[tokio::test]
async fn request_is_another_where_the_model_in_the_path_is() {
    let sandbox = Sandbox::start().await;
    let client = Client(&sandbox);
    sandbox.gemini("echo", &contents("x")).await;
    sandbox.gemini("echo-2", &contents("x")).await;
    sandbox.gemini("echo", &contents("x")).await;
    let deliveries: Vec<_> = sandbox.requests().iter().map(|request| request.delivery).collect();
    assert_eq!(deliveries, [1, 1, 2]);
    client.done(&inline(&["x"])).await;
    assert_eq!(Totals::of(sandbox.log_path()).expect("readable").batches.billed_again, 1);
}

#[tokio::test]
async fn result_of_no_status_has_an_empty_error() {
    let sandbox = Sandbox::start().await;
    let batch = Client(&sandbox).done(&inline(&["[[sandbox:batch_status_zero]]"])).await;
    assert_eq!(batch["response"]["inlinedResponses"]["inlinedResponses"][0]["error"], json!({}));
}
