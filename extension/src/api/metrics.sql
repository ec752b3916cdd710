-- The runtime in figures and in judgements. Bodies are bound when they are created.

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

CREATE VIEW pgtrickle.refresh_progress AS
    SELECT r.pid, r.database,
           CASE WHEN r.database = pg_catalog.current_database() THEN t.pgt_relid::text END AS stream_table,
           r.phase, r.since, r.rows_done, r.rows_total
    FROM pgtrickle.running_recomputations() r
    LEFT JOIN pgtrickle.pgt_stream_tables t
           ON t.pgt_id = r.pgt_id AND r.database = pg_catalog.current_database();
GRANT SELECT ON pgtrickle.refresh_progress TO PUBLIC;
COMMENT ON VIEW pgtrickle.refresh_progress IS 'running first fills and recomputations';

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

COMMENT ON FUNCTION pgtrickle.drain(integer) IS 'stops starting refreshes in every database and waits for running ones; returns whether all finished';
COMMENT ON FUNCTION pgtrickle.resume() IS 'ends a drain; returns whether one was on';
COMMENT ON FUNCTION pgtrickle.is_drained() IS 'whether a drain is on and no refresh runs';
COMMENT ON FUNCTION pgtrickle.drain_status() IS 'whether a drain is on, since when, who requested it, and how many refreshes run';
COMMENT ON FUNCTION pgtrickle.suspend_stream_table(text) IS 'stops the scheduled refreshes of a stream table';
COMMENT ON FUNCTION pgtrickle.resume_stream_table(text) IS 'starts the scheduled refreshes of a stream table again';
COMMENT ON FUNCTION pgtrickle.scheduler_state() IS 'whether this database runs scheduled refreshes, or why not';
COMMENT ON FUNCTION pgtrickle.refresh_failures() IS 'stream tables whose last scheduled refresh failed';
COMMENT ON FUNCTION pgtrickle.refresh_workers() IS 'refresh workers of the cluster';
COMMENT ON FUNCTION pgtrickle.refresh_load() IS 'load of the refresh workers of this database: work due in the last seconds divided by their capacity';
COMMENT ON FUNCTION pgtrickle.refresh_shares() IS 'stream tables that take most of the workers'' time, each with its share of one worker';
COMMENT ON FUNCTION pgtrickle.running_recomputations() IS 'running first fills and recomputations, by id';
COMMENT ON FUNCTION pgtrickle.watermark() IS 'transaction and WAL position of the cluster, and what prevents the removal of change rows';
COMMENT ON FUNCTION pgtrickle.stale_stream_tables() IS 'ids of the stream tables that may be behind their sources';
COMMENT ON FUNCTION pgtrickle.schedule_seconds(text) IS 'interval of a schedule; NULL if it is not an interval';
COMMENT ON FUNCTION pgtrickle.runtime_counters() IS 'counters and gauges that are kept in shared memory';

COMMENT ON FUNCTION pgtrickle.create_stream_table(text, text, text, text, boolean, text) IS 'creates a table that is kept equal to a query; on Citus, output_distribution_column distributes it (NULL: derived from the query)';
COMMENT ON FUNCTION pgtrickle.take_part(text, text, text, text, text[], text, text[]) IS 'refreshes this node''s parts of a two-step stream table and returns their changes; the coordinator of a Citus cluster calls it';
COMMENT ON FUNCTION pgtrickle.maintain_shards(text, text, text, text, text[], text) IS 'refreshes this node''s shards of a distributed stream table; the coordinator of a Citus cluster calls it';
COMMENT ON FUNCTION pgtrickle.shards_here(text) IS 'this node''s shards of a distributed stream table, or of a part of a two-step one; the coordinator of a Citus cluster calls it';
COMMENT ON FUNCTION pgtrickle.node_status() IS 'on Citus: for each node and stream table that it maintains at least in part: number of shards, whether all are filled, when the oldest was last changed, pending captured changes, errors';
COMMENT ON FUNCTION pgtrickle.create_or_replace_stream_table(text, text, text, text, boolean) IS 'creates a stream table, or changes query, schedule and mode of an existing one';
COMMENT ON FUNCTION pgtrickle.alter_stream_table(text, text, text, text, text, text[]) IS 'changes a stream table; NULL leaves a property unchanged; a setting is name=value, or name for its value in this session';
COMMENT ON FUNCTION pgtrickle.drop_stream_table(text, boolean) IS 'drops a stream table';
COMMENT ON FUNCTION pgtrickle.refresh_stream_table(text, boolean) IS 'refreshes a stream table; returns action (NO_DATA, DIFFERENTIAL, FULL or INITIALIZE), reason, rows_inserted, rows_updated, rows_deleted, delta_rows (change rows read; with reason COST, an estimate of those not read), duration_ms';
COMMENT ON FUNCTION pgtrickle.explain_st(text) IS 'how a stream table is maintained';
COMMENT ON FUNCTION pgtrickle.explain_capabilities(text) IS 'constructs of a query: whether and how each is maintained, and the alternative';
COMMENT ON FUNCTION pgtrickle.restore_stream_tables() IS 'rebuilds stream tables that came with a dump or a copied database';
COMMENT ON FUNCTION pgtrickle.change_buffer_sizes() IS 'sizes of change buffers whose source the caller may read or monitor';
COMMENT ON FUNCTION pgtrickle.version() IS 'version of the library';
COMMENT ON FUNCTION pgtrickle.pgt_id_of(text) IS 'id of a stream table that the caller may read';
REVOKE ALL ON FUNCTION pgtrickle.restore_stream_tables() FROM PUBLIC;
