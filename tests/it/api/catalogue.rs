//! Templates are checked before a job is accepted.

use serde_json::json;
use tests::{Rig, RigOptions};

use crate::api::http::{callers, submission, with};

#[tokio::test(flavor = "multi_thread")]
async fn h1_an_unknown_column_is_refused_with_the_nearest_name() -> anyhow::Result<()> {
    let rig = Rig::start(RigOptions { workers: 0, ..RigOptions::default() }).await?;
    let (tenant, _) = callers(&rig)?;
    std::fs::write(rig.objects().join("in.csv"), "id,body,Major Genre\n1,x,Drama\n")?;
    let body = submission(&rig.uri("in.csv"));
    for (prompt, nearest) in
        [("{{ boddy }}", "body"), ("{{ row[\"Major Gendre\"] }}", "Major Genre"), ("{{ Body }}", "body")]
    {
        let reply = tenant.post("/v1/jobs", &with(body.clone(), json!({"prompt": prompt}))).await?;
        reply.assert_problem(422, "template_unknown_variable");
        reply.assert_wrong_field("/prompt", "template_unknown_variable");
        let message = reply.body["errors"][0]["message"].as_str().unwrap_or_default();
        assert!(message.contains(nearest), "{prompt}: {message}");
    }
    let both =
        tenant.post("/v1/jobs", &with(body.clone(), json!({"prompt": "{{ a1 }}", "system": "{{ b2 }}"}))).await?;
    both.assert_wrong_field("/prompt", "template_unknown_variable");
    both.assert_wrong_field("/system", "template_unknown_variable");
    let good = tenant.post("/v1/jobs", &with(body, json!({"prompt": "{{ body }} {{ row[\"Major Genre\"] }}"}))).await?;
    assert_eq!(good.status, 201, "{}", good.body);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn h2_h3_h4_h6_a_template_that_is_wrong_or_could_hurt_is_refused() -> anyhow::Result<()> {
    let rig = Rig::start(RigOptions { workers: 0, ..RigOptions::default() }).await?;
    let (tenant, _) = callers(&rig)?;
    let body = submission(&rig.write_rows("in.csv", std::iter::once("x".to_owned()))?);
    for (prompt, code) in [
        ("{{ text", "template_syntax"),
        ("{% if text %}", "template_syntax"),
        ("{{ text | no_such_filter }}", "template_feature_not_allowed"),
        ("{% include 'x' %}", "template_feature_not_allowed"),
        ("{% import 'x' as y %}", "template_feature_not_allowed"),
        ("{% extends 'x' %}", "template_feature_not_allowed"),
        ("{% macro a() %}x{% endmacro %}{{ a() }}", "template_limit"),
        ("{% set a = text %}{{ a }}", "template_limit"),
        ("{{ text ~ text }}", "template_limit"),
        ("{{ text * 1000 }}", "template_limit"),
        ("{% for a in range(1000000000) %}{{ a }}{% endfor %}", "template_limit"),
        ("   ", "prompt_empty"),
    ] {
        let reply = tenant.post("/v1/jobs", &with(body.clone(), json!({"prompt": prompt}))).await?;
        reply.assert_problem(422, code);
        reply.assert_wrong_field("/prompt", code);
    }
    assert_eq!(tenant.post("/v1/jobs", &body).await?.status, 201);
    Ok(())
}
