//! What a submission may say.

use serde_json::{Value, json};
use tests::{Rig, RigOptions};

use crate::api::http::{callers, submission, with};

fn options() -> RigOptions {
    RigOptions { workers: 0, ..RigOptions::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn b3_b26_b27_everything_wrong_is_told_at_once() -> anyhow::Result<()> {
    let rig = Rig::start(options()).await?;
    let (tenant, _) = callers(&rig)?;
    let body = json!({
        "name": "nul\0", "input": {"odd": true}, "output": {"uri": "s3://acme-data/../x.csv", "column_prefix": "1-"},
        "model": 7, "prompt": "{{ open", "params": {"temperature": 9, "seed": "x"}, "limits": {"max_attempts": 0},
        "deadline": "soon", "metadata": {"n": 1, "x".repeat(65): "long"}, "route": "batch",
    });
    let reply = tenant.post("/v1/jobs", &body).await?;
    reply.assert_problem(422, "validation_failed");
    let long_key = format!("/metadata/{}", "x".repeat(65));
    for expected in [
        ("/name", "invalid_string"),
        ("/input/uri", "required"),
        ("/input/odd", "unknown_field"),
        ("/output/uri", "invalid_object_path"),
        ("/output/column_prefix", "invalid_value"),
        ("/model", "invalid_type"),
        ("/params/temperature", "out_of_range"),
        ("/params/seed", "invalid_type"),
        ("/limits/max_attempts", "out_of_range"),
        ("/deadline", "invalid_value"),
        ("/metadata/n", "invalid_type"),
        (&long_key, "metadata_limit"),
        ("/route", "unknown_field"),
    ] {
        assert!(reply.errors().contains(&expected), "{expected:?}: {}", reply.body);
    }
    let empty = tenant.post("/v1/jobs", &json!({})).await?;
    for pointer in ["/input", "/model"] {
        empty.assert_wrong_field(pointer, "required");
    }
    assert!(empty.errors().iter().any(|(pointer, _)| *pointer == "/prompt"), "{}", empty.body);

    let input = rig.write_rows("in.csv", std::iter::once("x".to_owned()))?;
    let lone = format!(
        "{{\"name\": \"\\ud800\", \"input\": {{\"uri\": \"{input}\"}}, \"model\": \"sandbox/echo\", \"prompt\": \"x\"}}"
    );
    let request = tenant.request("POST", "/v1/jobs").header("content-type", "application/json").body(lone);
    crate::api::http::send(request).await?.assert_problem(422, "invalid_string");
    let pairs: serde_json::Map<String, Value> = (0..17).map(|number| (format!("k{number}"), json!("v"))).collect();
    let body = with(submission(&input), json!({"metadata": pairs}));
    tenant.post("/v1/jobs", &body).await?.assert_problem(422, "metadata_limit");
    let name = "\u{202e}\u{1f469}\u{200d}\u{1f33e}";
    let kept =
        tenant.post("/v1/jobs", &with(submission(&input), json!({"name": name, "metadata": {"\u{fc}": name}}))).await?;
    assert_eq!(
        (kept.status, &kept.body["name"], &kept.body["metadata"]),
        (201, &json!(name), &json!({"\u{fc}": name}))
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_of_later_work_say_so_and_are_never_ignored() -> anyhow::Result<()> {
    let rig = Rig::start(options()).await?;
    let (tenant, _) = callers(&rig)?;
    let input = rig.write_rows("in.csv", std::iter::once("x".to_owned()))?;
    let table = [
        ("/response_schema", json!({"response_schema": {"type": "object"}})),
        ("/priority", json!({"priority": "high"})),
        ("/webhook", json!({"webhook": {"url": "https://hooks.acme.test/llm"}})),
        ("/sample", json!({"sample": 20})),
        ("/dedupe", json!({"dedupe": true})),
        ("/cache", json!({"cache": {"max_age_s": 60}})),
        ("/hooks", json!({"hooks": []})),
        ("/context", json!({"context": {}})),
        ("/images", json!({"images": []})),
        ("/truncated_is_error", json!({"truncated_is_error": true})),
        ("/retention_days", json!({"retention_days": 3})),
        ("/model", json!({"model": ["sandbox/echo", "sandbox/echo"]})),
        ("/task", json!({"task": "embedding"})),
        ("/limits/max_cost_usd", json!({"limits": {"max_cost_usd": "1.00"}})),
        ("/limits/max_failed_fraction", json!({"limits": {"max_failed_fraction": 0.1}})),
        ("/limits/retry_refusals", json!({"limits": {"retry_refusals": true}})),
        ("/input/id_column", json!({"input": {"uri": input, "id_column": "id"}})),
        ("/input/on_bad_row", json!({"input": {"uri": input, "on_bad_row": "fail_job"}})),
        ("/output/uri", json!({"output": {"uri": format!("{input}.out.csv.gz")}})),
        ("/output/flatten", json!({"output": {"flatten": true}})),
        ("/output/escape_formulas", json!({"output": {"escape_formulas": true}})),
    ];
    for (pointer, changes) in table {
        let reply = tenant.post("/v1/jobs", &with(submission(&input), changes)).await?;
        reply.assert_problem(422, "not_yet_supported");
        assert_eq!(reply.errors(), [(pointer, "not_yet_supported")]);
    }
    let image =
        json!({"prompt": null, "messages": [{"role": "user", "content": [{"type": "image", "url": "{{ text }}"}]}]});
    let reply = tenant.post("/v1/jobs", &with(submission(&input), image)).await?;
    assert!(reply.errors().iter().any(|(_, code)| *code == "not_yet_supported"), "{}", reply.body);
    assert_eq!(tenant.get("/v1/jobs").await?.body["data"], json!([]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn d1_d3_k7_places_and_columns_are_checked_against_what_there_is() -> anyhow::Result<()> {
    let rig = Rig::start(options()).await?;
    let (tenant, _) = callers(&rig)?;
    let input = rig.write_rows("in.csv", std::iter::once("x".to_owned()))?;
    for uri in [
        "s3://acme-data/../x.csv",
        "s3://acme-data/a%2e%2e/../b.csv",
        "s3://acme-data/a\\..\\x.csv",
        "s3://acme-data/\u{1}.csv",
    ] {
        tenant.post("/v1/jobs", &submission(uri)).await?.assert_wrong_field("/input/uri", "invalid_object_path");
    }
    for uri in ["http://169.254.169.254/x.csv", "ftp://acme.test/x.csv"] {
        tenant.post("/v1/jobs", &submission(uri)).await?.assert_wrong_field("/input/uri", "scheme_not_supported");
    }
    for changes in [
        json!({"input": {"uri": "s3://somebody-else/x.csv"}}),
        json!({"output": {"uri": "s3://somebody-else/x.csv"}}),
        json!({"input": {"uri": "file:///etc/passwd", "format": "csv"}}),
    ] {
        let reply = tenant.post("/v1/jobs", &with(submission(&input), changes)).await?;
        reply.assert_problem(403, "storage_location_not_allowed");
    }
    let unknown = tenant.post("/v1/jobs", &with(submission(&input), json!({"model": "sandbox/none"}))).await?;
    unknown.assert_wrong_field("/model", "model_not_found");
    std::fs::write(rig.objects().join("taken.csv"), "text,llm_status\nx,y\n")?;
    let taken = submission(&rig.uri("taken.csv"));
    tenant.post("/v1/jobs", &taken).await?.assert_problem(422, "column_conflict");
    let renamed = tenant.post("/v1/jobs", &with(taken, json!({"output": {"column_prefix": "answer_"}}))).await?;
    assert_eq!(renamed.status, 201, "{}", renamed.body);
    Ok(())
}
