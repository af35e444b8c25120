//! Tenants don't see each other's rows, whatever a statement forgets.

use domain::ids::TenantId;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use uuid::Uuid;

use super::fixture::{Fixture, failure};

const TENANT_TABLES: &str = "FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
    WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace";

const ROLES: &str = "('gristmill_tenant', 'gristmill_scheduler')";

/// The SQLSTATE of a refused statement.
async fn refusal(connection: &mut PgConnection, statement: &str) -> anyhow::Result<String> {
    sqlx::raw_sql("SAVEPOINT before").execute(&mut *connection).await?;
    let result = sqlx::query(AssertSqlSafe(statement.to_owned())).execute(&mut *connection).await;
    sqlx::raw_sql("ROLLBACK TO before").execute(&mut *connection).await?;
    match result {
        Ok(_) => Ok("accepted".to_owned()),
        Err(error) => {
            Ok(error.as_database_error().and_then(sqlx::error::DatabaseError::code).unwrap_or_default().into_owned())
        }
    }
}

const INSUFFICIENT_PRIVILEGE: &str = "42501";

#[tokio::test]
async fn every_table_of_tenants_has_forced_row_level_security_and_a_policy() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    assert!(fixture.select::<String>(&format!("SELECT c.relname::text {TENANT_TABLES}")).await?.len() >= 12);
    let open: Vec<String> = fixture
        .select(&format!(
            "SELECT c.relname::text {TENANT_TABLES} AND NOT (c.relrowsecurity AND c.relforcerowsecurity AND EXISTS (
                SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polqual IS NOT NULL AND p.polwithcheck IS NOT NULL
                AND p.polroles = ARRAY['gristmill_tenant'::regrole::oid]))"
        ))
        .await?;
    assert_eq!(open, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn tables_without_a_tenant_are_known_by_name() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    let tables: Vec<String> = fixture
        .select(&format!(
            "SELECT relname::text FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace
            AND oid NOT IN (SELECT c.oid {TENANT_TABLES}) ORDER BY 1"
        ))
        .await?;
    assert_eq!(
        tables,
        [
            "_sqlx_migrations",
            "credential_versions",
            "credentials",
            "deleted_records",
            "limit_groups",
            "models",
            "provider_records"
        ]
    );
    Ok(())
}

#[tokio::test]
async fn the_roles_have_no_power_of_their_own() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    let powerful: Vec<String> = fixture
        .select(&format!(
            "SELECT rolname::text FROM pg_roles WHERE rolname IN {ROLES}
            AND (rolcanlogin OR rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication)"
        ))
        .await?;
    assert_eq!(powerful, Vec::<String>::new());
    assert_eq!(fixture.count(&format!("pg_roles WHERE rolname IN {ROLES}")).await?, 2);
    assert_eq!(fixture.count(&format!("pg_class WHERE relowner::regrole::text IN {ROLES}")).await?, 0);
    assert_eq!(fixture.count(&format!("pg_proc WHERE proowner::regrole::text IN {ROLES}")).await?, 0);
    let truncating: Vec<String> = fixture
        .select(&format!(
            "SELECT c.relname::text {TENANT_TABLES} AND has_table_privilege('gristmill_tenant', c.oid, 'TRUNCATE')"
        ))
        .await?;
    assert_eq!(truncating, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn every_column_and_table_is_commented() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    let silent: Vec<String> = fixture
        .select(
            "SELECT c.relname || '.' || a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
            WHERE c.relkind IN ('r', 'p', 'v') AND c.relnamespace = 'public'::regnamespace AND c.relname <> '_sqlx_migrations'
            AND a.attnum > 0 AND NOT a.attisdropped
            AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid, 'pg_class') IS NULL) ORDER BY 1",
        )
        .await?;
    assert_eq!(silent, Vec::<String>::new());
    Ok(())
}

/// A tenant with rows in every table that a running job fills.
async fn busy() -> anyhow::Result<(Fixture, Vec<String>)> {
    let fixture = Fixture::new().await?;
    fixture.running(&[3]).await?;
    let lease = fixture.form(2).await?;
    fixture.commit(&lease, 0, &[failure(0)], &[super::fixture::attempt(1, 1)]).await?;
    let tables = fixture.select(&format!("SELECT c.relname::text {TENANT_TABLES}")).await?;
    Ok((fixture, tables))
}

#[tokio::test]
async fn a_statement_without_a_filter_leaks_nothing() -> anyhow::Result<()> {
    let (fixture, tables) = busy().await?;
    let stranger = TenantId(Uuid::now_v7());
    fixture.add_tenant(stranger).await?;
    for tenant in [None, Some(stranger)] {
        let mut connection = fixture.role("gristmill_tenant", tenant).await?;
        for table in &tables {
            let others = format!("SELECT count(*) FROM {table} WHERE tenant_id = '{}'", fixture.tenant_id.0);
            let seen: i64 = sqlx::query_scalar(AssertSqlSafe(others)).fetch_one(&mut connection).await?;
            assert_eq!(seen, 0, "{table} seen by {tenant:?}");
            let deleted =
                sqlx::query(AssertSqlSafe(format!("DELETE FROM {table} WHERE tenant_id = '{}'", fixture.tenant_id.0)));
            assert_eq!(deleted.execute(&mut connection).await?.rows_affected(), 0, "{table} deleted by {tenant:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_unset_tenant_sees_no_rows_at_all() -> anyhow::Result<()> {
    let (fixture, tables) = busy().await?;
    let mut connection = fixture.role("gristmill_tenant", None).await?;
    for table in tables {
        let all = format!("SELECT count(*) FROM {table}");
        let seen: i64 = sqlx::query_scalar(AssertSqlSafe(all)).fetch_one(&mut connection).await?;
        assert_eq!(seen, 0, "{table}");
    }
    Ok(())
}

#[tokio::test]
async fn a_tenant_s_own_functions_see_only_its_rows() -> anyhow::Result<()> {
    let (fixture, _) = busy().await?;
    let stranger = TenantId(Uuid::now_v7());
    fixture.add_tenant(stranger).await?;
    let job_id = domain::ids::JobId(fixture.select::<Uuid>("SELECT job_id FROM jobs").await?[0]);
    let mut tx = fixture.db.tenant(stranger).await?;
    assert!(db::jobs::get(&mut tx, job_id).await?.is_none());
    assert!(db::chunks::get(&mut tx, job_id, 0).await?.is_none());
    assert_eq!(db::outcomes::range(&mut tx, job_id, 0, 0, 10).await?, []);
    assert!(db::jobs::transition(&mut tx, job_id, domain::job::Event::Cancel).await?.is_none());
    Ok(())
}

#[tokio::test]
async fn a_tenant_can_t_write_in_another_s_name() -> anyhow::Result<()> {
    let (fixture, _) = busy().await?;
    let stranger = TenantId(Uuid::now_v7());
    fixture.add_tenant(stranger).await?;
    let mut connection = fixture.role("gristmill_tenant", Some(stranger)).await?;
    let insert = format!(
        "INSERT INTO events (tenant_id, job_id, state) SELECT '{}', gen_random_uuid(), 'queued'",
        fixture.tenant_id.0
    );
    assert_eq!(refusal(&mut connection, &insert).await?, INSUFFICIENT_PRIVILEGE);
    let update = format!("UPDATE tenants SET tenant_id = '{}'", fixture.tenant_id.0);
    assert_eq!(refusal(&mut connection, &update).await?, INSUFFICIENT_PRIVILEGE);
    for secret in ["credentials", "credential_versions"] {
        assert_eq!(refusal(&mut connection, &format!("SELECT * FROM {secret}")).await?, INSUFFICIENT_PRIVILEGE);
    }
    Ok(())
}

#[tokio::test]
async fn the_scheduler_can_t_read_what_tenants_write() -> anyhow::Result<()> {
    let (fixture, _) = busy().await?;
    let mut connection = fixture.role("gristmill_scheduler", None).await?;
    for secret in [
        "spec FROM jobs",
        "name FROM jobs",
        "input FROM jobs",
        "metadata FROM jobs",
        "output FROM jobs",
        "failure_detail FROM jobs",
        "* FROM jobs",
        "input_path FROM chunks",
        "cursor FROM job_steps",
        "last_error FROM job_steps",
        "response FROM outcomes",
        "row_no FROM outcomes",
        "row_no FROM attempts",
        "row_states FROM chunk_summaries",
        "uri_prefix FROM storage_grants",
        "key FROM idempotency_keys",
        "detail FROM events",
    ] {
        assert_eq!(refusal(&mut connection, &format!("SELECT {secret}")).await?, INSUFFICIENT_PRIVILEGE, "{secret}");
    }
    let seen = sqlx::query("SELECT job_id, state FROM jobs").fetch_all(&mut connection).await?;
    assert_eq!(seen[0].try_get::<String, _>("state")?, "running");
    Ok(())
}

#[tokio::test]
async fn a_connection_comes_back_to_the_pool_without_its_tenant() -> anyhow::Result<()> {
    let (fixture, _) = busy().await?;
    let options = db::Options { max_connections: 1, ..db::Options::default() };
    let db = db::Database::open(&fixture.test_db.url, options)?;
    // Neither committed nor rolled back by hand: the request that held it was given up.
    drop(db.tenant(fixture.tenant_id).await?);
    let mut tx = db.tenant(TenantId(Uuid::now_v7())).await?;
    let filter = db::jobs::Filter::default();
    assert!(db::jobs::list(&mut tx, &filter, db::jobs::Page { before: None, limit: 10 }).await?.is_empty());
    Ok(())
}
