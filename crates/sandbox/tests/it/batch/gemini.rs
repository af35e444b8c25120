//! Provider batches of the Gemini API, within calls and by file.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use sandbox::{Config, Totals};
use serde_json::{Value, json};

use super::client::{config, json as body, text};
use crate::support::{PATIENCE, Sandbox, contents, error, header};

const START: &str = "/gemini/upload/v1beta/files";
const CREATE: &str = "/gemini/v1beta/models/echo:batchGenerateContent";

/// Calls with a key.
struct Client<'a>(&'a Sandbox);

/// Lines of a file with the keys `r0`, `r1` and so on.
fn lines(prompts: &[&str]) -> String {
    let line = |(number, prompt): (usize, &&str)| json!({"key": format!("r{number}"), "request": contents(prompt)});
    prompts.iter().enumerate().map(|row| line(row).to_string() + "\n").collect()
}

/// The same within a call.
fn inline(prompts: &[&str]) -> Value {
    let request = |(number, prompt): (usize, &&str)| json!({"request": contents(prompt), "metadata": {"key": format!("r{number}")}});
    let requests: Vec<_> = prompts.iter().enumerate().map(request).collect();
    json!({"batch": {"displayName": "job1-chunk7", "inputConfig": {"requests": {"requests": requests}}}})
}

fn by_file(name: &str) -> Value {
    json!({"batch": {"displayName": "job1-chunk7", "inputConfig": {"fileName": name}}})
}

impl Client<'_> {
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = if path.starts_with('/') { format!("http://{}{path}", self.0.address) } else { path.to_owned() };
        self.0.client.request(method, url).header("x-goog-api-key", "test-key")
    }

    async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.expect("an answer")
    }

    async fn delete(&self, path: &str) -> Response {
        self.request(Method::DELETE, path).send().await.expect("an answer")
    }

    async fn try_create(&self, creation: &Value) -> Response {
        self.request(Method::POST, CREATE).json(creation).send().await.expect("an answer")
    }

    /// The name of the operation.
    async fn create(&self, creation: &Value) -> String {
        let created = self.try_create(creation).await;
        assert_eq!(created.status(), 200);
        text(&body(created).await, "name")
    }

    async fn batch(&self, name: &str) -> Value {
        body(self.get(&format!("/gemini/v1beta/{name}")).await).await
    }

    async fn cancel(&self, name: &str) -> Response {
        self.request(Method::POST, &format!("/gemini/v1beta/{name}:cancel")).send().await.expect("an answer")
    }

    /// The operation once it is done.
    async fn until_done(&self, name: &str) -> Value {
        let done = async {
            loop {
                let batch = self.batch(name).await;
                if batch["done"] == true {
                    return batch;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(PATIENCE, done).await.expect("comes to an end")
    }

    async fn done(&self, creation: &Value) -> Value {
        let name = self.create(creation).await;
        self.until_done(&name).await
    }

    async fn start(&self, length: usize) -> Response {
        let request = self.request(Method::POST, START).header("x-goog-upload-protocol", "resumable");
        let request =
            request.header("x-goog-upload-command", "start").header("x-goog-upload-header-content-length", length);
        let request = request.header("x-goog-upload-header-content-type", "application/jsonl");
        request.json(&json!({"file": {"displayName": "chunk-7.jsonl"}})).send().await.expect("an answer")
    }

    /// A piece, without key.
    async fn piece(&self, session: &str, command: &str, offset: usize, piece: &str) -> reqwest::Result<Response> {
        let request = self.0.client.post(session).header("x-goog-upload-command", command);
        request.header("x-goog-upload-offset", offset).body(piece.to_owned()).send().await
    }

    /// The object of the file.
    async fn upload(&self, content: &str) -> Value {
        let started = self.start(content.len()).await;
        assert_eq!((started.status().as_u16(), header(&started, "x-goog-upload-status")), (200, Some("active")));
        let session = header(&started, "x-goog-upload-url").expect("a session").to_owned();
        let finished = self.piece(&session, "upload, finalize", 0, content).await.expect("an answer");
        assert_eq!((finished.status().as_u16(), header(&finished, "x-goog-upload-status")), (200, Some("final")));
        body(finished).await["file"].take()
    }

    async fn content(&self, name: &str) -> String {
        let response = self.get(&format!("/gemini/v1beta/{name}:download?alt=media")).await;
        assert_eq!(response.status(), 200);
        response.text().await.expect("text")
    }

    /// The result lines of a file, by key.
    async fn results(&self, name: &str) -> BTreeMap<String, Value> {
        let content = self.content(name).await;
        let lines = content.lines().map(|line| serde_json::from_str::<Value>(line).expect("a JSON line"));
        lines.map(|line| (text(&line, "key"), line)).collect()
    }
}

fn stats(batch: &Value) -> [&str; 4] {
    ["requestCount", "successfulRequestCount", "failedRequestCount", "pendingRequestCount"]
        .map(|name| batch["metadata"]["batchStats"][name].as_str().expect("a string"))
}

fn state(batch: &Value) -> &str {
    batch["metadata"]["state"].as_str().expect("a state")
}

#[tokio::test]
async fn batch_by_file_answers_as_the_real_time_route_does() {
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
async fn operation_has_the_documented_shape() {
    let sandbox = Sandbox::with(config(json!({"validating_ms": 60_000}))).await;
    let client = Client(&sandbox);
    let created = body(client.try_create(&inline(&["a", "b"])).await).await;
    assert!(text(&created, "name").starts_with("batches/"));
    assert_eq!((created.get("done"), created.get("response")), (None, None));
    let metadata = &created["metadata"];
    assert_eq!((&metadata["displayName"], &metadata["model"]), (&json!("job1-chunk7"), &json!("models/echo")));
    assert_eq!((state(&created), stats(&created)), ("BATCH_STATE_PENDING", ["2", "0", "0", "2"]));
    assert!(chrono::DateTime::parse_from_rfc3339(&text(metadata, "createTime")).is_ok());
    assert_eq!(metadata.get("endTime"), None);
    let name = text(&created, "name");
    assert_eq!(client.delete(&format!("/gemini/v1beta/{name}")).await.status(), 400);
}

#[tokio::test]
async fn creation_is_checked() {
    let sandbox = Sandbox::start().await;
    let client = Client(&sandbox);
    let batch = |fields: Value| json!({"batch": fields});
    for (creation, status, name) in [
        (json!({}), 400, "INVALID_ARGUMENT"),
        (batch(json!({"displayName": "a"})), 400, "INVALID_ARGUMENT"),
        (batch(json!({"inputConfig": {"fileName": "files/x"}})), 400, "INVALID_ARGUMENT"),
        (batch(json!({"displayName": "a", "inputConfig": {}})), 400, "INVALID_ARGUMENT"),
        (batch(json!({"displayName": "a", "inputConfig": {"requests": {"requests": []}}})), 400, "INVALID_ARGUMENT"),
        (batch(json!({"displayName": "a", "inputConfig": {"requests": [{}]}})), 400, "INVALID_ARGUMENT"),
        (batch(json!({"display_name": "a", "inputConfig": {"fileName": "files/x"}})), 400, "INVALID_ARGUMENT"),
        (by_file("files/none"), 403, "PERMISSION_DENIED"),
        (inline(&[&"x".repeat(21_000_000)]), 400, "INVALID_ARGUMENT"),
    ] {
        let (got, error) = error(client.try_create(&creation).await).await;
        assert_eq!((got.as_u16(), &error["status"]), (status, &json!(name)), "{error}");
    }
    let unknown = client.request(Method::POST, "/gemini/v1beta/models/none:batchGenerateContent");
    assert_eq!(unknown.json(&inline(&["a"])).send().await.expect("an answer").status(), 404);
    let no_key = sandbox.client.get(format!("http://{}/gemini/v1beta/batches", sandbox.address));
    assert_eq!(no_key.send().await.expect("an answer").status(), 403);
    assert_eq!(Totals::of(sandbox.log_path()).expect("readable").batches.created, 0);
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
async fn upload_is_resumable_and_checked() {
    let sandbox = Sandbox::start().await;
    let client = Client(&sandbox);
    let started = client.start(10).await;
    let session = header(&started, "x-goog-upload-url").expect("a session").to_owned();
    assert!(session.starts_with(&format!("http://{}/gemini/upload/", sandbox.address)));
    let first = client.piece(&session, "upload", 0, "01234").await.expect("an answer");
    assert_eq!(header(&first, "x-goog-upload-status"), Some("active"));
    assert_eq!(client.piece(&session, "upload", 0, "01234").await.expect("an answer").status(), 400, "not there");
    let asked = client.piece(&session, "query", 0, "").await.expect("an answer");
    assert_eq!(header(&asked, "x-goog-upload-size-received"), Some("5"));
    assert_eq!(client.piece(&session, "finalize", 5, "").await.expect("an answer").status(), 400, "too short");
    let last = client.piece(&session, "upload, finalize", 5, "56789").await.expect("an answer");
    assert_eq!(header(&last, "x-goog-upload-status"), Some("final"));
    let file = body(last).await["file"].take();
    assert_eq!((&file["displayName"], &file["sizeBytes"]), (&json!("chunk-7.jsonl"), &json!("10")));
    assert_eq!((&file["mimeType"], &file["state"]), (&json!("application/jsonl"), &json!("ACTIVE")));
    let time = |name: &str| chrono::DateTime::parse_from_rfc3339(&text(&file, name)).expect("RFC 3339");
    assert_eq!(time("expirationTime") - time("createTime"), chrono::TimeDelta::hours(48));

    let name = text(&file, "name");
    assert_eq!(client.content(&name).await, "0123456789");
    assert_eq!(client.get(&format!("/gemini/download/v1beta/{name}:download?alt=media")).await.status(), 200);
    assert_eq!(client.get(&format!("/gemini/v1beta/{name}:download")).await.status(), 400);
    assert_eq!(body(client.get(&format!("/gemini/v1beta/{name}")).await).await, file);
    assert_eq!(body(client.get("/gemini/v1beta/files").await).await["files"], json!([file]));
    assert_eq!(client.delete(&format!("/gemini/v1beta/{name}")).await.status(), 200);
    let (status, gone) = error(client.get(&format!("/gemini/v1beta/{name}")).await).await;
    assert_eq!((status.as_u16(), &gone["status"]), (403, &json!("PERMISSION_DENIED")));

    sandbox.patch(&json!({"batch": {"max_bytes": 5}})).await;
    assert_eq!(client.start(6).await.status(), 400);
    let session = header(&client.start(5).await, "x-goog-upload-url").expect("a session").to_owned();
    assert_eq!(client.piece(&session, "upload, finalize", 0, "123456").await.expect("an answer").status(), 400);
}

#[tokio::test]
async fn file_that_is_being_processed_cannot_be_used() {
    let sandbox = Sandbox::with(config(json!({"file_processing_ms": 60_000}))).await;
    let client = Client(&sandbox);
    let file = client.upload(&lines(&["a"])).await;
    assert_eq!(file["state"], "PROCESSING");
    let (status, error) = error(client.try_create(&by_file(&text(&file, "name"))).await).await;
    assert_eq!((status.as_u16(), &error["status"]), (400, &json!("FAILED_PRECONDITION")));
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
async fn queue_of_tokens_and_operations_is_limited() {
    let limits = json!({"max_enqueued_tokens": 10, "complete_ms": 60_000});
    let sandbox = Sandbox::with(config(limits)).await;
    let client = Client(&sandbox);
    let file = client.upload(&lines(&["12345678", "12345678"])).await;
    let name = client.create(&by_file(&text(&file, "name"))).await;
    let (status, full) = error(client.try_create(&inline(&["1234567890123456789012345"])).await).await;
    assert_eq!((status.as_u16(), &full["status"]), (429, &json!("RESOURCE_EXHAUSTED")));
    client.cancel(&name).await;
    client.until_done(&name).await;
    client.create(&inline(&["1234567890123456789012345"])).await;

    sandbox.patch(&json!({"batch": {"max_batches": 1}})).await;
    assert_eq!(client.try_create(&inline(&["a"])).await.status(), 429);
}

#[tokio::test]
async fn operations_are_listed_in_pages_newest_first() {
    let sandbox = Sandbox::with(Config::default()).await;
    let client = Client(&sandbox);
    assert_eq!(body(client.get("/gemini/v1beta/batches").await).await, json!({}));
    let mut names = Vec::new();
    for number in 0..5 {
        let name = client.create(&inline(&[&format!("row {number}")])).await;
        client.until_done(&name).await;
        names.insert(0, name);
    }
    let listed = |list: &Value| -> Vec<_> {
        list["operations"].as_array().expect("a list").iter().map(|batch| text(batch, "name")).collect()
    };
    let first = body(client.get("/gemini/v1beta/batches?pageSize=3").await).await;
    assert_eq!(listed(&first), names[..3]);
    assert_eq!(first["operations"][0]["metadata"]["displayName"], "job1-chunk7");
    let token = text(&first, "nextPageToken");
    let rest = body(client.get(&format!("/gemini/v1beta/batches?pageSize=3&pageToken={token}")).await).await;
    assert_eq!((listed(&rest), rest.get("nextPageToken")), (names[3..].to_vec(), None));
    for query in ["?pageSize=0", "?pageSize=x", "?pageToken=x"] {
        assert_eq!(client.get(&format!("/gemini/v1beta/batches{query}")).await.status(), 400, "{query}");
    }
}

#[tokio::test]
async fn calls_meet_faults() {
    let faults = json!([
        {"op": "upload", "fault": "status_503", "times": 1},
        {"op": "create", "fault": "drop_after", "times": 1},
        {"op": "poll", "fault": "html", "times": 1},
        {"op": "download", "fault": "truncate", "times": 1},
    ]);
    let sandbox = Sandbox::with(config(json!({"faults": faults}))).await;
    let client = Client(&sandbox);
    let content = lines(&["a"]);
    let started = client.start(content.len()).await;
    let session = header(&started, "x-goog-upload-url").expect("a session").to_owned();
    let failed = client.piece(&session, "upload, finalize", 0, &content).await.expect("an answer");
    assert_eq!(error(failed).await.1["status"], "UNAVAILABLE");
    let again = client.piece(&session, "upload, finalize", 0, &content).await.expect("an answer");
    let name = text(&body(again).await["file"], "name");
    let lost = client.request(Method::POST, CREATE).json(&by_file(&name)).send().await;
    assert!(lost.is_err());
    let listed = body(client.get("/gemini/v1beta/batches").await).await;
    let operation = text(&listed["operations"][0], "name");
    let page = client.get(&format!("/gemini/v1beta/{operation}")).await;
    assert_eq!(header(&page, "content-type"), Some("text/html"));
    let batch = client.until_done(&operation).await;
    let output = text(&batch["response"], "responsesFile");
    let torn = client.get(&format!("/gemini/v1beta/{output}:download?alt=media")).await;
    assert!(torn.bytes().await.is_err());
    assert_eq!(client.results(&output).await.len(), 1);
}
