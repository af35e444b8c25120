-- Two roles that nobody logs in as; every transaction enters one of them with SET LOCAL ROLE.
-- Roles belong to the whole cluster, so another database's migration may have made them, even at this moment.
DO $$
BEGIN
    CREATE ROLE gristmill_tenant NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;

DO $$
BEGIN
    CREATE ROLE gristmill_scheduler NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;

DO $$
BEGIN
    IF NOT pg_has_role(CURRENT_USER, 'gristmill_tenant', 'MEMBER')
        OR NOT pg_has_role(CURRENT_USER, 'gristmill_scheduler', 'MEMBER') THEN
        GRANT gristmill_tenant, gristmill_scheduler TO CURRENT_USER;
    END IF;
END $$;

-- The tenant of this transaction; null when none is set, which no row's tenant equals.
CREATE FUNCTION current_tenant() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('gristmill.tenant', true), '')::uuid;
