//! Why a limit group stands still.

use domain::provider::LimitGroup;

use crate::{Result, SchedulerTx, Tx};

/// A key-level failure that stopped a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    pub code: String,
    pub detail: String,
}

/// Notes that a group stands still, or with `None` that it goes on.
pub async fn set_pause(tx: &mut SchedulerTx, group: &LimitGroup, pause: Option<&Pause>) -> Result<()> {
    sqlx::query!(
        "INSERT INTO limit_groups (limit_group, paused_code, paused_detail, paused_at)
        VALUES ($1, $2::text, $3, CASE WHEN $2::text IS NULL THEN NULL ELSE now() END)
        ON CONFLICT (limit_group) DO UPDATE SET paused_code = excluded.paused_code, paused_detail = excluded.paused_detail,
            paused_at = excluded.paused_at",
        group.0,
        pause.map(|pause| pause.code.as_str()),
        pause.map(|pause| crate::convert::without_nul(&pause.detail)),
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Why a group stands still. Whoever stopped it says so again with every try that fails: what nobody has said for minutes is over.
pub async fn pause(tx: &mut impl Tx, group: &LimitGroup) -> Result<Option<Pause>> {
    let row = sqlx::query!(
        r#"SELECT paused_code AS "code!", coalesce(paused_detail, '') AS "detail!" FROM limit_groups
        WHERE limit_group = $1 AND paused_code IS NOT NULL AND paused_at > now() - interval '5 minutes'"#,
        group.0
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map(|row| Pause { code: row.code, detail: row.detail }))
}
