-- Reports over the catalog. Bodies are bound when they are created, so that no search_path matters.

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
COMMENT ON FUNCTION pgtrickle.list_sources() IS 'tables that stream tables read, with readers and columns';
