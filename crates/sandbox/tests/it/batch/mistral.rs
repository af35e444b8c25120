use serde_json::{Value, json};

use super::client::{Client, config, json as body, text};
use crate::support::{PATIENCE, Sandbox, header, request};

fn client(sandbox: &Sandbox) -> Client<'_> {
    Client::at(sandbox, "/mistral/v1")
}

fn line(custom_id: &str, prompt: &str) -> String {
    let body = json!({"max_tokens": 100, "messages": [{"role": "user", "content": prompt}]});
    json!({"custom_id": custom_id, "body": body}).to_string() + "\n"
}

async fn create(client: &Client<'_>, content: String) -> Value {
    let input = client.upload(content).await;
    let create = json!({
        "input_files": [input], "endpoint": "/v1/chat/completions", "model": "echo", "metadata": {"chunk": "7"},
    });
    body(client.post("/batch/jobs", &create).await).await
}

async fn ended(client: &Client<'_>, job: &Value) -> Value {
    let path = format!("/batch/jobs/{}", text(job, "id"));
    let ended = async {
        loop {
            let job = body(client.get(&path).await).await;
            if !["QUEUED", "RUNNING", "CANCELLATION_REQUESTED"].contains(&text(&job, "status").as_str()) {
                return job;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.expect("comes to an end")
}

#[tokio::test]
async fn job_answers_as_the_real_time_route_does() {
    let sandbox = Sandbox::start().await;
    let client = client(&sandbox);
    let created = create(&client, line("a", "four") + &line("b", "[[sandbox:status code=503 times=1]]")).await;
    assert_eq!((&created["object"], &created["metadata"]), (&json!("batch"), &json!({"chunk": "7"})));
    let job = ended(&client, &created).await;
    assert_eq!((&job["status"], &job["model"]), (&json!("SUCCESS"), &json!("echo")));
    let counts = ["total_requests", "completed_requests", "succeeded_requests", "failed_requests"];
    assert_eq!(counts.map(|name| job[name].as_u64()), [2, 2, 1, 1].map(Some));
    assert_eq!(job["errors"][0]["count"], 1);
    assert!(job["completed_at"].is_u64() && job["started_at"].is_u64());
    let output = client.results(&job["output_file"]).await;
    assert_eq!((&output[0]["custom_id"], &output[0]["response"]["status_code"]), (&json!("a"), &json!(200)));
    let failed = client.results(&job["error_file"]).await;
    assert_eq!((&failed[0]["custom_id"], &failed[0]["response"]["status_code"]), (&json!("b"), &json!(503)));
    assert_eq!(failed[0]["response"]["body"]["object"], "error");

    // The model is on the job there and in the body here, and it is the same request.
    let again = request("echo", "[[sandbox:status code=503 times=1]]");
    let again = json!({"model": "echo", "max_tokens": 100, "messages": again["messages"]});
    assert_eq!(client.post("/chat/completions", &again).await.status(), 200);
    let mut four = again.clone();
    four["messages"][0]["content"] = json!("four");
    let answer = body(client.post("/chat/completions", &four).await).await;
    assert_eq!(answer["choices"], output[0]["response"]["body"]["choices"]);
    assert_eq!(answer["usage"], json!({"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}));
    assert!(sandbox.requests()[1].billed_again);
}

#[tokio::test]
async fn real_time_refuses_what_the_specification_does_not_know() {
    let sandbox = Sandbox::start().await;
    let client = client(&sandbox);
    for (name, value) in [
        ("seed", json!(1)),
        ("max_completion_tokens", json!(9)),
        ("temperature", json!(1.6)),
        ("max_tokens", json!("9")),
    ] {
        let mut ask = request("echo", "x");
        ask[name] = value;
        let response = client.post("/chat/completions", &ask).await;
        assert_eq!(response.status(), 422, "{name}");
        let error = body(response).await;
        assert_eq!((&error["object"], &error["detail"][0]["loc"]), (&json!("error"), &json!(["body", name])));
    }
    let mut ask = request("echo", "x");
    ask["random_seed"] = json!(7);
    ask["safe_prompt"] = json!(false);
    assert_eq!(client.post("/chat/completions", &ask).await.status(), 200);
    let unknown = client.post("/chat/completions", &request("none", "x")).await;
    assert_eq!(unknown.status(), 400);
    assert_eq!(body(unknown).await["type"], "invalid_model");
    let limited = client.post("/chat/completions", &request("echo", "[[sandbox:rate_limit]]")).await;
    assert_eq!((limited.status().as_u16(), header(&limited, "retry-after")), (429, Some("1")));
    assert_eq!(body(limited).await["type"], "rate_limited");
}

#[tokio::test]
async fn requests_may_come_in_the_creation_and_results_in_the_job() {
    let sandbox = Sandbox::start().await;
    let client = client(&sandbox);
    let requests: Vec<_> = (0..3)
        .map(|number| json!({"custom_id": format!("r{number}"), "body": {"messages": [{"role": "user", "content": "x\ny"}]}}))
        .collect();
    let mut create = json!({"endpoint": "/v1/chat/completions", "model": "echo", "requests": requests});
    let created = body(client.post("/batch/jobs", &create).await).await;
    let job = ended(&client, &created).await;
    assert_eq!((&job["status"], &job["total_requests"], &job["outputs"]), (&json!("SUCCESS"), &json!(3), &Value::Null));
    let inline = body(client.get(&format!("/batch/jobs/{}?inline=true", text(&job, "id"))).await).await;
    assert_eq!(inline["outputs"].as_array().map(Vec::len), Some(3));
    assert_eq!(inline["outputs"][0]["response"]["body"]["choices"][0]["message"]["content"], "x\ny");
    for (name, value) in [
        ("timeout_hours", json!(169)),
        ("model", json!("none")),
        ("metadata", json!({"a": ""})),
        ("input_files", json!(["none"])),
        ("unknown", json!(1)),
    ] {
        create[name] = value;
        let status = client.post("/batch/jobs", &create).await.status();
        assert!(status == 400 || status == 422, "{name}: {status}");
        create.as_object_mut().expect("an object").remove(name);
        create["model"] = json!("echo");
    }
}

#[tokio::test]
async fn jobs_are_found_by_what_the_list_filters() {
    let sandbox = Sandbox::start().await;
    let client = client(&sandbox);
    let job = ended(&client, &create(&client, line("a", "x")).await).await;
    let failed = ended(&client, &create(&client, line("a", "x") + "nothing\n").await).await;
    assert_eq!((&failed["status"], failed["errors"].as_array().map(Vec::len)), (&json!("FAILED"), Some(1)));
    for (query, total) in [
        ("", 2),
        ("metadata=%7B%22chunk%22%3A%227%22%7D", 2),
        ("metadata=%7B%22chunk%22%3A%228%22%7D", 0),
        ("status=SUCCESS", 1),
        ("status=SUCCESS&status=FAILED", 2),
        ("model=echo-2", 0),
        ("created_after=2999-01-01T00:00:00Z", 0),
        ("created_after=2001-01-01T00:00:00%2B00:00", 2),
        ("created_by_me=true", 2),
    ] {
        let list = body(client.get(&format!("/batch/jobs?{query}")).await).await;
        assert_eq!(list["total"], total, "{query}");
    }
    let page = body(client.get("/batch/jobs?page=1&page_size=1").await).await;
    assert_eq!((&page["data"][0]["id"], &page["total"]), (&job["id"], &json!(2)));
    let path = format!("/batch/jobs/{}", text(&job, "id"));
    assert_eq!(client.post(&format!("{path}/cancel"), &json!({})).await.status(), 400);
    assert_eq!(body(client.delete(&path).await).await["deleted"], true);
    assert_eq!(client.get(&path).await.status(), 404);
}

#[tokio::test]
async fn files_have_their_shape_and_a_link() {
    let sandbox = Sandbox::start().await;
    let client = client(&sandbox);
    let id = client.upload(line("a", "x") + &line("b", "y")).await;
    let file = body(client.get(&format!("/files/{id}")).await).await;
    assert_eq!((&file["sample_type"], &file["num_lines"]), (&json!("batch_request"), &json!(2)));
    let url = text(&body(client.get(&format!("/files/{id}/url")).await).await, "url");
    let content = sandbox.client.get(url).send().await.expect("sent").text().await.expect("text");
    assert_eq!(content, line("a", "x") + &line("b", "y"));
    assert_eq!(body(client.delete(&format!("/files/{id}")).await).await["deleted"], true);
    let gone = client.get(&format!("/files/{id}")).await;
    assert_eq!(gone.status(), 404);
    assert_eq!(body(gone).await["object"], "error");
}

#[tokio::test]
async fn time_runs_out_without_a_line_for_what_was_not_done() {
    let outcomes = json!([{"outcome": "expire", "done_fraction": 0.5}]);
    let sandbox = Sandbox::with(config(json!({"outcomes": outcomes}))).await;
    let client = client(&sandbox);
    let content = (0..10).map(|number| line(&format!("r{number}"), "x")).collect();
    let job = ended(&client, &create(&client, content).await).await;
    assert_eq!((&job["status"], &job["error_file"]), (&json!("TIMEOUT_EXCEEDED"), &Value::Null));
    assert_eq!(client.results(&job["output_file"]).await.len(), 5);
}
