use sandbox::log::BatchEnded;
use sandbox::{Config, Entry, Totals};
use serde_json::{Value, json};

use super::client::{Client, config, json as body, line, lines, text};
use crate::support::{Sandbox, error, header};

#[tokio::test]
async fn provider_batch_answers_as_the_real_time_route_does() {
    let sandbox = Sandbox::start().await;
    let client = Client::openai(&sandbox);
    let prompts = ["one", "[[sandbox:refusal]]", "[[sandbox:status code=503]]", "[[sandbox:no_usage]]", "grüße \"x\""];
    let batch = client.ended(lines(&prompts)).await;
    assert_eq!(batch["status"], "completed");
    assert_eq!(batch["request_counts"], json!({"total": 5, "completed": 4, "failed": 1}));
    let by_id = client.by_id(&batch).await;
    assert_eq!(by_id.len(), 5);
    for (number, prompt) in prompts.iter().enumerate() {
        let answer = sandbox.ask(prompt).await;
        let line = &by_id[&format!("r{number}")];
        assert_eq!(line["error"], Value::Null);
        assert_eq!(line["response"]["status_code"], answer.status().as_u16(), "{prompt}");
        let (mut ours, mut theirs) = (line["response"]["body"].clone(), body(answer).await);
        for answer in [&mut ours, &mut theirs] {
            for name in ["id", "created"] {
                answer.as_object_mut().expect("an object").remove(name);
            }
        }
        assert_eq!(ours, theirs, "{prompt}");
    }
    let failed = client.results(&batch["error_file_id"]).await;
    assert_eq!((failed.len(), &failed[0]["custom_id"]), (1, &json!("r2")));
}

#[tokio::test]
async fn batch_object_has_the_documented_shape() {
    let sandbox = Sandbox::start().await;
    let client = Client::openai(&sandbox);
    let input = client.upload(line("a", "four")).await;
    let created = body(client.try_create(&input).await.expect("an answer")).await;
    assert_eq!(created["object"], "batch");
    assert!(["validating", "in_progress", "finalizing", "completed"].contains(&text(&created, "status").as_str()));
    let batch = client.until(&text(&created, "id"), &["completed"]).await;
    for name in ["created_at", "in_progress_at", "finalizing_at", "completed_at", "expires_at"] {
        assert!(batch[name].is_u64(), "{name}: {batch}");
    }
    for name in ["failed_at", "expired_at", "cancelling_at", "cancelled_at", "errors", "error_file_id"] {
        assert_eq!(batch.get(name), Some(&Value::Null), "{name}");
    }
    assert_eq!(batch["expires_at"].as_u64(), batch["created_at"].as_u64().map(|at| at + 24 * 3600));
    assert_eq!((&batch["endpoint"], &batch["completion_window"]), (&json!("/v1/chat/completions"), &json!("24h")));
    assert_eq!((&batch["model"], &batch["metadata"]), (&json!("echo"), &json!({"chunk": "7"})));
    assert_eq!((&batch["usage"]["input_tokens"], &batch["usage"]["total_tokens"]), (&json!(1), &json!(2)));
    assert_eq!(text(&batch, "input_file_id"), input);
}

#[tokio::test]
async fn files_are_listed_fetched_in_parts_and_deleted() {
    let sandbox = Sandbox::start().await;
    let client = Client::openai(&sandbox);
    let response = client.try_upload("a.jsonl", "0123456789".to_owned()).await.expect("an answer");
    let file = body(response).await;
    assert_eq!((&file["object"], &file["bytes"]), (&json!("file"), &json!(10)));
    assert_eq!((&file["filename"], &file["purpose"]), (&json!("a.jsonl"), &json!("batch")));
    assert_eq!(file["expires_at"].as_u64(), file["created_at"].as_u64().map(|at| at + 30 * 24 * 3600));
    let id = text(&file, "id");
    assert_eq!(body(client.get(&format!("/files/{id}")).await).await, file);
    let second = client.upload("b".to_owned()).await;
    let list = body(client.get("/files?purpose=batch").await).await;
    assert_eq!((&list["data"][0]["id"], &list["data"][1]["id"]), (&json!(second), &json!(id)));

    assert_eq!(client.content(&id).await, "0123456789");
    let url = format!("http://{}/v1/files/{id}/content", sandbox.address);
    for (range, status, content, of) in [
        ("bytes=4-6", 206, "456", Some("bytes 4-6/10")),
        ("bytes=7-", 206, "789", Some("bytes 7-9/10")),
        ("bytes=10-", 416, "", Some("bytes */10")),
        ("pages=1", 200, "0123456789", None),
    ] {
        let part = client.send(sandbox.client.get(&url).header("range", range)).await.expect("an answer");
        assert_eq!((part.status().as_u16(), header(&part, "content-range")), (status, of));
        assert_eq!(part.text().await.expect("text"), content);
    }
    let deleted = body(client.delete(&format!("/files/{id}")).await).await;
    assert_eq!(deleted, json!({"id": id, "object": "file", "deleted": true}));
    for path in [format!("/files/{id}"), format!("/files/{id}/content")] {
        let (status, error) = error(client.get(&path).await).await;
        assert_eq!((status.as_u16(), &error["type"]), (404, &json!("invalid_request_error")));
    }
    let totals = Totals::of(sandbox.log_path()).expect("readable").batches;
    assert_eq!((totals.files_uploaded, totals.files_deleted), (2, 1));
}

#[tokio::test]
async fn provider_batches_are_listed_newest_first_in_pages() {
    let sandbox = Sandbox::start().await;
    let client = Client::openai(&sandbox);
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(client.create(line("a", &format!("row {number}"))).await);
    }
    ids.reverse();
    let listed = |page: &Value| -> Vec<_> {
        page["data"].as_array().expect("a list").iter().map(|batch| text(batch, "id")).collect()
    };
    let first = body(client.get("/batches?limit=2").await).await;
    assert_eq!((listed(&first), &first["has_more"]), (ids[..2].to_vec(), &json!(true)));
    let rest = body(client.get(&format!("/batches?limit=100&after={}", text(&first, "last_id"))).await).await;
    assert_eq!((listed(&rest), &rest["has_more"]), (ids[2..].to_vec(), &json!(false)));
    assert_eq!(client.get("/batches?limit=101").await.status(), 400);
    assert_eq!(client.get("/batches?after=nothing").await.status(), 400);
    assert_eq!(Totals::of(sandbox.log_path()).expect("readable").batches.lists, 4);
}

#[tokio::test]
async fn results_come_in_another_order_than_the_requests() {
    let sandbox = Sandbox::start().await;
    let client = Client::openai(&sandbox);
    let content: String = (0..200).map(|number| line(&format!("r{number:03}"), "x")).collect();
    let batch = client.ended(content).await;
    let ids: Vec<_> =
        client.results(&batch["output_file_id"]).await.iter().map(|line| text(line, "custom_id")).collect();
    assert!(!ids.is_sorted());
    assert_eq!(client.by_id(&batch).await.len(), 200);
}

#[tokio::test]
async fn creation_is_checked() {
    let sandbox = Sandbox::start().await;
    let client = Client::openai(&sandbox);
    let input = client.upload(line("a", "x")).await;
    let valid = json!({
        "input_file_id": input, "endpoint": "/v1/chat/completions", "completion_window": "24h",
        "output_expires_after": {"anchor": "created_at", "seconds": 3600},
    });
    let long = "x".repeat(513);
    for (name, value) in [
        ("input_file_id", json!("file-none")),
        ("input_file_id", Value::Null),
        ("endpoint", json!("/v1/embeddings")),
        ("completion_window", json!("48h")),
        ("metadata", json!({"a": 7})),
        ("metadata", json!({"a": long})),
        ("metadata", (0..17).map(|number| (number.to_string(), json!("x"))).collect()),
        ("output_expires_after", json!({"anchor": "created_at", "seconds": 60})),
        ("unknown", json!(1)),
    ] {
        let mut create = valid.clone();
        create[name] = value;
        let (status, error) = error(client.post("/batches", &create).await).await;
        assert_eq!((status.as_u16(), &error["type"]), (400, &json!("invalid_request_error")), "{create}");
    }
    assert_eq!(client.post("/batches", &valid).await.status(), 200);
    assert_eq!(client.get("/batches/batch_none").await.status(), 404);
    assert_eq!(client.try_upload("a.csv", line("a", "x")).await.expect("an answer").status(), 400);
    let unauthorized = sandbox.client.get(format!("http://{}/v1/files", sandbox.address)).send().await.expect("sent");
    assert_eq!(unauthorized.status(), 401);
}

#[tokio::test]
async fn invalid_files_fail_with_code_and_line() {
    let sandbox = Sandbox::with(config(json!({"max_requests": 3, "max_line_bytes": 1000}))).await;
    let client = Client::openai(&sandbox);
    let good = line("a", "x");
    let other_model = line("b", "x").replace(r#""echo""#, r#""echo-2""#);
    for (content, code, at) in [
        (String::new(), "empty_file", Value::Null),
        (format!("\u{feff}{good}"), "invalid_json_line", json!(1)),
        (format!("{good}\n{}", line("b", "x")), "invalid_json_line", json!(2)),
        (format!("{good}not json\n"), "invalid_json_line", json!(2)),
        (format!("{good}[]\n"), "invalid_json_line", json!(2)),
        (format!("{good}{good}"), "duplicate_custom_id", json!(2)),
        (format!("{good}{other_model}"), "model_mismatch", json!(2)),
        (good.replace(r#""echo""#, r#""gpt""#), "model_not_found", json!(1)),
        (good.replace("/v1/chat", "/v2/chat"), "url_mismatch", json!(1)),
        (good.replace("POST", "GET"), "invalid_request", json!(1)),
        (good.replace("custom_id", "id"), "invalid_request", json!(1)),
        (lines(&["1", "2", "3", "4"]), "too_many_tasks", Value::Null),
        (line("a", &"x".repeat(1000)), "invalid_request", json!(1)),
        (line("a", "[[sandbox:batch_invalid]]"), "invalid_request", json!(1)),
        (line("a", "[[sandbox:batch_invalid line=false]]"), "invalid_request", Value::Null),
    ] {
        let batch = client.ended(content.clone()).await;
        assert_eq!((&batch["status"], &batch["output_file_id"]), (&json!("failed"), &Value::Null), "{content}");
        assert!(batch["failed_at"].is_u64());
        let error = &batch["errors"]["data"][0];
        assert_eq!((&error["code"], &error["line"]), (&json!(code), &at), "{content}");
        assert!(error["message"].is_string());
    }
    // A last line needs no end, and a body that is none of the validation's business is an error line.
    let content = format!("{good}{}", line("b", "x").replace("messages", "massages").trim_end());
    let batch = client.ended(content).await;
    assert_eq!(batch["request_counts"], json!({"total": 2, "completed": 1, "failed": 1}));
    let failed = client.results(&batch["error_file_id"]).await;
    assert_eq!((&failed[0]["custom_id"], &failed[0]["response"]["status_code"]), (&json!("b"), &json!(400)));
}

#[tokio::test]
async fn file_that_is_too_large_is_refused() {
    let sandbox = Sandbox::with(config(json!({"max_bytes": 1000}))).await;
    let client = Client::openai(&sandbox);
    let (status, error) =
        error(client.try_upload("a.jsonl", line("a", &"x".repeat(5_000_000))).await.expect("an answer")).await;
    assert_eq!((status.as_u16(), &error["code"]), (413, &json!("file_too_large")));
    client.upload(line("a", "x")).await;
}

#[tokio::test]
async fn cancelled_provider_batch_has_the_results_done_so_far() {
    let sandbox = Sandbox::with(config(json!({"complete_ms": 60_000, "cancel_ms": 50}))).await;
    let client = Client::openai(&sandbox);
    sandbox.patch(&json!({"batch": {"outcomes": [{"outcome": "stuck_running", "done_fraction": 0.25}]}})).await;
    let id = client.create(lines(&["x"; 20])).await;
    client.until(&id, &["in_progress"]).await;
    let cancelling = body(client.post(&format!("/batches/{id}/cancel"), &json!({})).await).await;
    assert_eq!(cancelling["status"], "cancelling");
    let batch = client.until(&id, &["cancelled"]).await;
    assert!(batch["cancelling_at"].is_u64() && batch["cancelled_at"].is_u64());
    assert_eq!(client.results(&batch["output_file_id"]).await.len(), 5);
    let rest = client.results(&batch["error_file_id"]).await;
    assert_eq!(rest.len(), 15);
    assert!(rest.iter().all(|line| line["error"]["code"] == "batch_cancelled" && line["response"].is_null()));
    assert_eq!(client.post(&format!("/batches/{id}/cancel"), &json!({})).await.status(), 400);
    let totals = Totals::of(sandbox.log_path()).expect("readable");
    assert_eq!((totals.billed, totals.batches.billed, totals.batches.cancel_asked), (5, 5, 1));
    assert_eq!(totals.batches.ended["cancelled"], 1);
}

#[tokio::test]
async fn log_and_statistics_say_what_was_bought() {
    let sandbox = Sandbox::start().await;
    let client = Client::openai(&sandbox);
    sandbox.ask("both").await;
    let prompts = ["both", "once", "once", "[[sandbox:status code=500]]"];
    let batch = client.ended(lines(&prompts)).await;
    client.ended(line("a", "once")).await;
    let ended: Vec<BatchEnded<'static>> = sandbox
        .entries()
        .into_iter()
        .filter_map(|entry| match entry {
            Entry::BatchEnded(ended) => Some(ended),
            _ => None,
        })
        .collect();
    assert_eq!((ended[0].billed, ended[0].billed_again, ended[0].failed), (3, 1, 1));
    assert_eq!((ended[0].billed_prompt_tokens, ended[0].billed_completion_tokens), (3, 3));
    assert_eq!((ended[1].billed, ended[1].billed_again), (1, 1));
    let created = sandbox.entries().into_iter().find_map(|entry| match entry {
        Entry::BatchCreated(created) => Some(created),
        _ => None,
    });
    let created = created.expect("a line");
    assert_eq!((created.batch_created.as_ref(), created.requests), (batch["id"].as_str().expect("text"), 4));
    assert_eq!((created.family.as_ref(), created.key_tail.as_ref()), ("openai", "-key"));
    assert_eq!((created.tag.as_ref(), created.answered), (r#"{"chunk":"7"}"#, true));
    sandbox.ask("once").await;
    let totals = Totals::of(sandbox.log_path()).expect("readable");
    assert_eq!((totals.requests, totals.billed, totals.batches.billed), (2, 6, 4));
    assert_eq!((totals.batches.created, totals.batches.ended["completed"], totals.batches.billed_again), (2, 2, 3));
    let stats = sandbox.stats().await;
    assert_eq!((stats.requests, stats.billed, stats.batches.by_status["completed"]), (2, 2, 2));
    // Two inputs, two outputs, one error file.
    assert_eq!((stats.batches.files, stats.batches.requests_queued, stats.batches.enqueued_tokens), (5, 0, 0));
}

#[tokio::test]
async fn files_are_gone_after_the_end() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let batch = config(json!({"directory": directory.path(), "complete_ms": 60_000}));
    let sandbox = Sandbox::with(Config { log: None, ..batch }).await;
    let count = || std::fs::read_dir(directory.path()).expect("readable").count();
    Client::openai(&sandbox).create(line("a", "x")).await;
    assert_eq!(count(), 1);
    sandbox.shut_down().await;
    assert_eq!(count(), 0);
}
