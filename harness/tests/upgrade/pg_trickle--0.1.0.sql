-- The objects of version 0.1.0, as its own install script made them.
CREATE SCHEMA pgtrickle;
COMMENT ON SCHEMA pgtrickle IS 'stream tables: functions and catalog';
CREATE SCHEMA pgtrickle_state;
COMMENT ON SCHEMA pgtrickle_state IS 'stream tables: internal views and state tables';
CREATE SCHEMA pgtrickle_changes;
COMMENT ON SCHEMA pgtrickle_changes IS 'stream tables: change buffers of sources';
GRANT USAGE ON SCHEMA pgtrickle, pgtrickle_state TO PUBLIC;
CREATE SEQUENCE pgtrickle.pgt_stream_tables_pgt_id_seq AS bigint;
CREATE TABLE pgtrickle.pgt_stream_tables (
    pgt_id              bigint      NOT NULL DEFAULT nextval('pgtrickle.pgt_stream_tables_pgt_id_seq'),
    pgt_relid           regclass    NOT NULL,
    view_relid          regclass    NOT NULL,
    query               text        NOT NULL,
    schedule            text        NOT NULL,
    requested_mode      text        NOT NULL CHECK (requested_mode IN ('AUTO', 'DIFFERENTIAL', 'FULL', 'IMMEDIATE')),
    refresh_mode        text        NOT NULL CHECK (refresh_mode IN ('DIFFERENTIAL', 'FULL', 'IMMEDIATE')),
    mode_code           text,
    mode_reason         text,
    status              text        NOT NULL CHECK (status IN ('ACTIVE', 'SUSPENDED')),
    is_populated        boolean     NOT NULL,
    defining_query_hash bigint,
    frontier            pg_snapshot,
    frontier_xid        bigint,
    frontier_epoch      integer,
    system_identifier   bigint      NOT NULL,
    database_oid        oid         NOT NULL,
    data_timestamp      timestamptz,
    created_at          timestamptz NOT NULL,
    is_polled           boolean     NOT NULL,
    data_lsn            pg_lsn,
    CONSTRAINT pgt_stream_tables_pkey PRIMARY KEY (pgt_id),
    CONSTRAINT pgt_stream_tables_relid_key UNIQUE (pgt_relid),
    CHECK ((frontier IS NULL) = (frontier_xid IS NULL) AND (frontier IS NULL) = (frontier_epoch IS NULL))
) WITH (fillfactor = 50);
ALTER SEQUENCE pgtrickle.pgt_stream_tables_pgt_id_seq OWNED BY pgtrickle.pgt_stream_tables.pgt_id;
COMMENT ON TABLE pgtrickle.pgt_stream_tables IS 'one row per stream table';
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.pgt_relid IS 'the stream table';
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.view_relid IS 'the internal view that holds its query';
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.query IS 'the query as it was given; the view is what counts';
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.requested_mode IS 'refresh mode that was asked for';
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.refresh_mode IS 'refresh mode in use';
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.mode_code IS 'why the mode in use is FULL: the construct';
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.mode_reason IS 'why the mode in use is FULL: in words';
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.defining_query_hash IS 'hash of the plan that the state belongs to';
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.is_polled IS 'whether its content can change although no source tells of a change';
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.frontier IS 'the snapshot of the last refresh that changed anything';
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.frontier_xid IS 'transaction of that refresh, 0 if it had none';
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.frontier_epoch IS 'changes of frontier_xid below this epoch are contained';
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.system_identifier IS 'cluster in which the frontier means something';
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.database_oid IS 'database in which the frontier means something';
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.data_timestamp IS 'when the last refresh that changed anything took its snapshot';
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.data_lsn IS 'how much WAL there was then; for reports only';
CREATE TABLE pgtrickle.pgt_dependencies (
    pgt_id       bigint   NOT NULL,
    source_relid regclass NOT NULL,
    columns      int2[]   NOT NULL,
    capture      boolean  NOT NULL,
    CONSTRAINT pgt_dependencies_pkey PRIMARY KEY (pgt_id, source_relid)
);
CREATE INDEX pgt_dependencies_source_idx ON pgtrickle.pgt_dependencies (source_relid);
COMMENT ON TABLE pgtrickle.pgt_dependencies IS 'the tables that each stream table reads';
COMMENT ON COLUMN pgtrickle.pgt_dependencies.columns IS 'attribute numbers that it reads';
COMMENT ON COLUMN pgtrickle.pgt_dependencies.capture IS 'whether it needs the changes of this table';
CREATE TABLE pgtrickle.pgt_last_writers (
    pgt_id bigint NOT NULL,
    xid    bigint NOT NULL,
    CONSTRAINT pgt_last_writers_pkey PRIMARY KEY (pgt_id)
) WITH (fillfactor = 50);
COMMENT ON TABLE pgtrickle.pgt_last_writers IS 'which transaction changed an IMMEDIATE stream table, or what it reads, last';
CREATE SEQUENCE pgtrickle.pgt_refresh_history_history_id_seq AS bigint;
CREATE TABLE pgtrickle.pgt_refresh_history (
    history_id    bigint      NOT NULL DEFAULT nextval('pgtrickle.pgt_refresh_history_history_id_seq'),
    pgt_id        bigint      NOT NULL,
    action        text        NOT NULL,
    reason        text,
    started_at    timestamptz NOT NULL,
    finished_at   timestamptz NOT NULL,
    duration_ms   float8      NOT NULL,
    rows_inserted bigint      NOT NULL,
    rows_updated  bigint      NOT NULL,
    rows_deleted  bigint      NOT NULL,
    delta_rows    bigint      NOT NULL,
    status        text        NOT NULL CHECK (status IN ('COMPLETED', 'FAILED')),
    error         text,
    CONSTRAINT pgt_refresh_history_pkey PRIMARY KEY (pgt_id, history_id)
);
ALTER SEQUENCE pgtrickle.pgt_refresh_history_history_id_seq OWNED BY pgtrickle.pgt_refresh_history.history_id;
COMMENT ON TABLE pgtrickle.pgt_refresh_history IS 'one row per refresh that did something';
COMMENT ON COLUMN pgtrickle.pgt_refresh_history.error IS 'SQLSTATE and its name; the message, which may show data, is in the server log';
CREATE TABLE pgtrickle.pgt_refresh_totals (
    pgt_id        bigint NOT NULL,
    action        text   NOT NULL,
    reason        text,
    status        text   NOT NULL,
    error_class   text,
    bound_ms      float8 NOT NULL,
    refreshes     bigint NOT NULL,
    duration_ms   float8 NOT NULL,
    rows_inserted bigint NOT NULL,
    rows_updated  bigint NOT NULL,
    rows_deleted  bigint NOT NULL,
    delta_rows    bigint NOT NULL,
    CONSTRAINT pgt_refresh_totals_key UNIQUE NULLS NOT DISTINCT (pgt_id, action, reason, status, error_class, bound_ms)
);
COMMENT ON TABLE pgtrickle.pgt_refresh_totals IS 'sums of the history rows that have been removed';
CREATE FUNCTION pgtrickle._duration_bound_ms(duration_ms float8) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN duration_ms <= 1 THEN 1 WHEN duration_ms <= 3 THEN 3 WHEN duration_ms <= 10 THEN 10
            WHEN duration_ms <= 30 THEN 30 WHEN duration_ms <= 100 THEN 100 WHEN duration_ms <= 300 THEN 300
            WHEN duration_ms <= 1000 THEN 1000 WHEN duration_ms <= 3000 THEN 3000 WHEN duration_ms <= 10000 THEN 10000
            WHEN duration_ms <= 30000 THEN 30000 WHEN duration_ms <= 100000 THEN 100000 ELSE 'Infinity'::float8 END;
COMMENT ON FUNCTION pgtrickle._duration_bound_ms(float8) IS 'the class of a duration: the smallest bound that it does not exceed';
CREATE VIEW pgtrickle.pgt_refresh_figures AS
    SELECT * FROM pgtrickle.pgt_refresh_totals
    UNION ALL
    SELECT h.pgt_id, h.action, h.reason, h.status, pg_catalog.left(h.error, 2),
           pgtrickle._duration_bound_ms(h.duration_ms),
           1, h.duration_ms, h.rows_inserted, h.rows_updated, h.rows_deleted, h.delta_rows
    FROM pgtrickle.pgt_refresh_history h;
COMMENT ON VIEW pgtrickle.pgt_refresh_figures IS 'every refresh that did something, the older ones added up';
COMMENT ON COLUMN pgtrickle.pgt_refresh_figures.error_class IS 'class of the SQLSTATE';
COMMENT ON COLUMN pgtrickle.pgt_refresh_figures.bound_ms IS 'the duration was at most so long, and more than the next smaller bound';
GRANT SELECT ON ALL TABLES IN SCHEMA pgtrickle TO PUBLIC;
CREATE TABLE pgtrickle.pgt_failures (
    pgt_id             bigint      NOT NULL,
    consecutive_errors integer     NOT NULL,
    condition          text        NOT NULL,
    message            text        NOT NULL,
    failed_at          timestamptz NOT NULL,
    retry_at           timestamptz NOT NULL,
    is_fuse            boolean     NOT NULL,
    is_approved        boolean     NOT NULL,
    CONSTRAINT pgt_failures_pkey PRIMARY KEY (pgt_id)
);
COMMENT ON TABLE pgtrickle.pgt_failures IS 'stream tables whose last scheduled refresh failed; messages may show data, so not for everybody';
SELECT pg_catalog.pg_extension_config_dump('pgtrickle.pgt_stream_tables', '');
SELECT pg_catalog.pg_extension_config_dump('pgtrickle.pgt_stream_tables_pgt_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('pgtrickle.pgt_dependencies', '');
SELECT pg_catalog.pg_extension_config_dump('pgtrickle.pgt_refresh_history', '');
SELECT pg_catalog.pg_extension_config_dump('pgtrickle.pgt_refresh_history_history_id_seq', '');
CREATE FUNCTION pgtrickle.follow_immediately() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'pgtrickle_follow_immediately';
REVOKE ALL ON FUNCTION pgtrickle.follow_immediately() FROM PUBLIC;
COMMENT ON FUNCTION pgtrickle.follow_immediately() IS
    'has IMMEDIATE stream tables follow the changes of a statement';
CREATE FUNCTION pgtrickle.capture_native() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'pgtrickle_capture_native';
REVOKE ALL ON FUNCTION pgtrickle.capture_native() FROM PUBLIC;
COMMENT ON FUNCTION pgtrickle.capture_native() IS
    'writes the changes of a statement to the change buffer of its table';
CREATE FUNCTION pgtrickle.row_image_hash(VARIADIC "any") RETURNS bigint
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'pgtrickle_row_image_hash';
COMMENT ON FUNCTION pgtrickle.row_image_hash(VARIADIC "any") IS
    'hash of the binary image of the arguments, NULLs included';
CREATE FUNCTION pgtrickle.on_alter_table() RETURNS event_trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'on_alter_table_wrapper';
COMMENT ON FUNCTION pgtrickle.on_alter_table() IS 'keeps the parts of altered stream tables in step';
REVOKE ALL ON FUNCTION pgtrickle.on_alter_table() FROM PUBLIC;
CREATE FUNCTION pgtrickle.on_sql_drop() RETURNS event_trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'on_sql_drop_wrapper';
COMMENT ON FUNCTION pgtrickle.on_sql_drop() IS 'cleans up after dropped stream tables and sources';
REVOKE ALL ON FUNCTION pgtrickle.on_sql_drop() FROM PUBLIC;
CREATE FUNCTION pgtrickle.on_table_rewrite() RETURNS event_trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'on_table_rewrite_wrapper';
COMMENT ON FUNCTION pgtrickle.on_table_rewrite() IS 'has the readers of rewritten tables recomputed';
REVOKE ALL ON FUNCTION pgtrickle.on_table_rewrite() FROM PUBLIC;
CREATE EVENT TRIGGER pgtrickle_on_sql_drop ON sql_drop
    EXECUTE FUNCTION pgtrickle.on_sql_drop();
CREATE EVENT TRIGGER pgtrickle_on_alter_table ON ddl_command_end
    WHEN TAG IN ('ALTER TABLE', 'ALTER TYPE', 'ALTER VIEW', 'CREATE FOREIGN TABLE', 'CREATE TABLE', 'CREATE VIEW')
    EXECUTE FUNCTION pgtrickle.on_alter_table();
CREATE EVENT TRIGGER pgtrickle_on_table_rewrite ON table_rewrite
    EXECUTE FUNCTION pgtrickle.on_table_rewrite();
CREATE FUNCTION pgtrickle.guard_stream_table() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'guard_stream_table_wrapper';
COMMENT ON FUNCTION pgtrickle.guard_stream_table() IS 'refuses changes of stream tables by users';
CREATE SCHEMA IF NOT EXISTS pgtrickle;
CREATE  FUNCTION pgtrickle."runtime_counters"() RETURNS TABLE (
    "name" TEXT,
    "value" bigint
)
STRICT
LANGUAGE c
AS 'MODULE_PATHNAME', 'runtime_counters_wrapper';
CREATE  FUNCTION pgtrickle."watermark"() RETURNS TABLE (
    "wal_bytes" bigint,
    "oldest_xid" bigint,
    "oldest_holder" TEXT,
    "oldest_since" timestamp with time zone,
    "prepared_transactions" bigint
)
STRICT
LANGUAGE c
AS 'MODULE_PATHNAME', 'watermark_wrapper';
CREATE  FUNCTION pgtrickle."drop_stream_table"(
    "name" TEXT,
    "cascade" bool DEFAULT false
) RETURNS void
LANGUAGE c
AS 'MODULE_PATHNAME', 'drop_stream_table_wrapper';
CREATE  FUNCTION pgtrickle."refresh_stream_table"(
    "name" TEXT,
    "force_full" bool DEFAULT false
) RETURNS TABLE (
    "action" TEXT,
    "reason" TEXT,
    "rows_inserted" bigint,
    "rows_updated" bigint,
    "rows_deleted" bigint,
    "delta_rows" bigint,
    "duration_ms" double precision
)
LANGUAGE c
AS 'MODULE_PATHNAME', 'refresh_stream_table_wrapper';
CREATE  FUNCTION pgtrickle."restore_stream_tables"() RETURNS bigint
STRICT
LANGUAGE c
AS 'MODULE_PATHNAME', 'restore_stream_tables_wrapper';
CREATE  FUNCTION pgtrickle."convert_materialized_view"(
    "name" TEXT,
    "schedule" TEXT DEFAULT 'calculated'
) RETURNS void
LANGUAGE c
AS 'MODULE_PATHNAME', 'convert_materialized_view_wrapper';
CREATE  FUNCTION pgtrickle."change_buffer_sizes"() RETURNS TABLE (
    "source" TEXT,
    "buffer" TEXT,
    "bytes" bigint,
    "rows" bigint,
    "pending_rows" bigint
)
STRICT
LANGUAGE c
AS 'MODULE_PATHNAME', 'change_buffer_sizes_wrapper';
CREATE  FUNCTION pgtrickle."create_stream_table"(
    "name" TEXT,
    "query" TEXT,
    "schedule" TEXT DEFAULT 'calculated',
    "refresh_mode" TEXT DEFAULT 'AUTO',
    "initialize" bool DEFAULT true
) RETURNS void
LANGUAGE c
AS 'MODULE_PATHNAME', 'create_stream_table_wrapper';
CREATE  FUNCTION pgtrickle."alter_stream_table"(
    "name" TEXT,
    "query" TEXT DEFAULT NULL,
    "schedule" TEXT DEFAULT NULL,
    "refresh_mode" TEXT DEFAULT NULL,
    "status" TEXT DEFAULT NULL
) RETURNS void
LANGUAGE c
AS 'MODULE_PATHNAME', 'alter_stream_table_wrapper';
CREATE  FUNCTION pgtrickle."resume_stream_table"(
    "name" TEXT
) RETURNS void
LANGUAGE c
AS 'MODULE_PATHNAME', 'resume_stream_table_wrapper';
CREATE  FUNCTION pgtrickle."scheduler_state"() RETURNS TEXT
STRICT
LANGUAGE c
AS 'MODULE_PATHNAME', 'scheduler_state_wrapper';
CREATE  FUNCTION pgtrickle."explain_st"(
    "name" TEXT
) RETURNS TABLE (
    "section" TEXT,
    "item" TEXT,
    "detail" TEXT
)
LANGUAGE c
AS 'MODULE_PATHNAME', 'explain_st_wrapper';
CREATE  FUNCTION pgtrickle."drain"(
    "timeout_s" INT DEFAULT 60
) RETURNS bool
LANGUAGE c
AS 'MODULE_PATHNAME', 'drain_wrapper';
CREATE  FUNCTION pgtrickle."refresh_failures"() RETURNS TABLE (
    "pgt_id" bigint,
    "consecutive_errors" INT,
    "condition" TEXT,
    "message" TEXT,
    "failed_at" timestamp with time zone,
    "retry_at" timestamp with time zone,
    "is_fuse" bool
)
STRICT
LANGUAGE c
AS 'MODULE_PATHNAME', 'refresh_failures_wrapper';
CREATE  FUNCTION pgtrickle."refresh_workers"() RETURNS TABLE (
    "pid" INT,
    "database" TEXT,
    "state" TEXT,
    "pgt_id" bigint,
    "tables" INT,
    "since" timestamp with time zone
)
STRICT
LANGUAGE c
AS 'MODULE_PATHNAME', 'refresh_workers_wrapper';
CREATE  FUNCTION pgtrickle."drain_status"() RETURNS TABLE (
    "state" TEXT,
    "since" timestamp with time zone,
    "requested_by" TEXT,
    "requested_by_pid" INT,
    "in_flight" INT
)
STRICT
LANGUAGE c
AS 'MODULE_PATHNAME', 'drain_status_wrapper';
CREATE  FUNCTION pgtrickle."pgt_id_of"(
    "name" TEXT
) RETURNS bigint
STABLE
LANGUAGE c
AS 'MODULE_PATHNAME', 'pgt_id_of_wrapper';
CREATE FUNCTION pgtrickle.pgt_status(
    OUT name text, OUT status text, OUT schedule text, OUT requested_mode text, OUT refresh_mode text,
    OUT mode_code text, OUT mode_reason text, OUT is_populated boolean, OUT data_timestamp timestamptz,
    OUT last_action text, OUT last_reason text, OUT last_finished_at timestamptz, OUT last_duration_ms float8,
    OUT needs_restore boolean, OUT scheduling text, OUT waiting_for text[], OUT consecutive_errors integer,
    OUT last_error text, OUT retry_at timestamptz
) RETURNS SETOF record LANGUAGE sql STABLE
BEGIN ATOMIC
    WITH RECURSIVE upstream (pgt_id, above) AS (
        SELECT d.pgt_id, t.pgt_id
        FROM pgtrickle.pgt_dependencies d
        JOIN pgtrickle.pgt_stream_tables t ON t.pgt_relid = d.source_relid
        UNION
        SELECT u.pgt_id, t.pgt_id
        FROM upstream u
        JOIN pgtrickle.pgt_dependencies d ON d.pgt_id = u.above
        JOIN pgtrickle.pgt_stream_tables t ON t.pgt_relid = d.source_relid
    ), failures AS MATERIALIZED (SELECT * FROM pgtrickle.refresh_failures()
    ), waits AS (
        SELECT u.pgt_id, pg_catalog.array_agg(a.pgt_relid::text ORDER BY a.pgt_relid::text) AS waiting_for
        FROM upstream u
        JOIN pgtrickle.pgt_stream_tables a ON a.pgt_id = u.above
        LEFT JOIN failures f ON f.pgt_id = a.pgt_id
        WHERE a.status = 'SUSPENDED' OR f.pgt_id IS NOT NULL
        GROUP BY u.pgt_id
    ), scheduler AS MATERIALIZED (SELECT pgtrickle.scheduler_state() AS state)
    SELECT t.pgt_relid::text, t.status, t.schedule, t.requested_mode, t.refresh_mode,
           t.mode_code, t.mode_reason, t.is_populated, t.data_timestamp,
           h.action, h.reason, h.finished_at, h.duration_ms,
           (t.system_identifier, t.database_oid) IS DISTINCT FROM (s.system_identifier, d.oid),
           CASE WHEN t.status = 'SUSPENDED' THEN 'SUSPENDED'
                WHEN t.refresh_mode = 'IMMEDIATE' THEN 'IMMEDIATE'
                WHEN scheduler.state <> 'RUNNING' THEN scheduler.state
                WHEN waits.pgt_id IS NOT NULL THEN 'WAITING'
                WHEN failures.pgt_id IS NOT NULL THEN 'RETRYING'
                ELSE 'SCHEDULED' END,
           waits.waiting_for, failures.consecutive_errors,
           failures.condition || COALESCE(': ' || failures.message, ''), failures.retry_at
    FROM pgtrickle.pgt_stream_tables t
    JOIN pg_catalog.pg_class c ON c.oid = t.pgt_relid
    CROSS JOIN pg_catalog.pg_control_system() s
    JOIN pg_catalog.pg_database d ON d.datname = pg_catalog.current_database()
    CROSS JOIN scheduler
    LEFT JOIN waits ON waits.pgt_id = t.pgt_id
    LEFT JOIN failures ON failures.pgt_id = t.pgt_id
    LEFT JOIN LATERAL (
        SELECT * FROM pgtrickle.pgt_refresh_history h
        WHERE h.pgt_id = t.pgt_id ORDER BY h.history_id DESC LIMIT 1
    ) h ON true
    WHERE pg_catalog.has_table_privilege(c.oid, 'SELECT')
       OR pg_catalog.pg_has_role(c.relowner, 'USAGE')
       OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')
    ORDER BY 1;
END;
COMMENT ON FUNCTION pgtrickle.pgt_status() IS 'stream tables that the caller may read, own or monitor, and their last refresh';
CREATE FUNCTION pgtrickle.get_refresh_history(
    name text, max_rows integer DEFAULT 20,
    OUT history_id bigint, OUT action text, OUT reason text, OUT started_at timestamptz, OUT finished_at timestamptz,
    OUT duration_ms float8, OUT rows_inserted bigint, OUT rows_updated bigint, OUT rows_deleted bigint,
    OUT delta_rows bigint, OUT status text, OUT error text
) RETURNS SETOF record LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT h.history_id, h.action, h.reason, h.started_at, h.finished_at,
           h.duration_ms, h.rows_inserted, h.rows_updated, h.rows_deleted,
           h.delta_rows, h.status, h.error
    FROM pgtrickle.pgt_refresh_history h
    WHERE h.pgt_id = (SELECT pgtrickle.pgt_id_of(get_refresh_history.name))
    ORDER BY h.history_id DESC
    LIMIT get_refresh_history.max_rows;
END;
COMMENT ON FUNCTION pgtrickle.get_refresh_history(text, integer) IS 'the last refreshes of a stream table that did something, newest first';
CREATE FUNCTION pgtrickle.list_sources(
    OUT source text, OUT stream_tables text[], OUT captured boolean, OUT columns text[]
) RETURNS SETOF record LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT d.source_relid::text,
           pg_catalog.array_agg(DISTINCT t.pgt_relid::text ORDER BY t.pgt_relid::text),
           pg_catalog.bool_or(d.capture),
           (SELECT pg_catalog.array_agg(a.attname::text ORDER BY a.attnum)
            FROM pg_catalog.pg_attribute a
            WHERE a.attrelid = d.source_relid
              AND a.attnum IN (SELECT pg_catalog.unnest(e.columns) FROM pgtrickle.pgt_dependencies e
                               WHERE e.source_relid = d.source_relid))
    FROM pgtrickle.pgt_dependencies d
    JOIN pgtrickle.pgt_stream_tables t ON t.pgt_id = d.pgt_id
    GROUP BY d.source_relid
    ORDER BY 1;
END;
COMMENT ON FUNCTION pgtrickle.list_sources() IS 'tables that stream tables read, by which, with which columns';
CREATE  FUNCTION pgtrickle."stale_stream_tables"() RETURNS SETOF bigint
STRICT
LANGUAGE c
AS 'MODULE_PATHNAME', 'stale_stream_tables_wrapper';
CREATE  FUNCTION pgtrickle."is_drained"() RETURNS bool
STRICT
LANGUAGE c
AS 'MODULE_PATHNAME', 'is_drained_wrapper';
CREATE  FUNCTION pgtrickle."version"() RETURNS TEXT
IMMUTABLE STRICT PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'version_wrapper';
CREATE  FUNCTION pgtrickle."running_recomputations"() RETURNS TABLE (
    "pid" INT,
    "database" TEXT,
    "pgt_id" bigint,
    "phase" TEXT,
    "since" timestamp with time zone,
    "rows_done" bigint,
    "rows_total" bigint
)
STRICT
LANGUAGE c
AS 'MODULE_PATHNAME', 'running_recomputations_wrapper';
CREATE  FUNCTION pgtrickle."suspend_stream_table"(
    "name" TEXT
) RETURNS void
LANGUAGE c
AS 'MODULE_PATHNAME', 'suspend_stream_table_wrapper';
CREATE  FUNCTION pgtrickle."schedule_seconds"(
    "schedule" TEXT
) RETURNS double precision
IMMUTABLE STRICT PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'schedule_seconds_wrapper';
CREATE  FUNCTION pgtrickle."resume"() RETURNS bool
STRICT
LANGUAGE c
AS 'MODULE_PATHNAME', 'resume_wrapper';
CREATE FUNCTION pgtrickle.capture_epoch(buffer regclass) RETURNS integer
LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'capture_epoch_wrapper';
COMMENT ON FUNCTION pgtrickle.capture_epoch(regclass) IS 'epoch of a change that generated SQL captures into this buffer';
CREATE  FUNCTION pgtrickle."explain_capabilities"(
    "query" TEXT
) RETURNS TABLE (
    "construct" TEXT,
    "code" TEXT,
    "maintained" TEXT,
    "reason" TEXT,
    "remedy" TEXT
)
LANGUAGE c
AS 'MODULE_PATHNAME', 'explain_capabilities_wrapper';
CREATE  FUNCTION pgtrickle."create_or_replace_stream_table"(
    "name" TEXT,
    "query" TEXT,
    "schedule" TEXT DEFAULT 'calculated',
    "refresh_mode" TEXT DEFAULT 'AUTO',
    "initialize" bool DEFAULT true
) RETURNS void
LANGUAGE c
AS 'MODULE_PATHNAME', 'create_or_replace_stream_table_wrapper';
CREATE FUNCTION pgtrickle.metrics(OUT name text, OUT labels jsonb, OUT value float8)
RETURNS SETOF record LANGUAGE sql VOLATILE
BEGIN ATOMIC
    WITH tables AS (
        SELECT t.pgt_id, t.pgt_relid::text AS stream_table, t.status, t.data_timestamp
        FROM pgtrickle.pgt_stream_tables t JOIN pg_catalog.pg_class c ON c.oid = t.pgt_relid
        WHERE pg_catalog.has_table_privilege(c.oid, 'SELECT')
           OR pg_catalog.pg_has_role(c.relowner, 'USAGE')
           OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')
    ), refreshes AS (
        SELECT t.stream_table, r.action, r.reason, r.status, pg_catalog.sum(r.refreshes) AS refreshes,
               pg_catalog.sum(r.duration_ms) AS duration_ms, pg_catalog.sum(r.rows_inserted) AS rows_inserted,
               pg_catalog.sum(r.rows_updated) AS rows_updated, pg_catalog.sum(r.rows_deleted) AS rows_deleted,
               pg_catalog.sum(r.delta_rows) AS delta_rows
        FROM pgtrickle.pgt_refresh_figures r JOIN tables t ON t.pgt_id = r.pgt_id
        GROUP BY t.stream_table, r.action, r.reason, r.status
    ), buffers AS MATERIALIZED (SELECT * FROM pgtrickle.change_buffer_sizes()
    ), mark AS MATERIALIZED (SELECT * FROM pgtrickle.watermark())
    SELECT c.name, '{}'::jsonb, c.value::float8 FROM pgtrickle.runtime_counters() c
    UNION ALL
    SELECT m.name, pg_catalog.jsonb_build_object('stream_table', r.stream_table, 'action', r.action,
               'reason', COALESCE(r.reason, ''), 'status', r.status), m.value
    FROM refreshes r CROSS JOIN LATERAL (VALUES
        ('refreshes_total', r.refreshes::float8), ('refresh_duration_ms_total', r.duration_ms),
        ('rows_inserted_total', r.rows_inserted::float8), ('rows_updated_total', r.rows_updated::float8),
        ('rows_deleted_total', r.rows_deleted::float8), ('delta_rows_total', r.delta_rows::float8)
    ) m (name, value)
    UNION ALL
    SELECT m.name, pg_catalog.jsonb_build_object('stream_table', t.stream_table), m.value
    FROM tables t LEFT JOIN pgtrickle.refresh_failures() f ON f.pgt_id = t.pgt_id
    CROSS JOIN LATERAL (VALUES
        ('data_age_seconds', EXTRACT(epoch FROM pg_catalog.clock_timestamp() - t.data_timestamp)::float8),
        ('suspended', (t.status = 'SUSPENDED')::integer::float8),
        ('consecutive_errors', COALESCE(f.consecutive_errors, 0)::float8)
    ) m (name, value)
    WHERE m.value IS NOT NULL
    UNION ALL
    SELECT m.name, pg_catalog.jsonb_build_object('source', b.source), m.value
    FROM buffers b CROSS JOIN LATERAL (VALUES
        ('buffer_bytes', b.bytes::float8), ('buffer_rows', b.rows::float8),
        ('buffer_pending_rows', b.pending_rows::float8)
    ) m (name, value)
    UNION ALL
    SELECT v.name, v.labels, v.value FROM mark m CROSS JOIN LATERAL (VALUES
        ('wal_bytes', '{}'::jsonb, m.wal_bytes::float8),
        ('prepared_transactions', '{}'::jsonb, m.prepared_transactions::float8),
        ('oldest_transaction_age_seconds',
         pg_catalog.jsonb_build_object('holder', COALESCE(m.oldest_holder, '')),
         COALESCE(EXTRACT(epoch FROM pg_catalog.clock_timestamp() - m.oldest_since), 0)::float8)
    ) v (name, labels, value);
END;
COMMENT ON FUNCTION pgtrickle.metrics() IS 'all figures of the runtime, of stream tables that the caller may read, own or monitor';
CREATE VIEW pgtrickle.refresh_progress AS
    SELECT r.pid, r.database,
           CASE WHEN r.database = pg_catalog.current_database() THEN t.pgt_relid::text END AS stream_table,
           r.phase, r.since, r.rows_done, r.rows_total
    FROM pgtrickle.running_recomputations() r
    LEFT JOIN pgtrickle.pgt_stream_tables t
           ON t.pgt_id = r.pgt_id AND r.database = pg_catalog.current_database();
GRANT SELECT ON pgtrickle.refresh_progress TO PUBLIC;
COMMENT ON VIEW pgtrickle.refresh_progress IS 'first fills and recomputations that run now';
CREATE FUNCTION pgtrickle.health_check(OUT check_name text, OUT severity text, OUT detail text)
RETURNS SETOF record LANGUAGE sql VOLATILE
BEGIN ATOMIC
    WITH state AS MATERIALIZED (SELECT pgtrickle.scheduler_state() AS state),
    status AS MATERIALIZED (SELECT * FROM pgtrickle.pgt_status()),
    mark AS MATERIALIZED (SELECT * FROM pgtrickle.watermark())
    SELECT 'scheduler', CASE s.state WHEN 'RUNNING' THEN 'OK' WHEN 'STARTING' THEN 'WARNING'
                                     WHEN 'STANDBY' THEN 'OK' ELSE 'WARNING' END,
           CASE s.state
               WHEN 'RUNNING' THEN 'stream tables are refreshed by their schedules'
               WHEN 'STARTING' THEN 'the scheduler is starting; if it stays so, raise max_worker_processes'
               WHEN 'STANDBY' THEN 'a standby refreshes nothing; after a promotion it will'
               WHEN 'DISABLED' THEN 'nothing is refreshed by schedule: pg_trickle.enabled is off'
               WHEN 'DRAINED' THEN 'nothing is refreshed by schedule until pgtrickle.resume(): a drain is on'
               WHEN 'NOT_PRELOADED' THEN 'nothing is refreshed by schedule: add pg_trickle to shared_preload_libraries and restart'
               ELSE 'no scheduler runs in this database' END
    FROM state s
    UNION ALL
    SELECT 'suspended', CASE WHEN pg_catalog.count(*) = 0 THEN 'OK' ELSE 'ERROR' END,
           COALESCE(pg_catalog.string_agg(s.name, ', ' ORDER BY s.name), 'no stream table is suspended')
    FROM status s WHERE s.status = 'SUSPENDED'
    UNION ALL
    SELECT 'failing', CASE WHEN pg_catalog.count(*) = 0 THEN 'OK' ELSE 'WARNING' END,
           COALESCE(pg_catalog.string_agg(s.name || ': ' || s.last_error, ', ' ORDER BY s.name),
                    'no refresh fails')
    FROM status s WHERE s.last_error IS NOT NULL
    UNION ALL
    SELECT 'restore', CASE WHEN pg_catalog.count(*) = 0 THEN 'OK' ELSE 'ERROR' END,
           COALESCE(pg_catalog.string_agg(s.name, ', ' ORDER BY s.name) || ': run pgtrickle.restore_stream_tables()',
                    'no stream table has to be restored')
    FROM status s WHERE s.needs_restore
    UNION ALL
    SELECT 'buffers', CASE WHEN m.oldest_since < pg_catalog.clock_timestamp() - interval '1 hour'
                           THEN 'WARNING' ELSE 'OK' END,
           CASE WHEN m.oldest_holder IS NULL THEN 'nobody holds change rows back'
                ELSE 'change rows are held back by ' || m.oldest_holder
                     || COALESCE(' since ' || m.oldest_since::text, '') END
    FROM mark m;
END;
COMMENT ON FUNCTION pgtrickle.health_check() IS 'what is well and what is not, and what to do about it';
COMMENT ON FUNCTION pgtrickle.drain(integer) IS 'begins no refresh any more, in no database, and waits for those that run; whether none runs then';
COMMENT ON FUNCTION pgtrickle.resume() IS 'ends a drain; whether one was on';
COMMENT ON FUNCTION pgtrickle.is_drained() IS 'whether a drain is on and no refresh runs';
COMMENT ON FUNCTION pgtrickle.drain_status() IS 'whether a drain is on, since when, by whom, and how many refreshes run';
COMMENT ON FUNCTION pgtrickle.suspend_stream_table(text) IS 'stops the scheduled refreshes of a stream table';
COMMENT ON FUNCTION pgtrickle.resume_stream_table(text) IS 'starts the scheduled refreshes of a stream table again';
COMMENT ON FUNCTION pgtrickle.scheduler_state() IS 'why stream tables of this database are refreshed by their schedules, or are not';
COMMENT ON FUNCTION pgtrickle.refresh_failures() IS 'stream tables whose last scheduled refresh failed';
COMMENT ON FUNCTION pgtrickle.refresh_workers() IS 'refresh workers of the cluster';
COMMENT ON FUNCTION pgtrickle.running_recomputations() IS 'first fills and recomputations that run now, by id';
COMMENT ON FUNCTION pgtrickle.watermark() IS 'how far the cluster is, and what keeps change rows from being removed';
COMMENT ON FUNCTION pgtrickle.stale_stream_tables() IS 'ids of the stream tables that may be behind their sources';
COMMENT ON FUNCTION pgtrickle.schedule_seconds(text) IS 'the interval of a schedule; NULL for one that is no interval';
COMMENT ON FUNCTION pgtrickle.runtime_counters() IS 'counters and gauges that are kept in shared memory';
COMMENT ON FUNCTION pgtrickle.create_stream_table(text, text, text, text, boolean) IS 'creates a table that is kept equal to a query';
COMMENT ON FUNCTION pgtrickle.create_or_replace_stream_table(text, text, text, text, boolean) IS 'creates a stream table, or changes query, schedule and mode of the one that is there';
COMMENT ON FUNCTION pgtrickle.alter_stream_table(text, text, text, text, text) IS 'changes a stream table; NULL keeps what is there';
COMMENT ON FUNCTION pgtrickle.drop_stream_table(text, boolean) IS 'drops a stream table';
COMMENT ON FUNCTION pgtrickle.refresh_stream_table(text, boolean) IS 'brings a stream table up to date and says what that took';
COMMENT ON FUNCTION pgtrickle.explain_st(text) IS 'how a stream table is maintained';
COMMENT ON FUNCTION pgtrickle.explain_capabilities(text) IS 'what of a query can be maintained, how, and what to do about the rest';
COMMENT ON FUNCTION pgtrickle.restore_stream_tables() IS 'rebuilds the stream tables that a restore has brought from another database';
COMMENT ON FUNCTION pgtrickle.change_buffer_sizes() IS 'sizes of the change buffers whose source the caller may read or monitor';
COMMENT ON FUNCTION pgtrickle.version() IS 'version of the library';
COMMENT ON FUNCTION pgtrickle.pgt_id_of(text) IS 'id of a stream table that the caller may read';
REVOKE ALL ON FUNCTION pgtrickle.restore_stream_tables() FROM PUBLIC;
