-- Schemas and catalog tables. Readable by everybody, as pg_views and pg_stat_all_tables are:
-- definitions and row counts are no secrets in PostgreSQL, and pg_dump by a database's owner has to
-- read them. Only the extension writes here, natively.

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
    settings            text[],
    zone_rules          bigint,
    table_oid           oid         NOT NULL DEFAULT 0,
    CONSTRAINT pgt_stream_tables_pkey PRIMARY KEY (pgt_id),
    CONSTRAINT pgt_stream_tables_relid_key UNIQUE (pgt_relid),
    CHECK ((frontier IS NULL) = (frontier_xid IS NULL) AND (frontier IS NULL) = (frontier_epoch IS NULL))
) WITH (fillfactor = 50);
ALTER SEQUENCE pgtrickle.pgt_stream_tables_pgt_id_seq OWNED BY pgtrickle.pgt_stream_tables.pgt_id;
COMMENT ON TABLE pgtrickle.pgt_stream_tables IS 'one row per stream table';
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.pgt_relid IS 'the stream table';
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.view_relid IS 'the internal view that holds its query';
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.query IS 'the query as given; the view is authoritative';
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.requested_mode IS 'requested refresh mode';
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.refresh_mode IS 'refresh mode in use';
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.mode_code IS 'why the mode in use is FULL: the construct';
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.mode_reason IS 'why the mode in use is FULL: in words';
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.defining_query_hash IS 'hash of the plan that the state belongs to';
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.is_polled IS 'whether its content can change without a captured change of a source';
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.frontier IS 'the snapshot of the last refresh that changed anything';
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.frontier_xid IS 'transaction of that refresh, 0 if it had none';
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.frontier_epoch IS 'changes of frontier_xid below this epoch are contained';
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.system_identifier IS 'cluster in which the frontier is valid';
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.database_oid IS 'database in which the frontier is valid';
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.data_timestamp IS 'when the last refresh that changed anything took its snapshot';
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.data_lsn IS 'WAL position at that time; for reports only';
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.settings IS 'name=value of the settings under which every session reads and runs its query';
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.zone_rules IS 'hash of its time zone''s rules when it was last computed whole; NULL if it does not depend on them, or is in FULL mode';
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.table_oid IS 'stream table for which the frontier means something; a restored one has another OID';

CREATE TABLE pgtrickle.pgt_dependencies (
    pgt_id       bigint   NOT NULL,
    source_relid regclass NOT NULL,
    columns      int2[]   NOT NULL,
    capture      boolean  NOT NULL,
    files        bigint,
    CONSTRAINT pgt_dependencies_pkey PRIMARY KEY (pgt_id, source_relid)
);
CREATE INDEX pgt_dependencies_source_idx ON pgtrickle.pgt_dependencies (source_relid);
COMMENT ON TABLE pgtrickle.pgt_dependencies IS 'the tables that each stream table reads';
COMMENT ON COLUMN pgtrickle.pgt_dependencies.columns IS 'attribute numbers that it reads';
COMMENT ON COLUMN pgtrickle.pgt_dependencies.capture IS 'whether it needs the changes of this table';
COMMENT ON COLUMN pgtrickle.pgt_dependencies.files IS 'hash of the files of the table that the content was read from';

CREATE TABLE pgtrickle.pgt_last_writers (
    pgt_id bigint NOT NULL,
    xid    bigint NOT NULL,
    CONSTRAINT pgt_last_writers_pkey PRIMARY KEY (pgt_id)
) WITH (fillfactor = 50);
COMMENT ON TABLE pgtrickle.pgt_last_writers IS 'the transaction that last changed an IMMEDIATE stream table or one of its sources';

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
COMMENT ON COLUMN pgtrickle.pgt_refresh_history.delta_rows IS 'change rows read; with reason COST, an estimate of those not read';
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
ALTER TABLE pgtrickle.pgt_refresh_totals REPLICA IDENTITY FULL;
COMMENT ON TABLE pgtrickle.pgt_refresh_totals IS 'sums of the history rows that have been removed';

CREATE FUNCTION pgtrickle._duration_bound_ms(duration_ms float8) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN duration_ms <= 1 THEN 1 WHEN duration_ms <= 3 THEN 3 WHEN duration_ms <= 10 THEN 10
            WHEN duration_ms <= 30 THEN 30 WHEN duration_ms <= 100 THEN 100 WHEN duration_ms <= 300 THEN 300
            WHEN duration_ms <= 1000 THEN 1000 WHEN duration_ms <= 3000 THEN 3000 WHEN duration_ms <= 10000 THEN 10000
            WHEN duration_ms <= 30000 THEN 30000 WHEN duration_ms <= 100000 THEN 100000 ELSE 'Infinity'::float8 END;
COMMENT ON FUNCTION pgtrickle._duration_bound_ms(float8) IS 'bucket of a duration: the smallest bound that it does not exceed';

CREATE VIEW pgtrickle.pgt_refresh_figures AS
    SELECT * FROM pgtrickle.pgt_refresh_totals
    UNION ALL
    SELECT h.pgt_id, h.action, h.reason, h.status, pg_catalog.left(h.error, 2),
           pgtrickle._duration_bound_ms(h.duration_ms),
           1, h.duration_ms, h.rows_inserted, h.rows_updated, h.rows_deleted, h.delta_rows
    FROM pgtrickle.pgt_refresh_history h;
COMMENT ON VIEW pgtrickle.pgt_refresh_figures IS 'refreshes that did something; removed history rows are aggregated';
COMMENT ON COLUMN pgtrickle.pgt_refresh_figures.error_class IS 'class of the SQLSTATE';
COMMENT ON COLUMN pgtrickle.pgt_refresh_figures.bound_ms IS 'upper bound of the duration; it exceeds the next smaller bound';

GRANT SELECT ON ALL TABLES IN SCHEMA pgtrickle TO PUBLIC;
-- Dumps by ordinary roles read the sequences, too.
GRANT SELECT ON ALL SEQUENCES IN SCHEMA pgtrickle TO PUBLIC;

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
COMMENT ON TABLE pgtrickle.pgt_failures IS 'stream tables whose last scheduled refresh failed; restricted, since messages may show data';

CREATE TABLE pgtrickle.pgt_unseen_writes (
    source_relid     regclass    NOT NULL,
    rows             bigint      NOT NULL,
    cause            text        NOT NULL,
    application_name text        NOT NULL,
    written_at       timestamptz NOT NULL
);
ALTER TABLE pgtrickle.pgt_unseen_writes REPLICA IDENTITY FULL;
COMMENT ON TABLE pgtrickle.pgt_unseen_writes IS 'writes of the last week that bypassed the triggers of sources; the readers were recomputed';
COMMENT ON COLUMN pgtrickle.pgt_unseen_writes.rows IS 'rows that the server counted and capture missed';
COMMENT ON COLUMN pgtrickle.pgt_unseen_writes.cause IS 'TRIGGERS_OFF, REPLICATION_ROLE, NO_TRIGGERS_FIRED or FILE_SWAPPED';
COMMENT ON COLUMN pgtrickle.pgt_unseen_writes.application_name IS 'of the session that wrote them';
GRANT SELECT (source_relid, rows, cause, written_at) ON pgtrickle.pgt_unseen_writes TO PUBLIC;

SELECT pg_catalog.pg_extension_config_dump('pgtrickle.pgt_stream_tables', '');
SELECT pg_catalog.pg_extension_config_dump('pgtrickle.pgt_stream_tables_pgt_id_seq', '');
-- Not those on shards of Citus, which it hides from pg_class and from a dump: a restore finds them again.
SELECT pg_catalog.pg_extension_config_dump('pgtrickle.pgt_dependencies', 'WHERE source_relid IN (SELECT oid FROM pg_catalog.pg_class)');
SELECT pg_catalog.pg_extension_config_dump('pgtrickle.pgt_refresh_history', '');
SELECT pg_catalog.pg_extension_config_dump('pgtrickle.pgt_refresh_history_history_id_seq', '');
