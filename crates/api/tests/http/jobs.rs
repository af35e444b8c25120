//! Lists, look-ups and verbs.

use serde_json::{Value, json};

use crate::app::TestApp;

fn ids(page: &Value) -> Vec<String> {
    page["data"].as_array().expect("a list").iter().map(|job| job["id"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test]
async fn b16_b17_b18_pages_hold_every_job_once() {
    let app = TestApp::start().await;
    for number in 0..5 {
        let mut body = app.submission();
        body["name"] = format!("n{}", number % 2).into();
        body["metadata"] = json!({"number": number.to_string()});
        app.post("/v1/jobs", body).await.expect(201);
    }
    let first = app.get("/v1/jobs?limit=2").await.expect(200);
    let cursor = first["next_cursor"].as_str().expect("a cursor");
    app.submit().await;
    let second = app.get(&format!("/v1/jobs?limit=4&cursor={cursor}")).await.expect(200);
    assert_eq!(second.get("next_cursor"), None);
    let mut seen = [ids(&first), ids(&second)].concat();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 5);

    app.get(&format!("/v1/jobs?cursor={cursor}&name=n1")).await.expect_problem(400, "invalid_cursor");
    app.get("/v1/jobs?cursor=x").await.expect_problem(400, "invalid_cursor");
    let (_, other) = app.tenant("other").await;
    app.call("GET", &format!("/v1/jobs?limit=2&cursor={cursor}"), Some(&other), None, &[])
        .await
        .expect_problem(400, "invalid_cursor");
    for limit in ["0", "-1", "abc"] {
        assert_eq!(app.get(&format!("/v1/jobs?limit={limit}")).await.fields(), [("?limit", "invalid_value")]);
    }
    assert_eq!(ids(&app.get("/v1/jobs?limit=1000000000&name=n1").await.expect(200)).len(), 2);
    assert_eq!(ids(&app.get("/v1/jobs?metadata.number=3&status=queued").await.expect(200)).len(), 1);
}

#[tokio::test]
async fn b21_verbs_are_refused_with_the_states_that_allow_them() {
    let app = TestApp::start().await;
    let job = app.submit().await;
    let path = format!("/v1/jobs/{}", job["id"].as_str().expect("an id"));
    let verb = async |verb: &str| app.call("POST", &format!("{path}/{verb}"), Some(&app.key), None, &[]).await;
    let paused = verb("pause").await.expect(200);
    assert_eq!((&paused["status"], &paused["status_reason"]["code"]), (&json!("paused"), &json!("paused_by_request")));
    assert_eq!(verb("resume").await.expect(200)["status"], "queued");
    let refused = verb("resume").await;
    refused.expect_problem(409, "invalid_state");
    assert_eq!(refused.body["detail"], "the job is queued; this needs a job that is paused");
    assert_eq!(verb("cancel").await.expect(200)["status"], "cancelled");
    assert_eq!(verb("cancel").await.expect(200)["status"], "cancelled");
    verb("pause").await.expect_problem(409, "invalid_state");
    app.get(&format!("{path}/output")).await.expect_problem(409, "invalid_state");
    app.post(&format!("{path}/cancel"), json!({"force": true})).await.expect_problem(422, "validation_failed");
}

#[tokio::test]
async fn a_waiting_call_answers_at_once_when_the_job_is_over() {
    let app = TestApp::start().await;
    let job = app.submit().await;
    let path = format!("/v1/jobs/{}", job["id"].as_str().expect("an id"));
    app.call("POST", &format!("{path}/cancel"), Some(&app.key), None, &[]).await.expect(200);
    assert_eq!(app.get(&format!("{path}?wait=60")).await.expect(200)["status"], "cancelled");
    assert_eq!(app.get(&format!("{path}?wait=x")).await.fields(), [("?wait", "invalid_value")]);
}

#[tokio::test]
async fn calls_of_later_work_say_so() {
    let app = TestApp::start().await;
    let job = app.submit().await;
    let id = job["id"].as_str().expect("an id");
    for (method, path) in [
        ("POST", "/v1/jobs/estimate".to_owned()),
        ("GET", format!("/v1/jobs/{id}/events")),
        ("DELETE", format!("/v1/jobs/{id}")),
        ("PATCH", format!("/v1/jobs/{id}")),
        ("POST", format!("/v1/jobs/{id}/retry")),
        ("POST", "/v1/files".to_owned()),
        ("GET", "/v1/usage".to_owned()),
        ("GET", "/v1/webhook_endpoints/x/deliveries".to_owned()),
    ] {
        app.call(method, &path, Some(&app.key), None, &[]).await.expect_problem(422, "not_yet_supported");
    }
    for path in ["/docs", "/"] {
        app.call("GET", path, None, None, &[]).await.expect_problem(422, "not_yet_supported");
    }
    app.get(&format!("/v1/jobs/{id}/output?partial=true")).await.expect_problem(422, "not_yet_supported");
}

#[tokio::test]
async fn health_and_the_document_need_no_key() {
    let app = TestApp::start().await;
    for path in ["/healthz", "/readyz", "/openapi.json"] {
        app.call("GET", path, None, None, &[]).await.expect(200);
    }
}
