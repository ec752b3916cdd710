-- Reports over the catalog. Bodies are bound when they are created, so that no search_path matters.

CREATE FUNCTION pgtrickle.pgt_status(
    OUT name text, OUT status text, OUT schedule text, OUT requested_mode text, OUT refresh_mode text,
    OUT mode_code text, OUT mode_reason text, OUT is_populated boolean, OUT data_timestamp timestamptz,
    OUT last_action text, OUT last_reason text, OUT last_finished_at timestamptz, OUT last_duration_ms float8,
    OUT needs_restore boolean
) RETURNS SETOF record LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT t.pgt_relid::text, t.status, t.schedule, t.requested_mode, t.refresh_mode,
           t.mode_code, t.mode_reason, t.is_populated, t.data_timestamp,
           h.action, h.reason, h.finished_at, h.duration_ms,
           (t.system_identifier, t.database_oid) IS DISTINCT FROM (s.system_identifier, d.oid)
    FROM pgtrickle.pgt_stream_tables t
    JOIN pg_catalog.pg_class c ON c.oid = t.pgt_relid
    CROSS JOIN pg_catalog.pg_control_system() s
    JOIN pg_catalog.pg_database d ON d.datname = pg_catalog.current_database()
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
