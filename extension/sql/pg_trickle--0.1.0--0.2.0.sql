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
COMMENT ON FUNCTION pgtrickle.refresh_stream_table(text, boolean) IS 'refreshes a stream table; returns action (NO_DATA, DIFFERENTIAL, FULL or INITIALIZE), reason, rows_inserted, rows_updated, rows_deleted, delta_rows (change rows read), duration_ms';

-- What runs in everybody's sessions has a search_path of its own.
ALTER FUNCTION pgtrickle.on_sql_drop() SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION pgtrickle.on_alter_table() SET search_path = pg_catalog, pg_temp;
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
    WHEN TAG IN ('ALTER AGGREGATE', 'ALTER DOMAIN', 'ALTER EXTENSION', 'ALTER FUNCTION', 'ALTER OPERATOR', 'ALTER OPERATOR CLASS',
                 'ALTER OPERATOR FAMILY', 'ALTER ROUTINE', 'ALTER TABLE', 'ALTER TYPE', 'ALTER VIEW', 'CREATE AGGREGATE',
                 'CREATE FOREIGN TABLE', 'CREATE FUNCTION', 'CREATE OPERATOR CLASS', 'CREATE TABLE', 'CREATE VIEW')
    EXECUTE FUNCTION pgtrickle.on_alter_table();

-- They fire in any replication role, as the triggers of tables do.
ALTER EVENT TRIGGER pgtrickle_on_sql_drop ENABLE ALWAYS;
ALTER EVENT TRIGGER pgtrickle_on_alter_table ENABLE ALWAYS;
ALTER EVENT TRIGGER pgtrickle_on_alter_trigger ENABLE ALWAYS;
ALTER EVENT TRIGGER pgtrickle_on_table_rewrite ENABLE ALWAYS;

-- Descriptions that say it more plainly.
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.is_polled IS 'whether its content can change without a captured change of a source';
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.data_lsn IS 'WAL position at that time; for reports only';
COMMENT ON TABLE pgtrickle.pgt_last_writers IS 'the transaction that last changed an IMMEDIATE stream table or one of its sources';
COMMENT ON FUNCTION pgtrickle._duration_bound_ms(float8) IS 'bucket of a duration: the smallest bound that it does not exceed';
COMMENT ON VIEW pgtrickle.pgt_refresh_figures IS 'refreshes that did something; older ones are aggregated';
COMMENT ON COLUMN pgtrickle.pgt_refresh_figures.bound_ms IS 'upper bound of the duration; it exceeds the next smaller bound';
COMMENT ON TABLE pgtrickle.pgt_failures IS 'stream tables whose last scheduled refresh failed; restricted, since messages may show data';
COMMENT ON FUNCTION pgtrickle.follow_immediately() IS 'applies the changes of a statement to IMMEDIATE stream tables';
COMMENT ON FUNCTION pgtrickle.metrics() IS 'metrics of the runtime, and of the stream tables that the caller may read, owns or may monitor';
COMMENT ON VIEW pgtrickle.refresh_progress IS 'running first fills and recomputations';
COMMENT ON FUNCTION pgtrickle.running_recomputations() IS 'running first fills and recomputations, by id';
COMMENT ON FUNCTION pgtrickle.health_check() IS 'checks of installation, scheduler and stream tables, with a remedy for each problem';
COMMENT ON FUNCTION pgtrickle.drain(integer) IS 'stops starting refreshes in every database and waits for running ones; returns whether all finished';
COMMENT ON FUNCTION pgtrickle.resume() IS 'ends a drain; returns whether one was on';
COMMENT ON FUNCTION pgtrickle.scheduler_state() IS 'whether this database runs scheduled refreshes, or why not';
COMMENT ON FUNCTION pgtrickle.watermark() IS 'transaction and WAL position of the cluster, and what keeps change rows from being removed';
COMMENT ON FUNCTION pgtrickle.explain_capabilities(text) IS 'constructs of a query: whether and how each is maintained, and what to do otherwise';
COMMENT ON FUNCTION pgtrickle.create_or_replace_stream_table(text, text, text, text, boolean) IS 'creates a stream table, or changes query, schedule and mode of an existing one';
COMMENT ON FUNCTION pgtrickle.schedule_seconds(text) IS 'interval of a schedule; NULL if it is not an interval';
COMMENT ON FUNCTION pgtrickle.restore_stream_tables() IS 'rebuilds stream tables that were restored from another database';
COMMENT ON FUNCTION pgtrickle.on_alter_table() IS 'keeps the parts of altered stream tables consistent';
COMMENT ON FUNCTION pgtrickle.on_table_rewrite() IS 'recomputes the readers of rewritten tables';
COMMENT ON FUNCTION pgtrickle.list_sources() IS 'tables that stream tables read, with readers and columns';
COMMENT ON FUNCTION pgtrickle.change_buffer_sizes() IS 'sizes of change buffers whose source the caller may read or monitor';

-- Stream tables keep the settings that their results can depend on: now those of the session that updates.
ALTER TABLE pgtrickle.pgt_stream_tables ADD COLUMN settings text[];
COMMENT ON COLUMN pgtrickle.pgt_stream_tables.settings IS 'name=value of the settings under which its query is read and runs, by any session';
UPDATE pgtrickle.pgt_stream_tables SET settings = (
    SELECT pg_catalog.array_agg(s.name || '=' || pg_catalog.current_setting(s.name) ORDER BY s.place)
    FROM pg_catalog.unnest(ARRAY[
        'TimeZone', 'DateStyle', 'IntervalStyle', 'timezone_abbreviations', 'extra_float_digits', 'bytea_output', 'xmlbinary',
        'xmloption', 'array_nulls', 'quote_all_identifiers', 'lc_monetary', 'lc_numeric', 'lc_time', 'default_text_search_config',
        'standard_conforming_strings', 'backslash_quote', 'transform_null_equals'
    ]) WITH ORDINALITY AS s(name, place));
DROP FUNCTION pgtrickle.alter_stream_table(text, text, text, text, text);
CREATE FUNCTION pgtrickle.alter_stream_table(
    name text, query text DEFAULT NULL, schedule text DEFAULT NULL, refresh_mode text DEFAULT NULL, status text DEFAULT NULL,
    settings text[] DEFAULT NULL
) RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'alter_stream_table_and_settings_wrapper';
COMMENT ON FUNCTION pgtrickle.alter_stream_table(text, text, text, text, text, text[]) IS 'changes a stream table; NULL leaves a property unchanged; settings are name=value, or name for its value in this session';

-- It is updated, also where all tables are published.
ALTER TABLE pgtrickle.pgt_refresh_totals REPLICA IDENTITY FULL;

-- Every update script ends so: it tells all sessions that they know the catalog of another version.
GRANT SELECT ON pgtrickle.pgt_dependencies TO PUBLIC;
