//! Dispatches on the batch route, as their providers know them.

use crate::{Result, SchedulerTx};

/// Lets the dispatch of a provider batch be claimed now, so that somebody looks at it. Returns false if nobody waits for it: it is
/// not known here, or being looked at.
pub async fn wake(tx: &mut SchedulerTx, provider_id: &str, remote_id: &str) -> Result<bool> {
    let woken = sqlx::query!(
        "UPDATE dispatches SET run_at = now() WHERE provider_id = $1 AND remote_id = $2 AND lease_owner IS NULL",
        provider_id,
        remote_id
    )
    .execute(tx.connection())
    .await?;
    Ok(woken.rows_affected() > 0)
}
