//! Jobs by provider batch: what callers see is what they see in real time, but for the price.

use serde_json::json;

use super::support::{eager, offer, run, start, submission, totals};
use crate::jobs::support::output;

#[tokio::test(flavor = "multi_thread")]
async fn both_routes_give_the_same_output_but_for_the_price() -> anyhow::Result<()> {
    let rig = start(eager()).await?;
    let batch = run(&rig, &submission(&rig, "batch", 4_500, |row| format!("row {row}"))?).await?;
    assert_eq!((batch.status.name(), batch.counts.succeeded), ("completed", 4_500), "{}", rig.logs());
    let by_batch = totals(&rig)?;
    assert_eq!((by_batch.batches.created, by_batch.batches.billed, by_batch.billed), (1, 4_500, 4_500));
    offer(&rig, "openai", "/v1", json!(null)).await?;
    let realtime = run(&rig, &submission(&rig, "realtime", 4_500, |row| format!("row {row}"))?).await?;
    assert_eq!(realtime.counts.succeeded, 4_500);
    let (left, right) = (output(&rig, "batch.out.csv")?, output(&rig, "realtime.out.csv")?);
    assert_eq!(left.rows.len(), right.rows.len());
    for row in 0..left.rows.len() {
        for column in ["id", "text", "llm_response", "llm_status", "llm_model", "llm_finish_reason", "llm_attempts"] {
            assert_eq!(left.text(row, column), right.text(row, column), "row {row}, {column}");
        }
    }
    assert_eq!(batch.usage.input_tokens, realtime.usage.input_tokens);
    assert_eq!(left.text(0, "llm_cost_usd"), "0.000003");
    assert_eq!(right.text(0, "llm_cost_usd"), "0.000006");
    Ok(())
}
