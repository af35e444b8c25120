CREATE TABLE jobs (
    job_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants,
    name text,
    state text NOT NULL CHECK (state IN ('queued', 'planning', 'running', 'merging', 'completed', 'paused',
        'cancelling', 'expiring', 'failed', 'cancelled', 'expired')),
    paused_from text CHECK (paused_from IN ('queued', 'planning', 'running')),
    generation integer NOT NULL DEFAULT 0,
    provider_id text NOT NULL,
    model text NOT NULL,
    spec bytea NOT NULL,
    input jsonb NOT NULL,
    metadata jsonb NOT NULL DEFAULT '{}',
    deadline timestamptz NOT NULL,
    total_rows bigint,
    chunk_count integer,
    error_codes text[] NOT NULL DEFAULT '{}',
    output jsonb,
    failure_code text,
    failure_detail text,
    version bigint NOT NULL DEFAULT 1,
    last_dispatched_at timestamptz,
    not_before timestamptz,
    open_since timestamptz,
    probes integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    finished_at timestamptz,
    CHECK ((state = 'paused') = (paused_from IS NOT NULL)),
    CHECK ((state = 'failed') = (failure_code IS NOT NULL)),
    CHECK ((state IN ('completed', 'failed', 'cancelled', 'expired')) = (finished_at IS NOT NULL))
) WITH (fillfactor = 70);
CREATE INDEX jobs_by_tenant ON jobs (tenant_id, job_id DESC);
CREATE INDEX jobs_running ON jobs (job_id) WHERE state = 'running';
CREATE INDEX jobs_open_by_deadline ON jobs (deadline)
    WHERE state IN ('queued', 'planning', 'running', 'merging', 'paused');
CREATE INDEX jobs_ending ON jobs (job_id) WHERE state IN ('cancelling', 'expiring');
COMMENT ON TABLE jobs IS 'One input file, one prompt, one model, one output file.';
COMMENT ON COLUMN jobs.job_id IS 'job_…';
COMMENT ON COLUMN jobs.tenant_id IS 'Whose job.';
COMMENT ON COLUMN jobs.name IS 'For people; need not be unique.';
COMMENT ON COLUMN jobs.state IS 'domain::job::State.';
COMMENT ON COLUMN jobs.paused_from IS 'The state that resume returns to.';
COMMENT ON COLUMN jobs.generation IS '0 for the first run.';
COMMENT ON COLUMN jobs.provider_id IS 'The part of the model before the slash.';
COMMENT ON COLUMN jobs.model IS 'The part of the model after the slash.';
COMMENT ON COLUMN jobs.spec IS 'The accepted request as JSON; bytes, because prompts may hold NUL.';
COMMENT ON COLUMN jobs.input IS 'The pinned version and the schema of the input.';
COMMENT ON COLUMN jobs.metadata IS 'The caller''s own pairs.';
COMMENT ON COLUMN jobs.deadline IS 'The job expires then.';
COMMENT ON COLUMN jobs.total_rows IS 'Input rows; null until plan has ended.';
COMMENT ON COLUMN jobs.chunk_count IS 'Chunks; null until plan has ended.';
COMMENT ON COLUMN jobs.error_codes IS 'The codes that chunk summaries index into.';
COMMENT ON COLUMN jobs.output IS 'URI, format, bytes and SHA-256 of the output, once it is visible.';
COMMENT ON COLUMN jobs.failure_code IS 'Why the job itself could not go on.';
COMMENT ON COLUMN jobs.failure_detail IS 'The same for people.';
COMMENT ON COLUMN jobs.version IS 'One more with each change of this row; part of the ETag.';
COMMENT ON COLUMN jobs.last_dispatched_at IS 'When rows of it last went into a dispatch; jobs take turns by it.';
COMMENT ON COLUMN jobs.not_before IS 'Its open rows wait for company until then, or for a sign; null: they need not.';
COMMENT ON COLUMN jobs.open_since IS 'Since when rows of it have been open without a break.';
COMMENT ON COLUMN jobs.probes IS 'Rows that were tried in real time before its first provider batch.';
COMMENT ON COLUMN jobs.created_at IS 'Database time of submit.';
COMMENT ON COLUMN jobs.started_at IS 'Database time at which plan began.';
COMMENT ON COLUMN jobs.finished_at IS 'Database time of the terminal state.';

CREATE TABLE idempotency_keys (
    tenant_id uuid NOT NULL REFERENCES tenants,
    route text NOT NULL,
    key text NOT NULL,
    body_sha256 bytea NOT NULL,
    job_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, route, key)
);
COMMENT ON TABLE idempotency_keys IS 'What a repeated submit gets back.';
COMMENT ON COLUMN idempotency_keys.tenant_id IS 'Keys of two tenants are independent.';
COMMENT ON COLUMN idempotency_keys.route IS 'Method and path.';
COMMENT ON COLUMN idempotency_keys.key IS 'The caller''s Idempotency-Key.';
COMMENT ON COLUMN idempotency_keys.body_sha256 IS 'Another body under the same key is refused.';
COMMENT ON COLUMN idempotency_keys.job_id IS 'The job that the first call made.';
COMMENT ON COLUMN idempotency_keys.created_at IS 'Database time; kept for at least 24 hours.';

CREATE TABLE events (
    event_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id uuid NOT NULL,
    job_id uuid NOT NULL REFERENCES jobs ON DELETE CASCADE,
    state text NOT NULL,
    detail text,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX events_by_job ON events (job_id, event_id);
COMMENT ON TABLE events IS 'A job''s history: one row for each state that it entered. Append-only.';
COMMENT ON COLUMN events.event_id IS 'Ascending within a job.';
COMMENT ON COLUMN events.tenant_id IS 'Whose job.';
COMMENT ON COLUMN events.job_id IS 'Which job.';
COMMENT ON COLUMN events.state IS 'The state entered.';
COMMENT ON COLUMN events.detail IS 'Why, where there is more to say.';
COMMENT ON COLUMN events.created_at IS 'Database time.';

CREATE TABLE job_steps (
    step_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    job_id uuid NOT NULL REFERENCES jobs ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('plan', 'seal', 'assemble')),
    chunk_no integer,
    cursor jsonb,
    run_at timestamptz NOT NULL DEFAULT now(),
    lease_owner uuid,
    lease_epoch integer NOT NULL DEFAULT 0,
    failures integer NOT NULL DEFAULT 0,
    last_error text,
    UNIQUE NULLS NOT DISTINCT (job_id, kind, chunk_no),
    CHECK ((kind = 'seal') = (chunk_no IS NOT NULL))
) WITH (fillfactor = 70);
CREATE INDEX job_steps_by_run_at ON job_steps (run_at);
COMMENT ON TABLE job_steps IS 'Leased, epoch-fenced, resumable steps other than run. A finished step''s row is gone.';
COMMENT ON COLUMN job_steps.step_id IS 'stp_…';
COMMENT ON COLUMN job_steps.tenant_id IS 'Whose job.';
COMMENT ON COLUMN job_steps.job_id IS 'Which job.';
COMMENT ON COLUMN job_steps.kind IS 'plan: cut the input into chunks; seal: write a closed chunk''s results and output part; assemble: join the parts.';
COMMENT ON COLUMN job_steps.chunk_no IS 'The chunk to seal.';
COMMENT ON COLUMN job_steps.cursor IS 'Where the next holder of the lease continues.';
COMMENT ON COLUMN job_steps.run_at IS 'When it may be claimed: the lease''s end while somebody holds it.';
COMMENT ON COLUMN job_steps.lease_owner IS 'The worker that holds or last held it.';
COMMENT ON COLUMN job_steps.lease_epoch IS 'One more with each claim; every write for the step names it.';
COMMENT ON COLUMN job_steps.failures IS 'Tries in a row that ended in an error; sets the backoff.';
COMMENT ON COLUMN job_steps.last_error IS 'Of the last of them.';
