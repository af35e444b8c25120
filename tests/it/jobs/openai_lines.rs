//! Inputs that are lines of OpenAI's batch files, on both routes.

use client::api::Submission;
use serde_json::{Value, json};
use tests::{Rig, RigOptions};

use crate::batch::support::{eager, offer, totals};
use crate::jobs::jsonl::lines;
use crate::jobs::support::{LONG, assert_clean, assert_good_job_succeeds, code, outcome_of, output, requests, submit};

fn line(id: &str, body: &Value) -> Value {
    json!({"custom_id": id, "method": "POST", "url": "/v1/chat/completions", "body": body})
}

/// A body with one user message and these fields.
fn body(text: &str, more: &Value) -> Value {
    let mut body = json!({"model": "sandbox/echo", "messages": [{"role": "user", "content": text}]});
    body.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
    body
}

fn submission(rig: &Rig, lines: &[Value], output: &str) -> anyhow::Result<Submission> {
    let text = lines.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    std::fs::write(rig.objects().join("in.jsonl"), text)?;
    let mut submission = Submission::new(&rig.uri("in.jsonl"), "sandbox/echo", "");
    submission.input.format = Some("openai".to_owned());
    submission.output.uri = Some(rig.uri(output));
    Ok(submission)
}

/// Rows with parameters of their own: those with a bound are cut.
fn varied(rows: usize) -> Vec<Value> {
    let body = |row: usize| {
        let text = format!("row {row} and some more words, so that there is something to be cut");
        match row % 3 {
            0 => body(&text, &json!({"max_tokens": 1, "seed": row})),
            1 => body(&text, &json!({"model": "echo", "temperature": 0.5, "stop": ["END"], "stream": false})),
            _ => body(&text, &json!({"max_completion_tokens": 2, "reasoning_effort": null})),
        }
    };
    (0..rows).map(|row| line(&format!("id/{row:05}\u{e9}"), &body(row))).collect()
}

/// Asserts that each line came back with an answer no longer than it asked for.
fn assert_answers(rows: &[Value], found: &[Value], bound: Option<u64>) {
    assert_eq!(rows.len(), found.len());
    for (found, row) in found.iter().zip(rows) {
        let body = &row["body"];
        assert_eq!(
            (&found["custom_id"], &found["body"], &found["llm_model"]),
            (&row["custom_id"], body, &json!("sandbox/echo"))
        );
        let text = body["messages"][0]["content"].as_str().unwrap_or_default();
        let bound = body["max_tokens"].as_u64().or(body["max_completion_tokens"].as_u64()).or(bound);
        let answer = found["llm_response"].as_str().unwrap_or_default();
        match bound {
            Some(bound) => {
                assert_eq!(
                    (&found["llm_output_tokens"], &found["llm_finish_reason"]),
                    (&json!(bound), &json!("length"))
                );
                assert!(answer.len() < text.len() && text.starts_with(answer), "{answer}");
            }
            None => assert_eq!((answer, &found["llm_finish_reason"]), (text, &json!("stop"))),
        }
    }
}

async fn run(rig: &Rig, submission: &Submission) -> anyhow::Result<String> {
    let job_id = submit(rig, submission).await?;
    let job = rig.wait(&job_id, LONG).await?;
    assert_eq!((job.status.name(), job.counts.failed), ("completed", 0), "{job:?} {}", rig.logs());
    assert_clean(rig, &job_id)?;
    Ok(job_id)
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_answered_in_real_time_with_their_own_parameters() -> anyhow::Result<()> {
    let rig = Rig::start(RigOptions::default()).await?;
    let rows = varied(300);
    let job_id = run(&rig, &submission(&rig, &rows, "out.jsonl")?).await?;
    assert_answers(&rows, &lines(&rig, "out.jsonl")?, None);
    assert_eq!(requests(&rig)?.len(), 300);
    assert_eq!(rig.client.job(&job_id, None).await?.json["input"]["format"], "openai");

    // The job's own parameters stand where a line says nothing, and any output will do.
    let mut bounded = submission(&rig, &rows, "bounded.jsonl")?;
    bounded.params.insert("max_output_tokens".to_owned(), json!(3));
    run(&rig, &bounded).await?;
    assert_answers(&rows, &lines(&rig, "bounded.jsonl")?, Some(3));
    run(&rig, &submission(&rig, &rows, "out.csv")?).await?;
    assert_eq!(output(&rig, "out.csv")?.text(5, "custom_id"), "id/00005\u{e9}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_answered_by_provider_batch_with_their_own_parameters() -> anyhow::Result<()> {
    let rig = Rig::start(RigOptions::default()).await?;
    offer(&rig, "openai", "/v1", eager()).await?;
    let rows = varied(300);
    run(&rig, &submission(&rig, &rows, "out.jsonl")?).await?;
    assert_answers(&rows, &lines(&rig, "out.jsonl")?, None);
    let totals = totals(&rig)?;
    assert_eq!((totals.batches.created, totals.batches.billed, totals.billed), (1, 300, 300));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_go_to_any_provider() -> anyhow::Result<()> {
    let rig = Rig::start(RigOptions::default()).await?;
    let model = json!({"upstream_model": "echo", "max_output_tokens": 1000});
    rig.admin.put_model("sandbox", "echo", &model).await?;
    let rows = varied(60);
    for (driver, path) in [("anthropic", "/anthropic"), ("gemini", "/gemini/v1beta"), ("mistral", "/mistral/v1")] {
        let created = totals(&rig)?.batches.created;
        offer(&rig, driver, path, eager()).await?;
        run(&rig, &submission(&rig, &rows, &format!("{driver}.jsonl"))?).await?;
        assert_eq!(totals(&rig)?.batches.created, created + 1, "{driver}");
        for (found, row) in lines(&rig, &format!("{driver}.jsonl"))?.iter().zip(&rows) {
            let text = row["body"]["messages"][0]["content"].as_str().unwrap_or_default();
            let answer = found["llm_response"].as_str().unwrap_or_default();
            assert!(text.starts_with(answer), "{driver}: {found}");
            let is_bounded = row["body"].get("temperature").is_none();
            assert_eq!(answer.len() < text.len(), is_bounded, "{driver}: {found}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn f7_f8_lines_that_can_t_be_sent_are_failed_rows() -> anyhow::Result<()> {
    let rig = Rig::start(RigOptions::default()).await?;
    let with = |name: &str, value: Value| {
        let mut line = line(name, &body("x", &json!({})));
        line[name] = value;
        line
    };
    let cases = [
        (line("fine", &body("fine", &json!({}))), None, ""),
        (line("b", &body("x", &json!({"stream": true}))), Some("unsupported_parameter"), "`body.stream`"),
        (with("url", json!("/v1/embeddings")), Some("unsupported_parameter"), "`url`"),
        (with("method", json!("GET")), Some("unsupported_parameter"), "`method`"),
        (line("c", &body("x", &json!({"model": "gpt-4o"}))), Some("unsupported_parameter"), "`body.model`"),
        (line("d", &body("x", &json!({"tools": []}))), Some("unsupported_parameter"), "`body.tools`"),
        (with("custom_id", json!(7)), Some("custom_id_required"), "`custom_id`"),
        (with("custom_id", Value::Null), Some("custom_id_required"), "`custom_id`"),
        (json!({"text": "no request at all"}), Some("custom_id_required"), "`custom_id`"),
        (line("e", &body("", &json!({}))), Some("prompt_empty"), ""),
        (line("last", &body("last", &json!({}))), None, ""),
    ];
    let rows: Vec<Value> = cases.iter().map(|(line, ..)| line.clone()).collect();
    let job_id = submit(&rig, &submission(&rig, &rows, "out.jsonl")?).await?;
    let job = rig.wait(&job_id, LONG).await?;
    assert_eq!((job.status.name(), job.counts.succeeded, job.counts.failed), ("completed", 2, 9));
    for (found, (_, code, name)) in lines(&rig, "out.jsonl")?.iter().zip(&cases) {
        assert_eq!(found["llm_error_code"].as_str(), *code, "{found}");
        assert!(found["llm_error"].as_str().unwrap_or_default().contains(name), "{found}");
    }
    assert_eq!(requests(&rig)?.len(), 2);
    assert_clean(&rig, &job_id)?;
    assert_good_job_succeeds(&rig, "after").await
}

#[tokio::test(flavor = "multi_thread")]
async fn f8_an_id_that_stands_twice_fails_the_job() -> anyhow::Result<()> {
    let rig = Rig::start(RigOptions::default()).await?;
    let mut rows = varied(3_000);
    rows[2_711]["custom_id"] = rows[15]["custom_id"].clone();
    let job_id = submit(&rig, &submission(&rig, &rows, "out.jsonl")?).await?;
    let job = rig.wait(&job_id, LONG).await?;
    assert_eq!((job.status.name(), code(job.error.as_ref())), ("failed", Some("duplicate_custom_id")));
    let error = rig.client.job(&job_id, None).await?.json["error"].to_string();
    assert!(error.contains("id/00015") && error.contains("row 15 and in row 2711"), "{error}");
    assert!(requests(&rig)?.is_empty());
    assert_good_job_succeeds(&rig, "after").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_beside_lines_of_requests_is_refused() -> anyhow::Result<()> {
    let rig = Rig::start(RigOptions { workers: 0, ..RigOptions::default() }).await?;
    let mut submission = submission(&rig, &varied(3), "out.jsonl")?;
    submission.prompt = "{{ body }}".to_owned();
    assert_eq!(outcome_of(&rig, &submission).await?, "validation_failed");
    Ok(())
}
