-- What the catalog of 0.2.0 has that that of 0.1.0 has not.

-- A refresh returns one row of a named type.
DROP FUNCTION pgtrickle.refresh_stream_table(text, boolean);
CREATE TYPE pgtrickle.refresh_result AS (
    action text,
    reason text,
    rows_inserted bigint,
    rows_updated bigint,
    rows_deleted bigint,
    delta_rows bigint,
    duration_ms double precision
);
COMMENT ON TYPE pgtrickle.refresh_result IS 'what a refresh did';
CREATE FUNCTION pgtrickle.refresh_stream_table(name text, force_full boolean DEFAULT false)
    RETURNS pgtrickle.refresh_result
    LANGUAGE c AS 'MODULE_PATHNAME', 'pgtrickle_refresh_stream_table';
COMMENT ON FUNCTION pgtrickle.refresh_stream_table(text, boolean) IS 'refreshes a stream table; returns action (NO_DATA, DIFFERENTIAL, FULL or INITIALIZE), reason, rows_inserted, rows_updated, rows_deleted, delta_rows (change rows read; with reason COST, an estimate of those not read), duration_ms';

-- What runs in everybody's sessions has a search_path of its own.
ALTER FUNCTION pgtrickle.on_sql_drop() SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION pgtrickle.on_table_rewrite() SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION pgtrickle.restore_stream_tables() SET search_path = pg_catalog, pg_temp;

-- Triggers of ours are kept from ALTER TRIGGER.
CREATE FUNCTION pgtrickle.on_alter_trigger() RETURNS event_trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'on_alter_trigger_wrapper';
COMMENT ON FUNCTION pgtrickle.on_alter_trigger() IS 'protects the triggers that stream tables need';
REVOKE ALL ON FUNCTION pgtrickle.on_alter_trigger() FROM PUBLIC;
CREATE EVENT TRIGGER pgtrickle_on_alter_trigger ON ddl_command_end
    WHEN TAG IN ('ALTER TRIGGER', 'CREATE TRIGGER')
    EXECUTE FUNCTION pgtrickle.on_alter_trigger();

-- Updates of extensions are followed, beginning with this one.
DROP EVENT TRIGGER pgtrickle_on_alter_table;
CREATE EVENT TRIGGER pgtrickle_on_alter_table ON ddl_command_end
    WHEN TAG IN ('ALTER AGGREGATE', 'ALTER COLLATION', 'ALTER DOMAIN', 'ALTER EXTENSION', 'ALTER FOREIGN TABLE', 'ALTER FUNCTION', 'ALTER OPERATOR', 'ALTER OPERATOR CLASS',
                 'ALTER OPERATOR FAMILY', 'ALTER ROUTINE', 'ALTER SCHEMA', 'ALTER TABLE', 'ALTER TEXT SEARCH CONFIGURATION',
                 'ALTER TEXT SEARCH DICTIONARY', 'ALTER TYPE', 'ALTER VIEW', 'CREATE AGGREGATE',
                 'CREATE FOREIGN TABLE', 'CREATE FUNCTION', 'CREATE OPERATOR CLASS', 'CREATE RULE', 'CREATE TABLE', 'CREATE VIEW')
    EXECUTE FUNCTION pgtrickle.on_alter_table();

-- They fire in any replication role, as the triggers of tables do.
ALTER EVENT TRIGGER pgtrickle_on_sql_drop ENABLE ALWAYS;
ALTER EVENT TRIGGER pgtrickle_on_alter_table ENABLE ALWAYS;
ALTER EVENT TRIGGER pgtrickle_on_alter_trigger ENABLE ALWAYS;
ALTER EVENT TRIGGER pgtrickle_on_table_rewrite ENABLE ALWAYS;

-- Descriptions that say it more plainly.
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.is_polled IS 'whether its content can change without a captured change of a source';
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.data_lsn IS 'WAL position at that time; for reports only';
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.query IS 'the query as given; the view is authoritative';
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.requested_mode IS 'requested refresh mode';
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.system_identifier IS 'cluster in which the frontier is valid';
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.database_oid IS 'database in which the frontier is valid';
COMMENT ON TABLE pgtrickle.pgt_last_writers IS 'the transaction that last changed an IMMEDIATE stream table or one of its sources';
COMMENT ON FUNCTION pgtrickle._duration_bound_ms(float8) IS 'bucket of a duration: the smallest bound that it does not exceed';
COMMENT ON COLUMN pgtrickle.pgt_refresh_history.delta_rows IS 'change rows read; with reason COST, an estimate of those not read';
COMMENT ON VIEW pgtrickle.pgt_refresh_figures IS 'refreshes that did something; removed history rows are aggregated';
COMMENT ON COLUMN pgtrickle.pgt_refresh_figures.bound_ms IS 'upper bound of the duration; it exceeds the next smaller bound';
COMMENT ON TABLE pgtrickle.pgt_failures IS 'stream tables whose last scheduled refresh failed; restricted, since messages may show data';
COMMENT ON FUNCTION pgtrickle.follow_immediately() IS 'applies the changes of a statement to IMMEDIATE stream tables';
COMMENT ON FUNCTION pgtrickle.metrics() IS 'metrics of the runtime, and of the stream tables that the caller may read, own or monitor';
COMMENT ON VIEW pgtrickle.refresh_progress IS 'running first fills and recomputations';
COMMENT ON FUNCTION pgtrickle.running_recomputations() IS 'running first fills and recomputations, by id';
COMMENT ON FUNCTION pgtrickle.health_check() IS 'checks of installation, scheduler and stream tables, with a remedy for each problem';
COMMENT ON FUNCTION pgtrickle.drain(integer) IS 'stops starting refreshes in every database and waits for running ones; returns whether all finished';
COMMENT ON FUNCTION pgtrickle.resume() IS 'ends a drain; returns whether one was on';
COMMENT ON FUNCTION pgtrickle.drain_status() IS 'whether a drain is on, since when, who requested it, and how many refreshes run';
COMMENT ON FUNCTION pgtrickle.scheduler_state() IS 'whether this database runs scheduled refreshes, or why not';
COMMENT ON FUNCTION pgtrickle.watermark() IS 'transaction and WAL position of the cluster, and what prevents the removal of change rows';
COMMENT ON FUNCTION pgtrickle.explain_capabilities(text) IS 'constructs of a query: whether and how each is maintained, and the alternative';
COMMENT ON FUNCTION pgtrickle.create_or_replace_stream_table(text, text, text, text, boolean) IS 'creates a stream table, or changes query, schedule and mode of an existing one';
COMMENT ON FUNCTION pgtrickle.schedule_seconds(text) IS 'interval of a schedule; NULL if it is not an interval';
COMMENT ON FUNCTION pgtrickle.restore_stream_tables() IS 'rebuilds stream tables that came with a dump or a copied database';
COMMENT ON FUNCTION pgtrickle.on_alter_table() IS 'keeps the parts of altered stream tables consistent';
COMMENT ON FUNCTION pgtrickle.on_table_rewrite() IS 'recomputes the readers of rewritten tables';
COMMENT ON FUNCTION pgtrickle.list_sources() IS 'tables that stream tables read, with readers and columns';
COMMENT ON FUNCTION pgtrickle.change_buffer_sizes() IS 'sizes of change buffers whose source the caller may read or monitor';

-- Stream tables keep the settings that their results can depend on: now those of the session that updates.
ALTER TABLE pgtrickle.pgt_stream_tables ADD COLUMN settings text[];
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.settings IS 'name=value of the settings under which every session reads and runs its query';
UPDATE pgtrickle.pgt_stream_tables SET settings = (
    SELECT pg_catalog.array_agg(s.name || '=' || pg_catalog.current_setting(s.name) ORDER BY s.place)
    FROM pg_catalog.unnest(ARRAY[
        'TimeZone', 'DateStyle', 'IntervalStyle', 'timezone_abbreviations', 'extra_float_digits', 'bytea_output', 'xmlbinary',
        'xmloption', 'array_nulls', 'quote_all_identifiers', 'lc_monetary', 'lc_numeric', 'lc_time', 'default_text_search_config',
        'standard_conforming_strings', 'backslash_quote', 'transform_null_equals'
    ]) WITH ORDINALITY AS s(name, place));
ALTER TABLE pgtrickle.pgt_stream_tables ADD COLUMN zone_rules bigint;
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.zone_rules IS 'hash of its time zone''s rules when it was last computed whole; NULL if it does not depend on them, or is in FULL mode';
-- A restore brings the number of a table, but never the table with that number.
ALTER TABLE pgtrickle.pgt_stream_tables ADD COLUMN table_oid oid NOT NULL DEFAULT 0;
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.table_oid IS 'stream table for which the frontier means something; a restored one has another OID';
UPDATE pgtrickle.pgt_stream_tables SET table_oid = pgt_relid::pg_catalog.oid;
CREATE FUNCTION pgtrickle.time_zone_rules(zone text) RETURNS bigint
    LANGUAGE c STRICT STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'time_zone_rules_wrapper';
COMMENT ON FUNCTION pgtrickle.time_zone_rules(text) IS 'hash of the rules of a time zone as this session knows them; NULL if there is no such zone';
DROP FUNCTION pgtrickle.alter_stream_table(text, text, text, text, text);
CREATE FUNCTION pgtrickle.alter_stream_table(
    name text, query text DEFAULT NULL, schedule text DEFAULT NULL, refresh_mode text DEFAULT NULL, status text DEFAULT NULL,
    settings text[] DEFAULT NULL
) RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'alter_stream_table_and_settings_wrapper';
COMMENT ON FUNCTION pgtrickle.alter_stream_table(text, text, text, text, text, text[]) IS 'changes a stream table; NULL leaves a property unchanged; a setting is name=value, or name for its value in this session';

-- It is updated, also where all tables are published.
ALTER TABLE pgtrickle.pgt_refresh_totals REPLICA IDENTITY FULL;

-- What no trigger saw.
ALTER TABLE pgtrickle.pgt_dependencies ADD COLUMN files bigint;
COMMENT ON COLUMN pgtrickle.pgt_dependencies.files IS 'hash of the files of the table that the content was read from';
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

-- How busy the refresh workers are, and with what.
CREATE FUNCTION pgtrickle.refresh_load() RETURNS TABLE (
    saturation double precision,
    busy_workers double precision,
    workers integer,
    waiting_seconds double precision
)
    STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'refresh_load_wrapper';
CREATE FUNCTION pgtrickle.refresh_shares() RETURNS TABLE (pgt_id bigint, worker_share double precision)
    STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'refresh_shares_wrapper';
COMMENT ON FUNCTION pgtrickle.refresh_load() IS 'load of the refresh workers of this database: work due in the last seconds divided by their capacity';
COMMENT ON FUNCTION pgtrickle.refresh_shares() IS 'stream tables that take most of the workers'' time, each with its share of one worker';
DROP FUNCTION pgtrickle.health_check();
DROP FUNCTION pgtrickle.pgt_status();
CREATE FUNCTION pgtrickle.pgt_status(
    OUT name text, OUT status text, OUT schedule text, OUT requested_mode text, OUT refresh_mode text,
    OUT mode_code text, OUT mode_reason text, OUT is_populated boolean, OUT data_timestamp timestamptz,
    OUT last_action text, OUT last_reason text, OUT last_finished_at timestamptz, OUT last_duration_ms float8,
    OUT needs_restore boolean, OUT scheduling text, OUT waiting_for text[], OUT consecutive_errors integer,
    OUT last_error text, OUT retry_at timestamptz, OUT worker_share float8, OUT is_late boolean
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
    ), scheduler AS MATERIALIZED (SELECT pgtrickle.scheduler_state() AS state
    ), stale AS MATERIALIZED (SELECT * FROM pgtrickle.stale_stream_tables() AS s (pgt_id))
    SELECT t.pgt_relid::text, t.status, t.schedule, t.requested_mode, t.refresh_mode,
           t.mode_code, t.mode_reason, t.is_populated, t.data_timestamp,
           h.action, h.reason, h.finished_at, h.duration_ms,
           (t.system_identifier, t.database_oid, t.table_oid) IS DISTINCT FROM (s.system_identifier, d.oid, c.oid),
           CASE WHEN t.status = 'SUSPENDED' THEN 'SUSPENDED'
                WHEN t.refresh_mode = 'IMMEDIATE' THEN 'IMMEDIATE'
                WHEN scheduler.state <> 'RUNNING' THEN scheduler.state
                WHEN waits.pgt_id IS NOT NULL THEN 'WAITING'
                WHEN failures.pgt_id IS NOT NULL THEN 'RETRYING'
                ELSE 'SCHEDULED' END,
           waits.waiting_for, failures.consecutive_errors,
           failures.condition || COALESCE(': ' || failures.message, ''), failures.retry_at,
           shares.worker_share,
           stale.pgt_id IS NOT NULL
               AND COALESCE(t.data_timestamp, t.created_at) < pg_catalog.clock_timestamp()
                   - pg_catalog.make_interval(secs => 60 + 3 * COALESCE(pgtrickle.schedule_seconds(t.schedule), 0))
    FROM pgtrickle.pgt_stream_tables t
    JOIN pg_catalog.pg_class c ON c.oid = t.pgt_relid
    CROSS JOIN pg_catalog.pg_control_system() s
    JOIN pg_catalog.pg_database d ON d.datname = pg_catalog.current_database()
    CROSS JOIN scheduler
    LEFT JOIN waits ON waits.pgt_id = t.pgt_id
    LEFT JOIN failures ON failures.pgt_id = t.pgt_id
    LEFT JOIN pgtrickle.refresh_shares() shares ON shares.pgt_id = t.pgt_id
    LEFT JOIN stale ON stale.pgt_id = t.pgt_id
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

CREATE FUNCTION pgtrickle.health_check(OUT check_name text, OUT severity text, OUT detail text)
RETURNS SETOF record LANGUAGE sql VOLATILE
BEGIN ATOMIC
    WITH state AS MATERIALIZED (SELECT pgtrickle.scheduler_state() AS state),
    status AS MATERIALIZED (SELECT * FROM pgtrickle.pgt_status()),
    load AS MATERIALIZED (SELECT * FROM pgtrickle.refresh_load()),
    mark AS MATERIALIZED (SELECT * FROM pgtrickle.watermark())
    SELECT 'scheduler', CASE s.state WHEN 'RUNNING' THEN 'OK' WHEN 'STARTING' THEN 'WARNING'
                                     WHEN 'STANDBY' THEN 'OK' ELSE 'WARNING' END,
           CASE s.state
               WHEN 'RUNNING' THEN 'stream tables are refreshed by their schedules'
               WHEN 'STARTING' THEN 'the scheduler is starting; if it stays in this state, raise max_worker_processes'
               WHEN 'STANDBY' THEN 'a standby refreshes nothing until it is promoted'
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
                    'no stream table needs a restore')
    FROM status s WHERE s.needs_restore
    UNION ALL
    SELECT 'staleness', CASE WHEN pg_catalog.count(*) = 0 THEN 'OK' ELSE 'WARNING' END,
           COALESCE(pg_catalog.string_agg(s.name, ', ' ORDER BY s.name)
                        || ': older than a minute and three times the schedule, though sources have changed',
                    'no stream table is late')
    FROM status s WHERE s.is_late
    UNION ALL
    SELECT 'saturation', CASE WHEN l.saturation > 1.5 THEN 'WARNING' ELSE 'OK' END,
           CASE WHEN l.saturation > 1.5
                THEN 'due refreshes need ' || pg_catalog.round(l.saturation::numeric, 1)
                     || ' times the capacity of ' || l.workers || ' workers; most goes to '
                     || COALESCE((SELECT pg_catalog.string_agg(s.name, ', ' ORDER BY s.worker_share DESC)
                                  FROM status s WHERE s.worker_share > 0.1), 'stream tables that you may not see')
                ELSE 'the refresh workers keep up' END
    FROM load l
    UNION ALL
    SELECT 'buffers', CASE WHEN m.oldest_since < pg_catalog.clock_timestamp() - interval '1 hour'
                           THEN 'WARNING' ELSE 'OK' END,
           CASE WHEN m.oldest_holder IS NULL THEN 'no transaction keeps change rows from being removed'
                ELSE 'change rows cannot be removed because of ' || m.oldest_holder
                     || COALESCE(' since ' || m.oldest_since::text, '') END
    FROM mark m
    UNION ALL
    SELECT 'time_zones', CASE WHEN pg_catalog.count(*) = 0 THEN 'OK' ELSE 'WARNING' END,
           COALESCE(pg_catalog.string_agg(t.pgt_relid::text, ', ' ORDER BY t.pgt_relid::text)
                        || ': computed under older rules of their time zones; run pgtrickle.refresh_stream_table(name, force_full => true)',
                    'stream tables were computed under the current rules of their time zones')
    FROM pgtrickle.pgt_stream_tables t CROSS JOIN pg_catalog.unnest(t.settings) AS s (item)
    WHERE s.item LIKE 'TimeZone=%'
      AND t.zone_rules <> pgtrickle.time_zone_rules(pg_catalog.substr(s.item, 10))
    UNION ALL
    SELECT 'capture', CASE WHEN w.what IS NULL AND c.setting = 'on' THEN 'OK' ELSE 'WARNING' END,
           CASE WHEN w.what IS NOT NULL
                THEN w.what || '; its readers were recomputed'
                WHEN c.setting <> 'on'
                THEN 'writes that bypass triggers go unnoticed: track_counts is off'
                ELSE 'no writes bypassed the triggers' END
    FROM pg_catalog.pg_settings c CROSS JOIN (
        SELECT pg_catalog.string_agg(
                   u.source || ': ' || u.rows || ' rows of the last day bypassed the triggers: '
                   || CASE u.cause
                          WHEN 'TRIGGERS_OFF' THEN 'triggers were switched off (ALTER TABLE … DISABLE TRIGGER)'
                          WHEN 'REPLICATION_ROLE' THEN 'session_replication_role kept triggers from firing'
                          WHEN 'FILE_SWAPPED' THEN 'its file was swapped'
                          ELSE 'code of an extension wrote them' END,
                   ', ' ORDER BY u.source, u.cause) AS what
        FROM (SELECT source_relid::text AS source, cause, pg_catalog.sum(GREATEST(rows, 1)) AS rows
              FROM pgtrickle.pgt_unseen_writes u
              WHERE written_at > pg_catalog.clock_timestamp() - interval '1 day'
                AND EXISTS (SELECT FROM pg_catalog.pg_class r WHERE r.oid = u.source_relid)
              GROUP BY source_relid, cause) u
    ) w
    WHERE c.name = 'track_counts';
END;
COMMENT ON FUNCTION pgtrickle.health_check() IS 'checks of installation, scheduler and stream tables, with a remedy for each problem';

CREATE OR REPLACE FUNCTION pgtrickle.metrics(OUT name text, OUT labels jsonb, OUT value float8)
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
    ), unseen AS (
        SELECT u.source_relid, pg_catalog.sum(GREATEST(u.rows, 1)) AS rows
        FROM pgtrickle.pgt_unseen_writes u
        WHERE u.written_at > pg_catalog.clock_timestamp() - interval '1 hour'
        GROUP BY u.source_relid
    ), mark AS MATERIALIZED (SELECT * FROM pgtrickle.watermark())
    SELECT c.name, '{}'::jsonb, c.value::float8 FROM pgtrickle.runtime_counters() c
    UNION ALL
    SELECT m.name, '{}'::jsonb, m.value
    FROM pgtrickle.refresh_load() l CROSS JOIN LATERAL (VALUES
        ('refresh_saturation', l.saturation), ('refresh_busy_workers', l.busy_workers),
        ('refresh_waiting_seconds', l.waiting_seconds)
    ) m (name, value)
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
    LEFT JOIN pgtrickle.refresh_shares() s ON s.pgt_id = t.pgt_id
    CROSS JOIN LATERAL (VALUES
        ('worker_share', s.worker_share),
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
    SELECT 'unseen_rows', pg_catalog.jsonb_build_object('source', s.source), COALESCE(u.rows, 0)::float8
    FROM pgtrickle.list_sources() s LEFT JOIN unseen u ON u.source_relid::text = s.source
    WHERE s.captured
    UNION ALL
    SELECT v.name, v.labels, v.value FROM mark m CROSS JOIN LATERAL (VALUES
        ('wal_bytes', '{}'::jsonb, m.wal_bytes::float8),
        ('prepared_transactions', '{}'::jsonb, m.prepared_transactions::float8),
        ('oldest_transaction_age_seconds',
         pg_catalog.jsonb_build_object('holder', COALESCE(m.oldest_holder, '')),
         COALESCE(EXTRACT(epoch FROM pg_catalog.clock_timestamp() - m.oldest_since), 0)::float8)
    ) v (name, labels, value);
END;
COMMENT ON FUNCTION pgtrickle.metrics() IS 'metrics of the runtime, and of the stream tables that the caller may read, own or monitor';

-- A stream table can be spread over the nodes of a cluster of Citus.
DROP FUNCTION pgtrickle.create_stream_table(text, text, text, text, boolean);
CREATE FUNCTION pgtrickle.create_stream_table(
    name text, query text, schedule text DEFAULT 'calculated', refresh_mode text DEFAULT 'AUTO', initialize boolean DEFAULT true,
    output_distribution_column text DEFAULT NULL
) RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'create_stream_table_and_distribute_wrapper';
COMMENT ON FUNCTION pgtrickle.create_stream_table(text, text, text, text, boolean, text) IS 'creates a table that is kept equal to a query; on Citus, output_distribution_column distributes it (NULL: derived from the query)';
CREATE FUNCTION pgtrickle.take_part(
    name text, query text, schedule text, status text, settings text[], task text, known text[]
) RETURNS text LANGUAGE c AS 'MODULE_PATHNAME', 'take_part_wrapper';
COMMENT ON FUNCTION pgtrickle.take_part(text, text, text, text, text[], text, text[]) IS 'refreshes this node''s parts of a two-step stream table and returns their changes; the coordinator of a Citus cluster calls it';
CREATE FUNCTION pgtrickle.maintain_shards(
    name text, query text, schedule text, status text, settings text[], task text
) RETURNS text LANGUAGE c AS 'MODULE_PATHNAME', 'maintain_shards_wrapper';
COMMENT ON FUNCTION pgtrickle.maintain_shards(text, text, text, text, text[], text) IS 'refreshes this node''s shards of a distributed stream table; the coordinator of a Citus cluster calls it';
CREATE FUNCTION pgtrickle.shards_here(name text) RETURNS text LANGUAGE c AS 'MODULE_PATHNAME', 'shards_here_wrapper';
COMMENT ON FUNCTION pgtrickle.shards_here(text) IS 'this node''s shards of a distributed stream table, or of a part of a two-step one; the coordinator of a Citus cluster calls it';
CREATE FUNCTION pgtrickle.node_status() RETURNS TABLE (
    name text, node text, shards bigint, is_populated boolean, data_timestamp timestamptz, pending_rows bigint, error text
) STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'node_status_wrapper';
COMMENT ON FUNCTION pgtrickle.node_status() IS 'on Citus: for each node and stream table that it maintains at least in part: number of shards, whether all are filled, when the oldest was last changed, pending captured changes, errors';

-- Text of dates and times is maintained as long as it says which.
CREATE FUNCTION pgtrickle.without_clock_words(value text) RETURNS text
    LANGUAGE c STRICT IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'without_clock_words_wrapper';
COMMENT ON FUNCTION pgtrickle.without_clock_words(text) IS 'the text of a date or time; an error if it says now, today, tomorrow or yesterday';
CREATE FUNCTION pgtrickle.without_clock_strings(value text) RETURNS text
    LANGUAGE c STRICT IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'without_clock_strings_wrapper';
COMMENT ON FUNCTION pgtrickle.without_clock_strings(text) IS 'the text of a JSON document; an error if a string in it says now, today, tomorrow or yesterday';

-- Dependencies on shards of Citus, which it hides from pg_class and from a dump, are found again by a restore.
SELECT pg_catalog.pg_extension_config_dump('pgtrickle.pgt_dependencies', 'WHERE source_relid IN (SELECT oid FROM pg_catalog.pg_class)');

-- Dumps by ordinary roles read the sequences, too.
GRANT SELECT ON ALL SEQUENCES IN SCHEMA pgtrickle TO PUBLIC;

-- Every update script ends so: it tells all sessions that they know the catalog of another version.
GRANT SELECT ON pgtrickle.pgt_dependencies TO PUBLIC;
