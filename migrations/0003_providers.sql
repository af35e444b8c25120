CREATE TABLE provider_records (
    provider_id text PRIMARY KEY,
    version bigint NOT NULL,
    record json NOT NULL,
    from_defaults boolean NOT NULL DEFAULT false,
    updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE provider_records IS 'The capability table: what each provider can do, edited while the service runs.';
COMMENT ON COLUMN provider_records.provider_id IS 'The part before the slash in a job''s model.';
COMMENT ON COLUMN provider_records.version IS 'One more with each change.';
COMMENT ON COLUMN provider_records.record IS 'Driver, base URL, credential name, limits; json, which keeps them as they were written.';
COMMENT ON COLUMN provider_records.from_defaults IS 'It came with the binary, whatever was changed since: later binaries may add models to it.';
COMMENT ON COLUMN provider_records.updated_at IS 'Database time.';

CREATE TABLE models (
    provider_id text NOT NULL REFERENCES provider_records ON DELETE CASCADE,
    model text NOT NULL,
    version bigint NOT NULL,
    record json NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (provider_id, model)
);
COMMENT ON TABLE models IS 'Models of the providers.';
COMMENT ON COLUMN models.provider_id IS 'Whose model.';
COMMENT ON COLUMN models.model IS 'The part after the slash in a job''s model.';
COMMENT ON COLUMN models.version IS 'One more with each change; attempts name the version that they were billed with.';
COMMENT ON COLUMN models.record IS 'The provider''s own name of it, sizes, prices, limits of its own; json, which keeps them as they were written.';
COMMENT ON COLUMN models.updated_at IS 'Database time.';

CREATE TABLE deleted_records (
    name text PRIMARY KEY,
    version bigint NOT NULL
);
COMMENT ON TABLE deleted_records IS 'Provider and model records that an administrator has deleted: defaults among them stay away.';
COMMENT ON COLUMN deleted_records.name IS '{provider} or {provider}/{model}.';
COMMENT ON COLUMN deleted_records.version IS 'Its last one. A record of this name that is put again goes on from there, so that no version means two things.';

CREATE TABLE limit_groups (
    limit_group text PRIMARY KEY,
    paused_code text,
    paused_detail text,
    paused_at timestamptz,
    batch_latency_s integer[] NOT NULL DEFAULT '{}',
    enqueued_tokens_cap bigint,
    batch_refusals integer NOT NULL DEFAULT 0,
    next_create_at timestamptz,
    flow jsonb NOT NULL DEFAULT '{}',
    CHECK ((paused_code IS NULL) = (paused_at IS NULL))
);
COMMENT ON TABLE limit_groups IS 'What a provider counts together (credential and model), and why it stands still.';
COMMENT ON COLUMN limit_groups.limit_group IS '{credential}/{upstream model}.';
COMMENT ON COLUMN limit_groups.paused_code IS 'A key-level failure, such as provider_auth_failed; null while calls flow.';
COMMENT ON COLUMN limit_groups.paused_detail IS 'The same for people.';
COMMENT ON COLUMN limit_groups.paused_at IS 'Database time of the last such failure.';
COMMENT ON COLUMN limit_groups.batch_latency_s IS 'Seconds from create to end of the last provider batches that were done, oldest first.';
COMMENT ON COLUMN limit_groups.enqueued_tokens_cap IS 'Learned from refusals: fewer tokens than the record allows. Null: the record''s hold.';
COMMENT ON COLUMN limit_groups.batch_refusals IS 'Refusals for want of queue since the last provider batch that was done; sets the rest.';
COMMENT ON COLUMN limit_groups.next_create_at IS 'No provider batch is created before then: creates are spaced, and rest after a refusal.';
COMMENT ON COLUMN limit_groups.flow IS 'domain::flow::Flow: what workers share on the real-time route.';
