CREATE TABLE chunks (
    job_id uuid NOT NULL REFERENCES jobs ON DELETE CASCADE,
    chunk_no integer NOT NULL,
    tenant_id uuid NOT NULL,
    first_row bigint NOT NULL,
    row_count integer NOT NULL CHECK (row_count BETWEEN 1 AND 2000),
    bytes bigint NOT NULL,
    tokens bigint NOT NULL,
    input_path text NOT NULL,
    closed bit varying NOT NULL,
    in_flight bit varying NOT NULL,
    has_open boolean NOT NULL,
    succeeded integer NOT NULL DEFAULT 0,
    failed integer NOT NULL DEFAULT 0,
    cancelled integer NOT NULL DEFAULT 0,
    expired integer NOT NULL DEFAULT 0,
    input_tokens bigint NOT NULL DEFAULT 0,
    cached_input_tokens bigint NOT NULL DEFAULT 0,
    output_tokens bigint NOT NULL DEFAULT 0,
    cost bigint NOT NULL DEFAULT 0,
    sealed_at timestamptz,
    PRIMARY KEY (job_id, chunk_no),
    CHECK (bit_length(closed) = row_count AND bit_length(in_flight) = row_count)
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);
CREATE INDEX chunks_open ON chunks (job_id, chunk_no) WHERE has_open;
CREATE INDEX chunks_unsealed ON chunks (job_id, chunk_no) WHERE sealed_at IS NULL;
COMMENT ON TABLE chunks IS 'Contiguous slices of a job''s rows: the unit of storage, summaries and merged parts.';
COMMENT ON COLUMN chunks.job_id IS 'Which job.';
COMMENT ON COLUMN chunks.chunk_no IS 'From 0, in input order.';
COMMENT ON COLUMN chunks.tenant_id IS 'Whose job.';
COMMENT ON COLUMN chunks.first_row IS 'Its first input row, from 0.';
COMMENT ON COLUMN chunks.row_count IS 'Input rows.';
COMMENT ON COLUMN chunks.bytes IS 'Of all its rendered prompts.';
COMMENT ON COLUMN chunks.tokens IS 'Estimated input tokens of all its rendered prompts.';
COMMENT ON COLUMN chunks.input_path IS 'Its rows as Parquet, below the work prefix.';
COMMENT ON COLUMN chunks.closed IS 'A bit per row: it has its outcome in this generation.';
COMMENT ON COLUMN chunks.in_flight IS 'A bit per row: it is in an unsettled dispatch.';
COMMENT ON COLUMN chunks.has_open IS 'Some row is neither closed nor in flight. Kept apart from the bitmaps because it is indexed and they change all the time.';
COMMENT ON COLUMN chunks.succeeded IS 'Closed rows that succeeded.';
COMMENT ON COLUMN chunks.failed IS 'Closed rows that failed.';
COMMENT ON COLUMN chunks.cancelled IS 'Closed rows that were cancelled.';
COMMENT ON COLUMN chunks.expired IS 'Closed rows that expired.';
COMMENT ON COLUMN chunks.input_tokens IS 'Of all attempts.';
COMMENT ON COLUMN chunks.cached_input_tokens IS 'Of all attempts; part of input_tokens.';
COMMENT ON COLUMN chunks.output_tokens IS 'Of all attempts.';
COMMENT ON COLUMN chunks.cost IS 'Of all attempts, in 10⁻¹² USD.';
COMMENT ON COLUMN chunks.sealed_at IS 'Its results and output part are in object storage; its outcomes have left Postgres.';

CREATE TABLE dispatches (
    dispatch_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    job_id uuid NOT NULL REFERENCES jobs ON DELETE CASCADE,
    generation integer NOT NULL,
    route text NOT NULL CHECK (route IN ('batch', 'realtime')),
    provider_id text NOT NULL,
    model text NOT NULL,
    remote_id text,
    run_at timestamptz NOT NULL,
    lease_owner uuid,
    lease_epoch integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);
CREATE INDEX dispatches_by_run_at ON dispatches (run_at);
CREATE INDEX dispatches_by_job ON dispatches (job_id);
CREATE INDEX dispatches_by_owner ON dispatches (lease_owner);
COMMENT ON TABLE dispatches IS 'Open rows on their way to a provider. A settled dispatch''s row is gone.';
COMMENT ON COLUMN dispatches.dispatch_id IS 'dis_…';
COMMENT ON COLUMN dispatches.tenant_id IS 'Whose rows.';
COMMENT ON COLUMN dispatches.job_id IS 'Which job''s rows.';
COMMENT ON COLUMN dispatches.generation IS 'The job''s generation when it was formed.';
COMMENT ON COLUMN dispatches.route IS 'batch or realtime, chosen when it was formed.';
COMMENT ON COLUMN dispatches.provider_id IS 'Where to.';
COMMENT ON COLUMN dispatches.model IS 'For which model.';
COMMENT ON COLUMN dispatches.remote_id IS 'The provider''s id of the provider batch; null until it is known, and on the real-time route.';
COMMENT ON COLUMN dispatches.run_at IS 'When it may be claimed: the lease''s end while somebody holds it.';
COMMENT ON COLUMN dispatches.lease_owner IS 'The worker that holds or last held it.';
COMMENT ON COLUMN dispatches.lease_epoch IS 'One more with each claim; every write for the dispatch names it.';
COMMENT ON COLUMN dispatches.created_at IS 'Database time.';

CREATE TABLE dispatch_rows (
    dispatch_id uuid NOT NULL REFERENCES dispatches ON DELETE CASCADE,
    tenant_id uuid NOT NULL,
    job_id uuid NOT NULL,
    chunk_no integer NOT NULL,
    rows bit varying NOT NULL,
    PRIMARY KEY (dispatch_id, chunk_no)
);
COMMENT ON TABLE dispatch_rows IS 'The rows of a dispatch, by chunk.';
COMMENT ON COLUMN dispatch_rows.dispatch_id IS 'Which dispatch.';
COMMENT ON COLUMN dispatch_rows.tenant_id IS 'Whose rows.';
COMMENT ON COLUMN dispatch_rows.job_id IS 'Which job.';
COMMENT ON COLUMN dispatch_rows.chunk_no IS 'Which chunk.';
COMMENT ON COLUMN dispatch_rows.rows IS 'A bit per row of the chunk.';

CREATE TABLE outcomes (
    job_id uuid NOT NULL,
    generation integer NOT NULL,
    row_no bigint NOT NULL,
    tenant_id uuid NOT NULL,
    status smallint NOT NULL CHECK (status BETWEEN 0 AND 3),
    attempts integer NOT NULL,
    input_tokens bigint NOT NULL,
    cached_input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    cost bigint,
    error_code text,
    error text,
    model text,
    finish_reason text,
    response bytea,
    PRIMARY KEY (job_id, generation, row_no),
    CHECK ((status = 0) = (error_code IS NULL))
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 1);
-- Answers are compressed when their chunk is sealed; doing it here as well would cost more than all else in the commit.
ALTER TABLE outcomes ALTER COLUMN response SET STORAGE EXTERNAL;
COMMENT ON TABLE outcomes IS 'Outcomes of chunks that are not sealed yet. Append-only; leaves when its chunk''s Parquet is written.';
COMMENT ON COLUMN outcomes.job_id IS 'Which job.';
COMMENT ON COLUMN outcomes.generation IS 'In which generation.';
COMMENT ON COLUMN outcomes.row_no IS 'Which input row, from 0.';
COMMENT ON COLUMN outcomes.tenant_id IS 'Whose row.';
COMMENT ON COLUMN outcomes.status IS 'domain::outcome::Status: 0 succeeded, 1 failed, 2 cancelled, 3 expired.';
COMMENT ON COLUMN outcomes.attempts IS 'Requests sent for the row.';
COMMENT ON COLUMN outcomes.input_tokens IS 'Of all its attempts, cached ones included.';
COMMENT ON COLUMN outcomes.cached_input_tokens IS 'Of all its attempts.';
COMMENT ON COLUMN outcomes.output_tokens IS 'Of all its attempts.';
COMMENT ON COLUMN outcomes.cost IS 'Of all its attempts, in 10⁻¹² USD; null where prices are unknown.';
COMMENT ON COLUMN outcomes.error_code IS 'Stable; null on success.';
COMMENT ON COLUMN outcomes.error IS 'For people; without NUL.';
COMMENT ON COLUMN outcomes.model IS 'The model that answered.';
COMMENT ON COLUMN outcomes.finish_reason IS 'The provider''s word.';
COMMENT ON COLUMN outcomes.response IS 'The answer; bytes, because answers may hold NUL.';

CREATE TABLE attempts (
    job_id uuid NOT NULL,
    generation integer NOT NULL,
    row_no bigint NOT NULL,
    attempt integer NOT NULL,
    tenant_id uuid NOT NULL,
    counted boolean NOT NULL,
    late boolean NOT NULL DEFAULT false,
    error_code text,
    error text,
    model text NOT NULL,
    http_status smallint,
    request_id text,
    input_tokens bigint NOT NULL DEFAULT 0,
    cached_input_tokens bigint NOT NULL DEFAULT 0,
    output_tokens bigint NOT NULL DEFAULT 0,
    cost bigint,
    retry_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (job_id, generation, row_no, late, attempt)
) WITH (autovacuum_vacuum_scale_factor = 0.05);
COMMENT ON TABLE attempts IS 'Requests that did not become their row''s outcome. Append-only. A first-try success has no row here.';
COMMENT ON COLUMN attempts.job_id IS 'Which job.';
COMMENT ON COLUMN attempts.generation IS 'In which generation.';
COMMENT ON COLUMN attempts.row_no IS 'Which input row, from 0.';
COMMENT ON COLUMN attempts.attempt IS 'From 1; late ones are counted apart.';
COMMENT ON COLUMN attempts.tenant_id IS 'Whose row.';
COMMENT ON COLUMN attempts.counted IS 'Counts against max_attempts.';
COMMENT ON COLUMN attempts.late IS 'A paid answer that came when the row already had its outcome.';
COMMENT ON COLUMN attempts.error_code IS 'Stable; null for a late success.';
COMMENT ON COLUMN attempts.error IS 'For people; without NUL.';
COMMENT ON COLUMN attempts.model IS 'The model asked.';
COMMENT ON COLUMN attempts.http_status IS 'Of the reply, if there was one.';
COMMENT ON COLUMN attempts.request_id IS 'The provider''s.';
COMMENT ON COLUMN attempts.input_tokens IS 'As the provider says, cached ones included.';
COMMENT ON COLUMN attempts.cached_input_tokens IS 'As the provider says.';
COMMENT ON COLUMN attempts.output_tokens IS 'As the provider says.';
COMMENT ON COLUMN attempts.cost IS 'In 10⁻¹² USD; null where prices are unknown.';
COMMENT ON COLUMN attempts.retry_at IS 'The row''s next attempt is not before then.';
COMMENT ON COLUMN attempts.created_at IS 'Database time of the commit.';

CREATE TABLE chunk_summaries (
    job_id uuid NOT NULL REFERENCES jobs ON DELETE CASCADE,
    chunk_no integer NOT NULL,
    generation integer NOT NULL,
    tenant_id uuid NOT NULL,
    row_states bytea NOT NULL,
    succeeded integer NOT NULL,
    failed integer NOT NULL,
    cancelled integer NOT NULL,
    expired integer NOT NULL,
    results_path text NOT NULL,
    attempts_path text,
    part_path text NOT NULL,
    PRIMARY KEY (job_id, chunk_no, generation)
);
COMMENT ON TABLE chunk_summaries IS 'How each row of a sealed chunk ended.';
COMMENT ON COLUMN chunk_summaries.job_id IS 'Which job.';
COMMENT ON COLUMN chunk_summaries.chunk_no IS 'Which chunk.';
COMMENT ON COLUMN chunk_summaries.generation IS 'In which generation.';
COMMENT ON COLUMN chunk_summaries.tenant_id IS 'Whose job.';
COMMENT ON COLUMN chunk_summaries.row_states IS 'A byte per row: the two low bits are the status, the others an index into jobs.error_codes.';
COMMENT ON COLUMN chunk_summaries.succeeded IS 'Rows with this status.';
COMMENT ON COLUMN chunk_summaries.failed IS 'Rows with this status.';
COMMENT ON COLUMN chunk_summaries.cancelled IS 'Rows with this status.';
COMMENT ON COLUMN chunk_summaries.expired IS 'Rows with this status.';
COMMENT ON COLUMN chunk_summaries.results_path IS 'Its outcomes as Parquet, below the work prefix.';
COMMENT ON COLUMN chunk_summaries.attempts_path IS 'Its attempts as Parquet, if there were any beside first-try successes.';
COMMENT ON COLUMN chunk_summaries.part_path IS 'Its rows of the output, encoded, below the work prefix.';
