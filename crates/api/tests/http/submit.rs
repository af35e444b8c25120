//! Guarantees, groups B, D and H, as far as a submission meets them.

use serde_json::{Value, json};

use crate::app::{Answer, TestApp};

async fn submit_with(app: &TestApp, changes: Value) -> Answer {
    let mut body = app.submission();
    for (name, value) in changes.as_object().expect("an object") {
        body[name] = value.clone();
    }
    app.post("/v1/jobs", body).await
}

async fn submit_keyed(app: &TestApp, key: &str, idempotency_key: &str, body: &Value) -> Answer {
    app.call("POST", "/v1/jobs", Some(key), Some(body.to_string()), &[("idempotency-key", idempotency_key)]).await
}

#[tokio::test]
async fn an_accepted_job_shows_every_field_of_the_contract() {
    let app = TestApp::start().await;
    let answer = app.post("/v1/jobs", app.submission()).await;
    let location = answer.headers["location"].to_str().expect("a path").to_owned();
    let job = answer.expect(201);
    assert_eq!(location, format!("/v1/jobs/{}", job["id"].as_str().expect("an id")));
    assert_eq!(app.get(&location).await.expect(200), job);
    let mut names: Vec<_> = job.as_object().expect("an object").keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "counts",
            "created_at",
            "deadline",
            "error",
            "eta",
            "finished_at",
            "id",
            "input",
            "metadata",
            "model",
            "name",
            "object",
            "output",
            "progress",
            "started_at",
            "status",
            "status_reason",
            "usage",
        ]
    );
    assert_eq!((&job["object"], &job["status"]), (&json!("job"), &json!("queued")));
    assert_eq!(job["output"], json!({"uri": null, "format": "csv", "bytes": null, "sha256": null}));
}

#[tokio::test]
async fn b1_b2_b4_bodies_are_json_and_bounded() {
    let app = TestApp::start().await;
    let raw = async |body: &str, headers: &[(&str, &str)]| {
        app.call("POST", "/v1/jobs", Some(&app.key), Some(body.to_owned()), headers).await
    };
    raw("{", &[]).await.expect_problem(400, "invalid_json");
    raw(r#"{"a":1,"a":2}"#, &[]).await.expect_problem(400, "invalid_json");
    raw("{}", &[("content-type", "text/plain")]).await.expect_problem(415, "unsupported_media_type");
    raw(&" ".repeat((1 << 20) + 1), &[]).await.expect_problem(413, "payload_too_large");
    app.submit().await;
}

#[tokio::test]
async fn b3_fields_of_later_work_and_wrong_ones_are_told_apart() {
    let app = TestApp::start().await;
    let later = submit_with(&app, json!({"priority": "normal", "sample": 3})).await;
    later.expect_problem(422, "not_yet_supported");
    assert_eq!(later.fields(), [("/priority", "not_yet_supported"), ("/sample", "not_yet_supported")]);
    submit_with(&app, json!({"priority": "normal", "odd": 3})).await.expect_problem(422, "validation_failed");
    submit_with(&app, json!({"model": "sandbox/none"})).await.expect_problem(422, "model_not_found");
    let too_many = submit_with(&app, json!({"params": {"max_output_tokens": 101}})).await;
    assert_eq!(too_many.fields(), [("/params/max_output_tokens", "out_of_range")]);
}

#[tokio::test]
async fn b10_b11_b14_a_repeated_submit_is_the_same_submit() {
    let app = TestApp::start().await;
    let mut body = app.submission();
    body["output"] = json!({"uri": app.uri("out.csv")});
    let first = submit_keyed(&app, &app.key, "one", &body).await;
    assert!(!first.headers.contains_key("idempotent-replayed"));
    let first = first.expect(201);
    // The first job has written its output meanwhile.
    app.write("out.csv", "x");
    let second = submit_keyed(&app, &app.key, "\"one\"", &body).await;
    assert_eq!(second.headers["idempotent-replayed"], "true");
    assert_eq!(second.expect(201), first);
    submit_keyed(&app, &app.key, "one", &app.submission()).await.expect_problem(422, "idempotency_key_reused");
    submit_keyed(&app, &app.key, "", &body).await.expect_problem(400, "idempotency_key_invalid");
    let (_, other) = app.tenant("other").await;
    submit_keyed(&app, &other, "one", &body).await.expect_problem(403, "storage_location_not_allowed");
}

#[tokio::test]
async fn b12_b15_of_many_submits_at_once_one_makes_a_job_and_a_refused_one_burns_no_key() {
    let app = TestApp::start().await;
    let body = app.submission();
    let mut wrong = body.clone();
    wrong["model"] = "sandbox/none".into();
    submit_keyed(&app, &app.key, "k", &wrong).await.expect_problem(422, "model_not_found");
    let answers = futures::future::join_all((0..20).map(|_| submit_keyed(&app, &app.key, "k", &body))).await;
    for answer in answers {
        assert!(answer.status == 201 || answer.code() == "idempotency_in_progress", "{}", answer.body);
    }
    let jobs = app.get("/v1/jobs").await.expect(200);
    assert_eq!(jobs["data"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn d1_d2_d3_d6_d8_objects_must_be_there_and_allowed() {
    let app = TestApp::start().await;
    let input = async |uri: &str| submit_with(&app, json!({"input": {"uri": uri, "format": "csv"}})).await;
    input("s3://acme-data/../x").await.expect_problem(422, "invalid_object_path");
    input("https://acme.test/x.csv").await.expect_problem(422, "scheme_not_supported");
    input("file:///etc/passwd").await.expect_problem(403, "storage_location_not_allowed");
    input("s3://acme-data/x.csv").await.expect_problem(403, "storage_location_not_allowed");
    let missing = input(&app.uri("none.csv")).await;
    missing.expect_problem(422, "input_not_found");
    assert_eq!(missing.fields(), [("/input/uri", "input_not_found")]);
    let exists = submit_with(&app, json!({"output": {"uri": app.uri("in.csv")}})).await;
    exists.expect_problem(409, "output_exists");
    submit_with(&app, json!({"output": {"uri": app.uri("in.csv"), "if_exists": "replace"}})).await.expect(201);
}

#[tokio::test]
async fn h1_k7_the_prompt_and_the_prefix_must_fit_the_columns() {
    let app = TestApp::start().await;
    let unknown = submit_with(&app, json!({"prompt": "{{ bdy }}", "system": "{{ idd }}"})).await;
    unknown.expect_problem(422, "template_unknown_variable");
    assert_eq!(unknown.fields().len(), 2);
    assert!(unknown.body.to_string().contains("`body`"));
    let taken = app.write("taken.csv", "body,llm_status\nx,y\n");
    let conflict = submit_with(&app, json!({"input": {"uri": taken}})).await;
    assert_eq!(conflict.fields(), [("/output/column_prefix", "column_conflict")]);
    let doubled = app.write("doubled.csv", "body,body\nx,y\n");
    submit_with(&app, json!({"input": {"uri": doubled}})).await.expect_problem(422, "csv_duplicate_header");
}
