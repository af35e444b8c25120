//! Nothing crosses tenants.

use serde_json::json;
use tests::{Rig, RigOptions};

use crate::api::http::{another_tenant, callers, send, submission};

#[tokio::test(flavor = "multi_thread")]
async fn a5_another_tenant_s_job_is_the_same_404_as_none() -> anyhow::Result<()> {
    let rig = Rig::start(RigOptions::default()).await?;
    let (owner, _) = callers(&rig)?;
    let (other, _) = another_tenant(&rig, "other").await?;
    let input = rig.write_rows("in.csv", std::iter::once("x".to_owned()))?;
    let job = owner.post("/v1/jobs", &submission(&input)).await?;
    assert_eq!(job.status, 201);
    let job_id = job.body["id"].as_str().unwrap_or_default().to_owned();
    // The same id but for its last character, which exists nowhere.
    let last = if job_id.ends_with('0') { '1' } else { '0' };
    let nowhere = format!("{}{last}", &job_id[..job_id.len() - 1]);

    for (method, rest) in [
        ("GET", ""),
        ("GET", "/items"),
        ("GET", "/items?status=failed"),
        ("GET", "/items/0"),
        ("GET", "/output"),
        ("POST", "/cancel"),
        ("POST", "/pause"),
        ("POST", "/resume"),
    ] {
        let mut bodies = Vec::new();
        for id in [&job_id, &nowhere, "job_x"] {
            let request = other.request(method, &format!("/v1/jobs/{id}{rest}")).header("x-request-id", "same");
            let reply = send(request).await?;
            reply.assert_problem(404, "not_found");
            bodies.push(reply.body);
        }
        assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "{method} {rest}: {bodies:?}");
    }
    assert_eq!(other.get("/v1/jobs").await?.body, json!({"data": []}));
    assert_eq!(owner.get(&format!("/v1/jobs/{job_id}")).await?.status, 200);
    // Nor may it read where the owner may.
    other.post("/v1/jobs", &submission(&input)).await?.assert_problem(403, "storage_location_not_allowed");
    Ok(())
}
