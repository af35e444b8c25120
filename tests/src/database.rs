//! A fresh database for each test, cloned from a migrated template on the shared private cluster.

use anyhow::Context as _;
use db::Database;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use uuid::Uuid;

/// A database of its own; it goes with its cluster.
pub struct TestDb {
    pub url: String,
    admin_url: String,
    name: String,
}

/// Locks the making of the template.
const LOCK: i64 = 0x6772_6973_7400_0001;

impl TestDb {
    pub async fn new() -> anyhow::Result<Self> {
        let admin_url = tokio::task::spawn_blocking(private_postgres::shared::url).await?;
        let mut admin = PgConnection::connect(&admin_url).await?;
        let template = template(&mut admin, &admin_url).await?;
        let name = format!("test_{}", Uuid::now_v7().simple());
        // Names are made of hexadecimal digits here, so they need no quoting.
        let create = format!("CREATE DATABASE {name} TEMPLATE {template}");
        sqlx::query("SELECT pg_advisory_lock($1)").bind(LOCK).execute(&mut admin).await?;
        sqlx::query(AssertSqlSafe(create)).execute(&mut admin).await?;
        admin.close().await?;
        Ok(Self { url: with_database(&admin_url, &name), admin_url, name })
    }

    pub fn open(&self) -> anyhow::Result<Database> {
        Ok(Database::open(&self.url, db::Options { max_connections: 8, ..db::Options::default() })?)
    }

    /// A connection as the superuser, who sees all rows.
    pub async fn superuser(&self) -> anyhow::Result<PgConnection> {
        Ok(PgConnection::connect(&self.url).await?)
    }

    /// Drops it, with whatever is connected.
    pub async fn drop(self) -> anyhow::Result<()> {
        let mut admin = PgConnection::connect(&self.admin_url).await?;
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        sqlx::query(AssertSqlSafe(drop)).execute(&mut admin).await?;
        Ok(())
    }
}

/// The migrated template's name; made when it is missing. It has the migrations' fingerprint in its name, so that a changed schema
/// makes a new one.
async fn template(admin: &mut PgConnection, admin_url: &str) -> anyhow::Result<String> {
    let name = format!("template_{:016x}", db::Database::schema_fingerprint());
    sqlx::query("SELECT pg_advisory_lock($1)").bind(LOCK).execute(&mut *admin).await?;
    let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(&name)
        .fetch_one(&mut *admin)
        .await?;
    if !exists {
        let making = format!("{name}_making");
        sqlx::query(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {making} WITH (FORCE)")))
            .execute(&mut *admin)
            .await?;
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {making}"))).execute(&mut *admin).await?;
        let database = Database::open(&with_database(admin_url, &making), db::Options::default())?;
        database.migrate().await.context("the template could not be migrated")?;
        database.close().await;
        sqlx::query(AssertSqlSafe(format!("ALTER DATABASE {making} RENAME TO {name}"))).execute(&mut *admin).await?;
    }
    sqlx::query("SELECT pg_advisory_unlock($1)").bind(LOCK).execute(admin).await?;
    Ok(name)
}

/// The same server's URL with another database.
fn with_database(url: &str, database: &str) -> String {
    let (server, parameters) = url.split_once('?').unwrap_or((url, ""));
    let server = server.rsplit_once('/').map_or(server, |(server, _)| server);
    format!("{server}/{database}?{parameters}")
}
