CREATE TABLE tenants (
    tenant_id uuid PRIMARY KEY,
    name text NOT NULL UNIQUE,
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended')),
    weight integer NOT NULL DEFAULT 1 CHECK (weight BETWEEN 1 AND 1000),
    quotas jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE tenants IS 'Teams. Nothing crosses from one to another.';
COMMENT ON COLUMN tenants.tenant_id IS 'ten_…';
COMMENT ON COLUMN tenants.name IS 'For people; unique.';
COMMENT ON COLUMN tenants.status IS 'active; suspended: its jobs can be read, not changed, and get no new dispatch.';
COMMENT ON COLUMN tenants.weight IS 'Share of a limit group beside other tenants.';
COMMENT ON COLUMN tenants.quotas IS 'Limits by name; an absent name is unlimited.';
COMMENT ON COLUMN tenants.created_at IS 'Database time.';

CREATE TABLE api_keys (
    key_id uuid PRIMARY KEY,
    tenant_id uuid REFERENCES tenants,
    name text NOT NULL,
    sha256 bytea NOT NULL UNIQUE CHECK (octet_length(sha256) = 32),
    last_four text NOT NULL,
    scopes text[] NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK (tenant_id IS NOT NULL OR scopes = ARRAY['admin'])
);
CREATE INDEX api_keys_by_tenant ON api_keys (tenant_id, key_id);
COMMENT ON TABLE api_keys IS 'API keys, without the secrets.';
COMMENT ON COLUMN api_keys.key_id IS 'key_…';
COMMENT ON COLUMN api_keys.tenant_id IS 'Whose key; null for an administrator''s.';
COMMENT ON COLUMN api_keys.name IS 'For people.';
COMMENT ON COLUMN api_keys.sha256 IS 'Of the whole key. The key has 256 random bits, so a slow hash would add nothing.';
COMMENT ON COLUMN api_keys.last_four IS 'The key''s last four characters, to tell keys apart in a list.';
COMMENT ON COLUMN api_keys.scopes IS 'jobs:read, jobs:write, admin.';
COMMENT ON COLUMN api_keys.expires_at IS 'Refused from then on; null: never.';
COMMENT ON COLUMN api_keys.revoked_at IS 'Refused from then on.';
COMMENT ON COLUMN api_keys.last_used_at IS 'Written at most once a minute.';
COMMENT ON COLUMN api_keys.created_at IS 'Database time.';

CREATE TABLE credentials (
    name text PRIMARY KEY,
    version bigint NOT NULL DEFAULT 1
);
COMMENT ON TABLE credentials IS 'Secrets of providers and object stores. They are nobody''s rows: tenants reach them only through a record or a grant.';
COMMENT ON COLUMN credentials.name IS 'As provider records and grants name it.';
COMMENT ON COLUMN credentials.version IS 'The newest of its secrets.';

CREATE TABLE credential_versions (
    name text NOT NULL REFERENCES credentials,
    version bigint NOT NULL,
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (name, version)
);
COMMENT ON TABLE credential_versions IS 'The secrets themselves. Replaced ones stay while a provider batch that was created with them is under way.';
COMMENT ON COLUMN credential_versions.name IS 'Of which credential.';
COMMENT ON COLUMN credential_versions.version IS 'From 1; one more with each change.';
COMMENT ON COLUMN credential_versions.sealed IS 'The secret (a text, or a JSON object for signed schemes), encrypted with AES-256-GCM under the master key, with the name as associated data.';
COMMENT ON COLUMN credential_versions.created_at IS 'Database time; the version before was replaced then.';

CREATE TABLE storage_grants (
    grant_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants,
    uri_prefix text NOT NULL,
    access text NOT NULL CHECK (access IN ('read', 'write', 'read_write')),
    credential text REFERENCES credentials,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX storage_grants_by_tenant ON storage_grants (tenant_id);
COMMENT ON TABLE storage_grants IS 'Where in object storage a tenant''s jobs may read and write.';
COMMENT ON COLUMN storage_grants.grant_id IS 'gra_…';
COMMENT ON COLUMN storage_grants.tenant_id IS 'To whom.';
COMMENT ON COLUMN storage_grants.uri_prefix IS 'Covers what is below it, by whole path segments.';
COMMENT ON COLUMN storage_grants.access IS 'read, write or read_write.';
COMMENT ON COLUMN storage_grants.credential IS 'Used to reach it; null: the process''s own.';
COMMENT ON COLUMN storage_grants.created_at IS 'Database time.';
