//! What one provider's jobs do to another's.

use std::time::Duration;

use serde_json::json;
use tests::{Rig, RigOptions};

use crate::jobs::support::{LONG, assert_clean, code, echo, patch_sandbox, provider, submit};

const PROMPTLY: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_stand_still_do_not_keep_another_provider_s_job_from_its_end() -> anyhow::Result<()> {
    let rig = Rig::start(RigOptions::default()).await?;
    let refused = json!([{"fault": "status code=401", "fraction": 1.0, "sticky": true, "model": "echo-2"}]);
    patch_sandbox(&rig, &json!({"faults": refused})).await?;
    rig.admin.put_credential("refused", &json!("revoked")).await?;
    let mut record = provider(&rig.sandbox_url, &json!({"max_concurrency": 32, "timeout_s": 5}));
    record["credential"] = json!("refused");
    rig.admin.put_provider("refusing", &record).await?;
    rig.admin.put_model("refusing", "echo", &json!({"upstream_model": "echo-2"})).await?;

    let small = rig.write_rows("small.csv", (0..5).map(|row| format!("small {row}")))?;
    let mut standing = Vec::new();
    for job in 0..20 {
        let mut submission = echo(&rig, &small, &format!("small-{job}.csv"));
        submission.model = "refusing/echo".into();
        standing.push(submit(&rig, &submission).await?);
    }
    for job_id in &standing {
        let job = rig.wait_for(job_id, LONG, |job| job.status_reason.is_some()).await?;
        assert_eq!(code(job.status_reason.as_ref()), Some("provider_auth_failed"));
    }

    let input = rig.write_rows("in.csv", (0..200).map(|row| format!("row {row}")))?;
    let job_id = rig.submit(&input, "out.csv").await?;
    let job = rig.wait(&job_id, PROMPTLY).await?;
    assert_eq!((job.status.name(), job.counts.succeeded), ("completed", 200));
    assert_clean(&rig, &job_id)?;
    for job_id in &standing {
        assert_eq!(rig.client.job(job_id, None).await?.counts.done(), 0);
    }

    patch_sandbox(&rig, &json!({"faults": []})).await?;
    for job_id in &standing {
        let job = rig.wait(job_id, LONG).await?;
        assert_eq!((job.status.name(), job.counts.succeeded), ("completed", 5));
    }
    Ok(())
}
