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
    realtime_only bit varying,
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
COMMENT ON COLUMN chunks.realtime_only IS 'A bit per row: it expired in provider batches often enough. Null: no row did.';
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
    run_at timestamptz NOT NULL,
    lease_owner uuid,
    lease_epoch integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    stage jsonb,
    stage_name text GENERATED ALWAYS AS (stage ->> 'stage') STORED,
    remote_id text GENERATED ALWAYS AS (coalesce(stage ->> 'id', stage -> 'remote' ->> 'id')) STORED,
    stage_since timestamptz NOT NULL DEFAULT now(),
    place jsonb,
    limit_group text,
    credential text,
    credential_version bigint,
    origin uuid,
    owns_rows boolean NOT NULL DEFAULT true,
    requests bigint NOT NULL DEFAULT 0,
    tokens bigint NOT NULL DEFAULT 0,
    reserved_tokens bigint,
    remote_status text,
    remote_done bigint,
    progress_at timestamptz,
    failures integer NOT NULL DEFAULT 0,
    last_error text,
    CHECK ((route = 'batch') = (stage IS NOT NULL)),
    CHECK ((route = 'batch') = (place IS NOT NULL AND limit_group IS NOT NULL AND origin IS NOT NULL))
) WITH (fillfactor = 70);
CREATE INDEX dispatches_by_run_at ON dispatches (run_at);
CREATE INDEX dispatches_by_job ON dispatches (job_id);
CREATE INDEX dispatches_by_owner ON dispatches (lease_owner);
CREATE INDEX dispatches_by_remote_id ON dispatches (remote_id);
COMMENT ON TABLE dispatches IS 'Open rows on their way to a provider. A settled dispatch''s row is gone.';
COMMENT ON COLUMN dispatches.dispatch_id IS 'dis_…';
COMMENT ON COLUMN dispatches.tenant_id IS 'Whose rows.';
COMMENT ON COLUMN dispatches.job_id IS 'Which job''s rows.';
COMMENT ON COLUMN dispatches.generation IS 'The job''s generation when it was formed.';
COMMENT ON COLUMN dispatches.route IS 'batch or realtime, chosen when it was formed.';
COMMENT ON COLUMN dispatches.provider_id IS 'Where to.';
COMMENT ON COLUMN dispatches.model IS 'For which model.';
COMMENT ON COLUMN dispatches.run_at IS 'When it may be claimed: the lease''s end while somebody holds it, else the time of the next step.';
COMMENT ON COLUMN dispatches.lease_owner IS 'The worker that holds it; on the real-time route also the one that last held it.';
COMMENT ON COLUMN dispatches.lease_epoch IS 'One more with each claim; every write for the dispatch names it.';
COMMENT ON COLUMN dispatches.created_at IS 'Database time.';
COMMENT ON COLUMN dispatches.stage IS 'domain::provider_batch::Stage; null on the real-time route.';
COMMENT ON COLUMN dispatches.stage_name IS 'Its name.';
COMMENT ON COLUMN dispatches.remote_id IS 'The provider''s id of the provider batch.';
COMMENT ON COLUMN dispatches.stage_since IS 'Database time at which it entered the stage.';
COMMENT ON COLUMN dispatches.place IS 'Provider and model record as they were when it was formed: it finishes where it began.';
COMMENT ON COLUMN dispatches.limit_group IS 'What it counts against.';
COMMENT ON COLUMN dispatches.credential IS 'The credential that it is created and polled with; null: none.';
COMMENT ON COLUMN dispatches.credential_version IS 'Its version when the dispatch was formed.';
COMMENT ON COLUMN dispatches.origin IS 'The dispatch whose id its requests'' ids begin with: its own, or the one that it is a duplicate of.';
COMMENT ON COLUMN dispatches.owns_rows IS 'Its rows are in flight because of it. False: they were settled before; what it still brings comes late.';
COMMENT ON COLUMN dispatches.requests IS 'Rows in it.';
COMMENT ON COLUMN dispatches.tokens IS 'Estimated input tokens of its rows.';
COMMENT ON COLUMN dispatches.reserved_tokens IS 'What it holds of the group''s allowance of enqueued tokens; null before its create and after its end.';
COMMENT ON COLUMN dispatches.remote_status IS 'What the provider said last.';
COMMENT ON COLUMN dispatches.remote_done IS 'Requests done by then, where the provider tells.';
COMMENT ON COLUMN dispatches.progress_at IS 'Database time of the last change of the two.';
COMMENT ON COLUMN dispatches.failures IS 'Steps in a row that ended in an error; sets the backoff.';
COMMENT ON COLUMN dispatches.last_error IS 'Of the last of them.';

CREATE TABLE dispatch_rows (
    dispatch_id uuid NOT NULL REFERENCES dispatches ON DELETE CASCADE,
    tenant_id uuid NOT NULL,
    job_id uuid NOT NULL,
    chunk_no integer NOT NULL,
    rows bit varying NOT NULL,
    collected boolean NOT NULL DEFAULT false,
    PRIMARY KEY (dispatch_id, chunk_no)
);
COMMENT ON TABLE dispatch_rows IS 'The rows of a dispatch, by chunk.';
COMMENT ON COLUMN dispatch_rows.dispatch_id IS 'Which dispatch.';
COMMENT ON COLUMN dispatch_rows.tenant_id IS 'Whose rows.';
COMMENT ON COLUMN dispatch_rows.job_id IS 'Which job.';
COMMENT ON COLUMN dispatch_rows.chunk_no IS 'Which chunk.';
COMMENT ON COLUMN dispatch_rows.rows IS 'A bit per row of the chunk.';
COMMENT ON COLUMN dispatch_rows.collected IS 'On the batch route: what became of them is committed.';

CREATE TABLE batch_results (
    job_id uuid NOT NULL REFERENCES jobs ON DELETE CASCADE,
    chunk_no integer NOT NULL,
    generation integer NOT NULL,
    dispatch_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    rows bit varying NOT NULL,
    path text NOT NULL,
    PRIMARY KEY (job_id, chunk_no, generation, dispatch_id)
);
COMMENT ON TABLE batch_results IS 'Outcomes that a provider batch brought for a chunk that is not sealed yet, in object storage instead of in outcomes.';
COMMENT ON COLUMN batch_results.job_id IS 'Which job.';
COMMENT ON COLUMN batch_results.chunk_no IS 'Which chunk.';
COMMENT ON COLUMN batch_results.generation IS 'In which generation.';
COMMENT ON COLUMN batch_results.dispatch_id IS 'Which dispatch brought them.';
COMMENT ON COLUMN batch_results.tenant_id IS 'Whose job.';
COMMENT ON COLUMN batch_results.rows IS 'A bit per row of the chunk: its outcome is in the file.';
COMMENT ON COLUMN batch_results.path IS 'The outcomes as Parquet, below the work prefix: one per row of the set, in order.';

CREATE TABLE remote_objects (
    object_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    job_id uuid NOT NULL,
    dispatch_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('upload', 'results', 'provider_batch')),
    name text NOT NULL,
    remote_id text,
    place jsonb NOT NULL,
    credential text,
    credential_version bigint,
    run_at timestamptz NOT NULL,
    failures integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX remote_objects_by_run_at ON remote_objects (run_at);
CREATE INDEX remote_objects_by_dispatch ON remote_objects (dispatch_id);
COMMENT ON TABLE remote_objects IS 'What we keep at providers, written down before it is made, until it is removed there.';
COMMENT ON COLUMN remote_objects.object_id IS 'Ours.';
COMMENT ON COLUMN remote_objects.tenant_id IS 'For whose job.';
COMMENT ON COLUMN remote_objects.job_id IS 'For which job, which may be gone.';
COMMENT ON COLUMN remote_objects.dispatch_id IS 'For which dispatch, which may be gone.';
COMMENT ON COLUMN remote_objects.kind IS 'upload: a file of requests; results: a file of results; provider_batch: the object itself.';
COMMENT ON COLUMN remote_objects.name IS 'An upload''s unique name, which it is found by if the reply was lost.';
COMMENT ON COLUMN remote_objects.remote_id IS 'The provider''s id; null while it is not known.';
COMMENT ON COLUMN remote_objects.place IS 'Where it is, as in dispatches.';
COMMENT ON COLUMN remote_objects.credential IS 'As in dispatches.';
COMMENT ON COLUMN remote_objects.credential_version IS 'As in dispatches.';
COMMENT ON COLUMN remote_objects.run_at IS 'To be removed from then on.';
COMMENT ON COLUMN remote_objects.failures IS 'Tries to remove it that failed.';
COMMENT ON COLUMN remote_objects.created_at IS 'Database time.';

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
