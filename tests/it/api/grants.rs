//! Which storage a tenant may name.

use serde_json::json;
use tests::{Rig, RigOptions};

use crate::api::http::{another_tenant, callers, submission, with};

#[tokio::test(flavor = "multi_thread")]
async fn d2_a_grant_covers_what_is_below_it_and_nothing_beside_it() -> anyhow::Result<()> {
    let rig = Rig::start(RigOptions { workers: 0, ..RigOptions::default() }).await?;
    let (_, admin) = callers(&rig)?;
    let (tenant, tenant_id) = another_tenant(&rig, "tenant-1").await?;
    for directory in ["tenant-1", "tenant-10", "read-only"] {
        std::fs::create_dir(rig.objects().join(directory))?;
        rig.write_rows(&format!("{directory}/in.csv"), std::iter::once("x".to_owned()))?;
    }
    let inside = submission(&rig.uri("tenant-1/in.csv"));
    tenant.post("/v1/jobs", &inside).await?.assert_problem(403, "storage_location_not_allowed");
    let grants = format!("/v1/admin/tenants/{tenant_id}/grants");
    // Without a separator at its end it means the same.
    let made = admin.post(&grants, &json!({"uri_prefix": rig.uri("tenant-1"), "access": "read_write"})).await?;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(tenant.post("/v1/jobs", &inside).await?.status, 201);
    let beside = submission(&rig.uri("tenant-10/in.csv"));
    tenant.post("/v1/jobs", &beside).await?.assert_problem(403, "storage_location_not_allowed");
    let output = |name: &str| with(inside.clone(), json!({"output": {"uri": rig.uri(name)}}));
    tenant.post("/v1/jobs", &output("tenant-10/out.csv")).await?.assert_problem(403, "storage_location_not_allowed");

    let read_only = json!({"uri_prefix": format!("{}/", rig.uri("read-only")), "access": "read"});
    assert_eq!(admin.post(&grants, &read_only).await?.status, 201);
    assert_eq!(tenant.post("/v1/jobs", &submission(&rig.uri("read-only/in.csv"))).await?.status, 201);
    tenant.post("/v1/jobs", &output("read-only/out.csv")).await?.assert_problem(403, "storage_location_not_allowed");

    // A link that leads out of the root is no way around it.
    std::os::unix::fs::symlink("/etc", rig.objects().join("tenant-1/etc"))?;
    let linked = with(inside.clone(), json!({"input": {"uri": rig.uri("tenant-1/etc/passwd"), "format": "csv"}}));
    tenant.post("/v1/jobs", &linked).await?.assert_problem(403, "storage_location_not_allowed");

    let id = made.body["id"].as_str().unwrap_or_default();
    assert_eq!(admin.call("DELETE", &format!("{grants}/{id}"), &json!({})).await?.status, 204);
    tenant.post("/v1/jobs", &inside).await?.assert_problem(403, "storage_location_not_allowed");
    admin.call("DELETE", &format!("{grants}/{id}"), &json!({})).await?.assert_problem(404, "not_found");
    Ok(())
}
