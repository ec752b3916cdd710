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
COMMENT ON FUNCTION pgtrickle.refresh_stream_table(text, boolean) IS 'brings a stream table up to date and says what that took: action (NO_DATA, DIFFERENTIAL, FULL or INITIALIZE), reason, rows_inserted, rows_updated, rows_deleted, delta_rows (change rows read), duration_ms';

-- What runs in everybody's sessions has a search_path of its own.
ALTER FUNCTION pgtrickle.on_sql_drop() SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION pgtrickle.on_alter_table() SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION pgtrickle.on_table_rewrite() SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION pgtrickle.restore_stream_tables() SET search_path = pg_catalog, pg_temp;

-- Triggers of ours are kept from ALTER TRIGGER.
CREATE FUNCTION pgtrickle.on_alter_trigger() RETURNS event_trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'on_alter_trigger_wrapper';
COMMENT ON FUNCTION pgtrickle.on_alter_trigger() IS 'keeps the triggers that stream tables rest on';
REVOKE ALL ON FUNCTION pgtrickle.on_alter_trigger() FROM PUBLIC;
CREATE EVENT TRIGGER pgtrickle_on_alter_trigger ON ddl_command_end
    WHEN TAG IN ('ALTER TRIGGER')
    EXECUTE FUNCTION pgtrickle.on_alter_trigger();

-- Updates of extensions are followed, beginning with this one.
DROP EVENT TRIGGER pgtrickle_on_alter_table;
CREATE EVENT TRIGGER pgtrickle_on_alter_table ON ddl_command_end
    WHEN TAG IN ('ALTER AGGREGATE', 'ALTER EXTENSION', 'ALTER FUNCTION', 'ALTER ROUTINE', 'ALTER TABLE', 'ALTER TYPE', 'ALTER VIEW',
                 'CREATE AGGREGATE', 'CREATE FOREIGN TABLE', 'CREATE FUNCTION', 'CREATE TABLE', 'CREATE VIEW')
    EXECUTE FUNCTION pgtrickle.on_alter_table();

-- They fire in any replication role, as the triggers of tables do.
ALTER EVENT TRIGGER pgtrickle_on_sql_drop ENABLE ALWAYS;
ALTER EVENT TRIGGER pgtrickle_on_alter_table ENABLE ALWAYS;
ALTER EVENT TRIGGER pgtrickle_on_alter_trigger ENABLE ALWAYS;
ALTER EVENT TRIGGER pgtrickle_on_table_rewrite ENABLE ALWAYS;

-- Every update script ends so: it tells all sessions that they know the catalog of another version.
GRANT SELECT ON pgtrickle.pgt_dependencies TO PUBLIC;
