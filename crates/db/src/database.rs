//! The pool of connections, and the two ways into it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use domain::ids::TenantId;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{PgPool, Row};

use crate::{Error, Result, SchedulerTx, TenantTx};

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations");

/// How to reach Postgres.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Connections at most. Too few make callers wait for each other; too many exhaust the server.
    pub max_connections: u32,
    /// How long a caller waits for a free connection before it is told that the database is away.
    pub acquire_timeout: Duration,
    /// The server ends a statement that takes longer.
    pub statement_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_connections: 16,
            acquire_timeout: Duration::from_millis(2_500),
            statement_timeout: Duration::from_secs(30),
        }
    }
}

/// A handle to the database; cheap to clone.
#[derive(Debug, Clone)]
pub struct Database {
    pool: PgPool,
}

impl Database {
    /// A handle that connects when it is first used.
    ///
    /// # Errors
    /// The URL is malformed.
    pub fn open(url: &str, options: Options) -> Result<Self> {
        let connect: PgConnectOptions = url.parse().map_err(Error::Sql)?;
        let connect = connect.application_name("gristmill").options([
            ("statement_timeout", options.statement_timeout.as_millis().to_string()),
            // A process that was stopped in the middle of a transaction must not hold up the others for longer.
            ("idle_in_transaction_session_timeout", "10000".to_owned()),
            ("tcp_user_timeout", "15000".to_owned()),
            // Short statements only: compiling them costs more than it saves.
            ("jit", "off".to_owned()),
        ]);
        let pool = PgPoolOptions::new()
            .max_connections(options.max_connections)
            .acquire_timeout(options.acquire_timeout)
            .connect_lazy_with(connect);
        Ok(Self { pool })
    }

    /// Brings the schema up to date, under a lock that makes concurrent callers wait.
    pub async fn migrate(&self) -> Result<()> {
        Ok(MIGRATIONS.run(&self.pool).await?)
    }

    /// Differs between two versions of the schema.
    pub fn schema_fingerprint() -> u64 {
        let mut hasher = DefaultHasher::new();
        MIGRATIONS.iter().for_each(|migration| migration.checksum.hash(&mut hasher));
        hasher.finish()
    }

    /// A transaction that sees and writes the rows of one tenant.
    pub async fn tenant(&self, tenant_id: TenantId) -> Result<TenantTx> {
        TenantTx::begin(&self.pool, tenant_id).await
    }

    /// A transaction that sees ids, states, leases and weights of all tenants, and what is no tenant's.
    pub async fn scheduler(&self) -> Result<SchedulerTx> {
        SchedulerTx::begin(&self.pool).await
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<()> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }

    /// Refuses a server that confirms what it may lose in a crash.
    pub async fn ensure_durable(&self) -> Result<()> {
        for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
            let value: String =
                sqlx::query("SELECT current_setting($1)").bind(setting).fetch_one(&self.pool).await?.try_get(0)?;
            if value == "off" {
                return Err(Error::NotDurable { setting, value, wanted: "on" });
            }
        }
        Ok(())
    }

    /// Hints that there is work, or that a job's state has changed. A hint may be lost: poll as well.
    pub async fn listen(&self) -> Result<Listener> {
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.listen(crate::tx::CHANNEL).await?;
        Ok(Listener(listener))
    }

    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Receives hints; reconnects by itself.
pub struct Listener(PgListener);

impl Listener {
    /// Waits for the next hint, or for a lost connection to be there again.
    pub async fn hint(&mut self) -> Result<()> {
        self.0.try_recv().await?;
        Ok(())
    }
}
