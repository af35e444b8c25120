//! Pages of a job's rows, before they are in files and after.

use serde_json::{Value, json};
use tests::{Rig, RigOptions};

use crate::api::http::{Http, callers};
use crate::jobs::support::LONG;

const ROWS: u64 = 130;

/// Every seventh row fails.
fn fails(row: u64) -> bool {
    row % 7 == 3
}

/// All items of a list, page by page.
async fn all(tenant: &Http, path: &str) -> anyhow::Result<Vec<Value>> {
    let mut items = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = tenant.get(&format!("{path}{cursor}")).await?;
        assert_eq!(page.status, 200, "{}", page.body);
        items.extend(page.body["data"].as_array().cloned().unwrap_or_default());
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(items),
        }
        assert!(items.len() <= 2 * usize::try_from(ROWS)?, "the pages never end");
    }
}

fn rows(items: &[Value]) -> Vec<u64> {
    items.iter().filter_map(|item| item["row"].as_u64()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn b16_b17_b18_items_page_by_status_before_and_after_sealing() -> anyhow::Result<()> {
    let rig = Rig::start(RigOptions {
        realtime: json!({"max_concurrency": 4, "timeout_s": 5}),
        sandbox_latency_ms: 20,
        ..RigOptions::default()
    })
    .await?;
    let (tenant, _) = callers(&rig)?;
    let text = |row| if fails(row) { format!("{row} [[sandbox:status code=400]]") } else { format!("row {row}") };
    let input = rig.write_rows("in.csv", (0..ROWS).map(text))?;
    let job_id = rig.submit(&input, "out.csv").await?;
    let items = format!("/v1/jobs/{job_id}/items?limit=9");
    // All rows are one chunk, so that nothing is sealed before the last has its outcome.
    rig.wait_for(&job_id, LONG, |job| job.counts.succeeded > 12).await?;
    rig.client.pause(&job_id).await?;
    let paused = rig.wait_for(&job_id, LONG, |job| job.counts.running == 0).await?;
    assert!(paused.counts.succeeded < ROWS / 2, "it was paused too late to show anything");
    assert_eq!(rows(&all(&tenant, &items).await?), (0..ROWS).collect::<Vec<_>>());
    for (status, count) in [
        ("succeeded", paused.counts.succeeded),
        ("failed", paused.counts.failed),
        ("pending", ROWS - paused.counts.succeeded - paused.counts.failed),
        ("running", 0),
        ("cancelled", 0),
    ] {
        let found = all(&tenant, &format!("{items}&status={status}")).await?;
        assert!(
            found.iter().all(|item| item["status"] == status) && found.len() as u64 == count,
            "{status}: {found:?}"
        );
        assert!(rows(&found).is_sorted_by(|one, next| one < next), "{status}");
    }

    let first = tenant.get(&items).await?;
    let cursor = first.body["next_cursor"].as_str().unwrap_or_default().to_owned();

    rig.client.resume(&job_id).await?;
    rig.wait(&job_id, LONG).await?;
    let second = tenant.get(&format!("{items}&cursor={cursor}")).await?;
    assert_eq!(
        rows(second.body["data"].as_array().map(Vec::as_slice).unwrap_or_default()),
        (9..18).collect::<Vec<_>>()
    );
    let sealed = all(&tenant, &items).await?;
    assert_eq!(rows(&sealed), (0..ROWS).collect::<Vec<_>>());
    for item in &sealed {
        let row = item["row"].as_u64().unwrap_or_default();
        let expected = if fails(row) { ("failed", "provider_rejected") } else { ("succeeded", "") };
        let found = (item["status"].as_str().unwrap_or_default(), item["error_code"].as_str().unwrap_or_default());
        assert_eq!(found, expected, "{item}");
        assert_eq!((&item["attempts"], &item["model"]), (&json!(1), &json!("sandbox/echo")), "{item}");
        assert_eq!(item["response"].as_str(), (!fails(row)).then(|| text(row)).as_deref(), "{item}");
        assert!(item["usage"]["input_tokens"].is_u64() && item["usage"]["cost_usd"].is_string(), "{item}");
    }
    let failed = all(&tenant, &format!("{items}&status=failed")).await?;
    assert_eq!(rows(&failed), (0..ROWS).filter(|row| fails(*row)).collect::<Vec<_>>());
    bad_pages_are_refused(&tenant, &job_id).await
}

async fn bad_pages_are_refused(tenant: &Http, job_id: &str) -> anyhow::Result<()> {
    let path = format!("/v1/jobs/{job_id}/items");
    let most = tenant.get(&format!("{path}?limit=1000000000")).await?;
    assert_eq!(most.body["data"].as_array().map(Vec::len), Some(100));
    let cursor = most.body["next_cursor"].as_str().unwrap_or_default().to_owned();
    for query in [format!("status=failed&cursor={cursor}"), format!("cursor=x{cursor}"), "cursor=%00".to_owned()] {
        let reply = tenant.get(&format!("{path}?{query}")).await?;
        assert!([400, 422].contains(&reply.status), "{query}: {}", reply.body);
    }
    tenant.get(&format!("{path}?cursor=abc")).await?.assert_problem(400, "invalid_cursor");
    for limit in ["0", "-1", "abc", ""] {
        tenant.get(&format!("{path}?limit={limit}")).await?.assert_wrong_field("?limit", "invalid_value");
    }
    tenant.get(&format!("{path}?status=odd")).await?.assert_wrong_field("?status", "invalid_value");
    let one = tenant.get(&format!("{path}/3")).await?;
    assert_eq!((&one.body["row"], &one.body["error_code"]), (&json!(3), &json!("provider_rejected")));
    for nothing in ["130", "-1", "x"] {
        tenant.get(&format!("{path}/{nothing}")).await?.assert_problem(404, "not_found");
    }
    Ok(())
}
