use reqwest::multipart::{Form, Part};
use reqwest::redirect::Policy;
use serde_json::{Value, json};

use super::client::{Client, config, json as body, text};
use crate::support::{PATIENCE, Sandbox, header, request};

fn client(sandbox: &Sandbox) -> Client<'_> {
    Client::at(sandbox, "/together/v1")
}

fn line(custom_id: &str, prompt: &str) -> String {
    json!({"custom_id": custom_id, "body": request("echo", prompt)}).to_string() + "\n"
}

fn form(name: &str) -> Form {
    Form::new().text("purpose", "batch-api").text("file_name", name.to_owned()).text("file_type", "jsonl")
}

async fn upload(client: &Client<'_>, content: String) -> String {
    let form = form("a.jsonl").part("file", Part::text(content).file_name("a.jsonl"));
    let response = client.send(client.sandbox.client.post(client.url("/files/upload")).multipart(form)).await;
    let response = response.expect("an answer");
    assert_eq!(response.status(), 200);
    text(&body(response).await, "id")
}

/// The job, out of its wrapping.
async fn create(client: &Client<'_>, input: &str) -> Value {
    let create = json!({"input_file_id": input, "endpoint": "/v1/chat/completions", "completion_window": "24h"});
    let response = client.post("/batches", &create).await;
    assert_eq!(response.status(), 201);
    body(response).await["job"].take()
}

async fn ended(client: &Client<'_>, job: &Value) -> Value {
    let path = format!("/batches/{}", text(job, "id"));
    let ended = async {
        loop {
            let job = body(client.get(&path).await).await;
            if !["VALIDATING", "IN_PROGRESS"].contains(&text(&job, "status").as_str()) {
                return job;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.expect("comes to an end")
}

#[tokio::test]
async fn batch_answers_as_the_real_time_route_does() {
    let sandbox = Sandbox::start().await;
    let client = client(&sandbox);
    let input = upload(&client, line("a", "four") + &line("b", "[[sandbox:status code=503]]")).await;
    let job = ended(&client, &create(&client, &input).await).await;
    assert_eq!((&job["status"], &job["progress"]), (&json!("COMPLETED"), &json!(100)));
    assert_eq!((&job["input_file_id"], &job["model_id"]), (&json!(input), &json!("echo")));
    chrono::DateTime::parse_from_rfc3339(&text(&job, "completed_at")).expect("a time");
    let output = client.results(&job["output_file_id"]).await;
    let answer = body(client.post("/chat/completions", &request("echo", "four")).await).await;
    assert_eq!(answer["choices"], output[0]["response"]["body"]["choices"]);
    let failed = client.results(&job["error_file_id"]).await;
    assert_eq!((&failed[0]["custom_id"], &failed[0]["response"]["status_code"]), (&json!("b"), &json!(503)));
    let list = body(client.get("/batches").await).await;
    assert_eq!(list.as_array().map(Vec::len), Some(1));
    assert_eq!(list[0]["id"], job["id"]);
}

#[tokio::test]
async fn file_goes_by_way_of_a_signed_url() {
    let sandbox = Sandbox::start().await;
    let client = client(&sandbox);
    let direct = reqwest::Client::builder().redirect(Policy::none()).timeout(PATIENCE).build().expect("client");
    let announced = client.send(direct.post(client.url("/files")).multipart(form("a.jsonl"))).await.expect("sent");
    assert_eq!(announced.status(), 302);
    let (url, id) = (header(&announced, "location"), header(&announced, "x-together-file-id"));
    let (url, id) = (url.expect("a location").to_owned(), id.expect("an id").to_owned());
    let content = line("a", "x");
    let with_key = client.send(direct.put(&url).body(content.clone())).await.expect("sent");
    assert_eq!(with_key.status(), 400, "a signature and a key are one too many");
    assert_eq!(direct.put(&url).body(content.clone()).send().await.expect("sent").status(), 200);
    let preprocess = client.post(&format!("/files/{id}/preprocess"), &json!({})).await;
    let file = body(preprocess).await;
    assert_eq!((&file["id"], &file["bytes"]), (&json!(id), &json!(content.len())));
    assert_eq!((&file["filename"], &file["purpose"]), (&json!("a.jsonl"), &json!("batch-api")));
    assert_eq!(client.content(&id).await, content);
    assert_eq!(ended(&client, &create(&client, &id).await).await["status"], "COMPLETED");
    assert_eq!(client.post("/files/file-none/preprocess", &json!({})).await.status(), 404);
}

#[tokio::test]
async fn errors_are_texts_for_batches_and_objects_elsewhere() {
    let sandbox = Sandbox::start().await;
    let client = client(&sandbox);
    let missing = client.get("/batches/none").await;
    assert_eq!(missing.status(), 404);
    assert!(body(missing).await["error"].is_string());
    let input = upload(&client, line("a", "x")).await;
    let create = json!({"input_file_id": input, "endpoint": "/v1/embeddings"});
    assert!(body(client.post("/batches", &create).await).await["error"].is_string());
    let wrong = client.post("/chat/completions", &json!({"model": "echo", "messages": [], "nonsense": 1})).await;
    assert_eq!(wrong.status(), 400);
    assert!(body(wrong).await["error"]["message"].is_string());
    let limited = client.post("/chat/completions", &request("echo", "[[sandbox:rate_limit]]")).await;
    assert_eq!(body(limited).await["error"]["type"], "dynamic_request_limited");
    assert!(body(client.get("/files/none").await).await["error"]["message"].is_string());

    let broken = upload(&client, line("a", "x") + "nothing\n").await;
    let job = create_and_end(&client, &broken).await;
    assert_eq!(job["status"], "FAILED");
    assert!(text(&job, "error").contains("JSON"));
}

async fn create_and_end(client: &Client<'_>, input: &str) -> Value {
    ended(client, &create(client, input).await).await
}

#[tokio::test]
async fn expired_and_cancelled_batches_keep_what_was_done() {
    let outcomes = json!([{"outcome": "expire", "times": 1}, {"outcome": "stuck_running", "done_fraction": 0.25}]);
    let sandbox = Sandbox::with(config(json!({"outcomes": outcomes}))).await;
    let client = client(&sandbox);
    let input = upload(&client, (0..20).map(|number| line(&format!("r{number}"), "x")).collect()).await;
    let expired = create_and_end(&client, &input).await;
    assert_eq!(expired["status"], "EXPIRED");
    assert_eq!(client.results(&expired["output_file_id"]).await.len(), 10);
    assert_eq!(client.results(&expired["error_file_id"]).await.len(), 10);
    let stuck = create(&client, &input).await;
    client.post(&format!("/batches/{}/cancel", text(&stuck, "id")), &json!({})).await;
    let cancelled = ended(&client, &stuck).await;
    assert_eq!(cancelled["status"], "CANCELLED");
    let done = client.results(&cancelled["output_file_id"]).await.len();
    assert!(done == 0 || done == 5, "cancelled before or while it ran: {done}");
}
