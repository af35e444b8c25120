-- Row-level security, forced even on the owner, for every table that has a tenant.
DO $$
DECLARE
    target text;
BEGIN
    FOR target IN
        SELECT c.relname
        FROM pg_class c
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
        WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', target);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', target);
        EXECUTE format('CREATE POLICY of_tenant ON %I TO gristmill_tenant
            USING (tenant_id = (SELECT current_tenant())) WITH CHECK (tenant_id = (SELECT current_tenant()))', target);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO gristmill_tenant', target);
    END LOOP;
END $$;

GRANT SELECT ON provider_records, models, limit_groups TO gristmill_tenant;
-- Whether a credential is stored decides which models can be used.
GRANT SELECT (name) ON credentials TO gristmill_tenant;

-- The scheduler sees every tenant's work, but only ids, states, leases and weights of it.
CREATE POLICY of_scheduler ON tenants TO gristmill_scheduler USING (true);
CREATE POLICY of_scheduler ON api_keys TO gristmill_scheduler USING (true);
CREATE POLICY of_scheduler ON jobs TO gristmill_scheduler USING (true);
CREATE POLICY of_scheduler ON job_steps TO gristmill_scheduler USING (true);
CREATE POLICY of_scheduler ON chunks TO gristmill_scheduler USING (true);
CREATE POLICY of_scheduler ON dispatches TO gristmill_scheduler USING (true);
CREATE POLICY of_scheduler ON dispatch_rows TO gristmill_scheduler USING (true);
CREATE POLICY of_scheduler ON events TO gristmill_scheduler USING (true);
CREATE POLICY of_scheduler ON remote_objects TO gristmill_scheduler USING (true);

GRANT SELECT (tenant_id, name, status, weight, quotas, created_at) ON tenants TO gristmill_scheduler;
GRANT SELECT, INSERT, UPDATE ON api_keys TO gristmill_scheduler;
GRANT SELECT (job_id, tenant_id, state, paused_from, generation, provider_id, model, deadline, version, last_dispatched_at,
        not_before, open_since, probes, created_at),
    UPDATE (state, paused_from, version, last_dispatched_at, not_before, open_since, probes, finished_at) ON jobs TO gristmill_scheduler;
GRANT SELECT (step_id, tenant_id, job_id, kind, chunk_no, run_at, lease_owner, lease_epoch, failures),
    UPDATE (run_at, lease_owner, lease_epoch), INSERT, DELETE ON job_steps TO gristmill_scheduler;
GRANT SELECT (job_id, chunk_no, tenant_id, first_row, row_count, bytes, tokens, closed, in_flight, has_open, realtime_only, succeeded,
        sealed_at),
    UPDATE (in_flight, has_open) ON chunks TO gristmill_scheduler;
GRANT SELECT, INSERT, UPDATE, DELETE ON dispatches, dispatch_rows, remote_objects TO gristmill_scheduler;
GRANT INSERT ON events TO gristmill_scheduler;

-- Configuration is no tenant's.
GRANT SELECT, INSERT, UPDATE, DELETE ON provider_records, models, deleted_records, limit_groups, credentials, credential_versions
    TO gristmill_scheduler;
