//! The only ways to run SQL: as a tenant, or as the scheduler.

use domain::ids::TenantId;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, Transaction};

use crate::Result;

/// Where hints are sent.
pub(crate) const CHANNEL: &str = "gristmill";

/// A transaction in the tenant's role, with row-level security on one tenant.
pub struct TenantTx {
    tx: Transaction<'static, Postgres>,
    tenant_id: TenantId,
}

/// A transaction in the scheduler's role: ids, states, leases and weights of all tenants.
pub struct SchedulerTx {
    tx: Transaction<'static, Postgres>,
}

/// Either of them, for what both may read.
pub trait Tx: sealed::Connection + Send {}

impl Tx for TenantTx {}
impl Tx for SchedulerTx {}

pub(crate) mod sealed {
    pub trait Connection {
        fn connection(&mut self) -> &mut sqlx::PgConnection;
    }
}

impl sealed::Connection for TenantTx {
    fn connection(&mut self) -> &mut PgConnection {
        &mut self.tx
    }
}

impl sealed::Connection for SchedulerTx {
    fn connection(&mut self) -> &mut PgConnection {
        &mut self.tx
    }
}

impl TenantTx {
    pub(crate) async fn begin(pool: &PgPool, tenant_id: TenantId) -> Result<Self> {
        // One message and one round trip. The only thing spliced in is a UUID.
        let begin = format!(
            "BEGIN; SET LOCAL ROLE gristmill_tenant; SET LOCAL gristmill.tenant = '{}'",
            tenant_id.0.hyphenated()
        );
        Ok(Self { tx: pool.begin_with(AssertSqlSafe(begin)).await?, tenant_id })
    }

    pub fn tenant_id(&self) -> TenantId {
        self.tenant_id
    }

    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    pub async fn commit(self) -> Result<()> {
        Ok(self.tx.commit().await?)
    }

    /// Tells workers, at commit, that there is work or that a job's state has changed.
    pub(crate) async fn hint(&mut self) -> Result<()> {
        hint(&mut self.tx).await
    }
}

impl SchedulerTx {
    pub(crate) async fn begin(pool: &PgPool) -> Result<Self> {
        Ok(Self { tx: pool.begin_with("BEGIN; SET LOCAL ROLE gristmill_scheduler").await? })
    }

    /// Tells workers, at commit, that there is work.
    pub(crate) async fn hint(&mut self) -> Result<()> {
        hint(&mut self.tx).await
    }

    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    pub async fn commit(self) -> Result<()> {
        Ok(self.tx.commit().await?)
    }
}

async fn hint(connection: &mut PgConnection) -> Result<()> {
    sqlx::query("SELECT pg_notify($1, '')").bind(CHANNEL).execute(connection).await?;
    Ok(())
}
