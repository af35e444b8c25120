//! Lists of jobs, and the models that they may name.

use serde_json::{Value, json};
use tests::{Rig, RigOptions};

use crate::api::http::{Http, callers, submission, with};

async fn names(tenant: &Http, query: &str) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    let mut cursor = String::new();
    // A bound against lists without end.
    for _ in 0..20 {
        let page = tenant.get(&format!("/v1/jobs?limit=2{query}{cursor}")).await?;
        assert_eq!(page.status, 200, "{}", page.body);
        let data = page.body["data"].as_array().cloned().unwrap_or_default();
        names.extend(data.iter().filter_map(|job| job["name"].as_str().map(str::to_owned)));
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    Ok(names)
}

#[tokio::test(flavor = "multi_thread")]
async fn b16_jobs_page_newest_first_and_by_their_filters() -> anyhow::Result<()> {
    let rig = Rig::start(RigOptions { workers: 0, ..RigOptions::default() }).await?;
    let (tenant, _) = callers(&rig)?;
    let body = submission(&rig.write_rows("in.csv", std::iter::once("x".to_owned()))?);
    for number in 0..7 {
        let metadata = json!({"team": if number % 2 == 0 { "even" } else { "odd" }, "a.b c": "x"});
        let body = with(body.clone(), json!({"name": format!("job {number}"), "metadata": metadata}));
        assert_eq!(tenant.post("/v1/jobs", &body).await?.status, 201);
    }
    let all: Vec<_> = (0..7).rev().map(|number| format!("job {number}")).collect();
    assert_eq!(names(&tenant, "").await?, all);
    assert_eq!(names(&tenant, "&metadata.team=even").await?, ["job 6", "job 4", "job 2", "job 0"]);
    assert_eq!(names(&tenant, "&metadata.team=odd&metadata.a.b%20c=x&name=job%205").await?, ["job 5"]);
    assert_eq!(names(&tenant, "&metadata.team=none").await?, [""; 0]);
    let newest = tenant.get("/v1/jobs?limit=1").await?;
    let newest_id = newest.body["data"][0]["id"].as_str().unwrap_or_default().to_owned();
    assert_eq!(tenant.post(&format!("/v1/jobs/{newest_id}/cancel"), &json!({})).await?.status, 200);
    assert_eq!(names(&tenant, "&status=cancelled").await?, ["job 6"]);
    assert_eq!(names(&tenant, "&status=queued").await?, all[1..]);

    let cursor = newest.body["next_cursor"].as_str().unwrap_or_default();
    tenant.get(&format!("/v1/jobs?name=x&cursor={cursor}")).await?.assert_problem(400, "invalid_cursor");
    tenant.get("/v1/jobs?status=odd").await?.assert_wrong_field("?status", "invalid_value");
    tenant.get("/v1/jobs?limit=0").await?.assert_wrong_field("?limit", "invalid_value");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_shown_as_the_contract_says() -> anyhow::Result<()> {
    let rig = Rig::start(RigOptions::default()).await?;
    let (tenant, _) = callers(&rig)?;
    let input = rig.write_rows("in.csv", (0..3).map(|row| format!("row {row}")))?;
    let body = with(submission(&input), json!({"name": "a job", "metadata": {"team": "support"}}));
    let job_id = tenant.post("/v1/jobs", &body).await?.body["id"].as_str().unwrap_or_default().to_owned();
    assert!(job_id.starts_with("job_"));
    let mut job = tenant.get(&format!("/v1/jobs/{job_id}?wait=30")).await?.body;
    let sha256 = job["output"]["sha256"].take();
    assert!(sha256.as_str().is_some_and(|text| text.len() == 64), "{sha256}");
    for time in ["created_at", "started_at", "finished_at", "deadline"] {
        let text = job[time].take();
        let text = text.as_str().unwrap_or_default();
        assert!(chrono::DateTime::parse_from_rfc3339(text).is_ok() && text.ends_with('Z'), "{time}: {text}");
    }
    let bytes = job["output"]["bytes"].take();
    assert!(bytes.as_u64().is_some_and(|bytes| bytes > 0), "{bytes}");
    let expected = json!({
        "id": job_id, "object": "job", "name": "a job", "status": "completed", "status_reason": null,
        "input": {"uri": input, "format": "csv"}, "output": {"uri": null, "format": "csv", "bytes": null, "sha256": null},
        "model": "sandbox/echo",
        "counts": {"total": 3, "pending": 0, "running": 0, "succeeded": 3, "failed": 0, "cancelled": 0, "expired": 0},
        "usage": {"input_tokens": 6, "cached_input_tokens": 0, "output_tokens": 6, "cost_usd": "0.000018",
                  "realtime_cost_usd": "0.000018"},
        "progress": 1.0, "eta": null, "created_at": null, "started_at": null, "finished_at": null, "deadline": null,
        "error": null, "metadata": {"team": "support"},
    });
    assert_eq!(job, expected);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn models_are_listed_with_prices_and_limits() -> anyhow::Result<()> {
    let rig = Rig::start(RigOptions { workers: 0, ..RigOptions::default() }).await?;
    let (tenant, admin) = callers(&rig)?;
    let record = json!({"upstream_model": "echo-2", "realtime": {"max_concurrency": 3}, "max_output_tokens": 100});
    let put = admin.call("PUT", "/v1/admin/providers/sandbox/models/acme/big-2", &record).await?;
    assert_eq!(put.status, 200, "{}", put.body);
    let models = tenant.get("/v1/models").await?.body;
    let find = |id: &str| {
        let models = models["data"].as_array().map(Vec::as_slice).unwrap_or_default();
        models.iter().find(|model| model["id"] == id).cloned().unwrap_or(Value::Null)
    };
    let (echo, big) = (find("sandbox/echo"), find("sandbox/acme/big-2"));
    assert_eq!(echo["prices"]["output_per_mtok_usd"], "2.00", "{models}");
    assert_eq!((&echo["realtime"]["max_concurrency"], &echo["object"]), (&json!(32), &json!("model")));
    assert_eq!((&big["prices"], &big["realtime"]["max_concurrency"]), (&Value::Null, &json!(3)));
    assert_eq!(
        (&big["realtime"]["timeout_s"], &big["max_output_tokens"]),
        (&echo["realtime"]["timeout_s"], &json!(100))
    );

    let input = rig.write_rows("in.csv", std::iter::once("x".to_owned()))?;
    let body = with(submission(&input), json!({"model": "sandbox/acme/big-2"}));
    assert_eq!(tenant.post("/v1/jobs", &body).await?.status, 201);
    let over = with(body, json!({"params": {"max_output_tokens": 101}}));
    tenant.post("/v1/jobs", &over).await?.assert_wrong_field("/params/max_output_tokens", "out_of_range");
    Ok(())
}
