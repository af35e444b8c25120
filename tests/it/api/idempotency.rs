//! Submits that are sent twice.

use serde_json::json;
use tests::{Rig, RigOptions};

use crate::api::http::{Http, Reply, another_tenant, callers, send, submission, with};

async fn submit(caller: &Http, key: &str, body: &serde_json::Value) -> anyhow::Result<Reply> {
    send(caller.request("POST", "/v1/jobs").header("Idempotency-Key", key).json(body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn b10_b11_b13_b14_a_key_makes_one_job_per_tenant_and_body() -> anyhow::Result<()> {
    let rig = Rig::start(RigOptions { workers: 0, ..RigOptions::default() }).await?;
    let (tenant, admin) = callers(&rig)?;
    let input = rig.write_rows("in.csv", std::iter::once("x".to_owned()))?;
    let body = with(submission(&input), json!({"output": {"uri": rig.uri("out.csv")}}));
    let first = submit(&tenant, "key-1", &body).await?;
    assert_eq!((first.status, first.header("idempotent-replayed")), (201, None));
    let location = format!("/v1/jobs/{}", first.body["id"].as_str().unwrap_or_default());
    assert_eq!(first.header("location"), Some(&*location));
    // The output that the first job wrote is no reason to refuse its repeat.
    std::fs::write(rig.objects().join("out.csv"), "written")?;
    for key in ["key-1", "\"key-1\""] {
        let again = submit(&tenant, key, &body).await?;
        assert_eq!((again.status, again.header("idempotent-replayed")), (201, Some("true")));
        assert_eq!((&again.body["id"], again.header("location")), (&first.body["id"], Some(&*location)));
    }
    let other_body = with(body.clone(), json!({"name": "other"}));
    submit(&tenant, "key-1", &other_body).await?.assert_problem(422, "idempotency_key_reused");
    for invalid in ["", "\"", &"x".repeat(300), "a\tb"] {
        submit(&tenant, invalid, &body).await?.assert_problem(400, "idempotency_key_invalid");
    }
    // A refused submit does not burn its key.
    submit(&tenant, "key-2", &body).await?.assert_problem(409, "output_exists");
    std::fs::remove_file(rig.objects().join("out.csv"))?;
    assert_eq!(submit(&tenant, "key-2", &body).await?.status, 201);

    let (other, other_id) = another_tenant(&rig, "other").await?;
    let grant = json!({"uri_prefix": format!("file://{}/", rig.objects().display()), "access": "read_write"});
    assert_eq!(admin.post(&format!("/v1/admin/tenants/{other_id}/grants"), &grant).await?.status, 201);
    let theirs = submit(&other, "key-1", &other_body).await?;
    assert_eq!((theirs.status, theirs.header("idempotent-replayed")), (201, None), "{}", theirs.body);
    assert_ne!(theirs.body["id"], first.body["id"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn b12_many_at_once_make_one_job() -> anyhow::Result<()> {
    let rig = Rig::start(RigOptions { workers: 0, ..RigOptions::default() }).await?;
    let (tenant, _) = callers(&rig)?;
    let body = submission(&rig.write_rows("in.csv", std::iter::once("x".to_owned()))?);
    let calls = (0..20).map(|_| submit(&tenant, "one", &body));
    let mut created = Vec::new();
    for reply in futures::future::try_join_all(calls).await? {
        match reply.status {
            201 => created.push((reply.body["id"].clone(), reply.header("idempotent-replayed").is_some())),
            _ => reply.assert_problem(409, "idempotency_in_progress"),
        }
    }
    assert!(created.windows(2).all(|pair| pair[0].0 == pair[1].0), "{created:?}");
    assert_eq!(created.iter().filter(|(_, replayed)| !replayed).count(), 1, "{created:?}");
    let jobs = tenant.get("/v1/jobs").await?;
    assert_eq!(jobs.body["data"].as_array().map(Vec::len), Some(1));
    Ok(())
}
