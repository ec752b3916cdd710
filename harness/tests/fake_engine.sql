-- Stream tables that recompute everything: enough of the SQL surface to test the replayer itself.
-- fake.lazy holds the names of those that forget to refresh.
CREATE SCHEMA pgtrickle;
CREATE SCHEMA pgtrickle_state;
CREATE SCHEMA pgtrickle_changes;
CREATE SCHEMA fake;
CREATE SEQUENCE fake.views MINVALUE 0;
CREATE TABLE fake.lazy (name text);

CREATE TABLE pgtrickle.pgt_stream_tables (
    pgt_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pgt_relid regclass UNIQUE NOT NULL,
    view_relid regclass NOT NULL,
    query text NOT NULL
);
CREATE TABLE pgtrickle.pgt_dependencies (pgt_id bigint, source_relid regclass);
CREATE TABLE pgtrickle.pgt_last_writers (pgt_id bigint);
CREATE TABLE pgtrickle.pgt_unseen_writes (source_relid regclass, rows bigint, cause text, written_at timestamptz);

CREATE FUNCTION pgtrickle.create_stream_table(
    name text, query text, schedule text DEFAULT 'calculated', refresh_mode text DEFAULT 'AUTO',
    initialize bool DEFAULT true) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v text := 'pgtrickle_state.view_' || nextval('fake.views');
BEGIN
    IF query ~ 'forbidden' THEN
        RAISE EXCEPTION 'not supported' USING ERRCODE = '0A000', HINT = 'ask for something else';
    END IF;
    EXECUTE format('CREATE VIEW %s AS %s', v, query);
    -- What is shown at once is a view, except one that forgets to follow.
    EXECUTE format('CREATE %s %s AS SELECT * FROM %s',
                   CASE WHEN refresh_mode = 'IMMEDIATE' AND name <> 'idle' THEN 'VIEW' ELSE 'TABLE' END, name, v);
    INSERT INTO pgtrickle.pgt_stream_tables (pgt_relid, view_relid, query)
    VALUES (name::regclass, v::regclass, query);
END $$;

CREATE FUNCTION pgtrickle.refresh_stream_table(name text, force_full bool DEFAULT false)
RETURNS TABLE (action text, reason text, rows_inserted bigint, rows_updated bigint,
               rows_deleted bigint, delta_rows bigint, duration_ms float8)
LANGUAGE plpgsql AS $$
DECLARE
    v regclass := (SELECT view_relid FROM pgtrickle.pgt_stream_tables s
                    WHERE s.pgt_relid = name::regclass);
    same bool;
BEGIN
    rows_updated := 0;
    rows_inserted := 0;
    rows_deleted := 0;
    EXECUTE format('WITH a AS (SELECT record_send(r) FROM (TABLE %s) r),
                         b AS (SELECT record_send(r) FROM (TABLE %s) r)
                    SELECT NOT EXISTS (TABLE a EXCEPT ALL TABLE b)
                       AND NOT EXISTS (TABLE b EXCEPT ALL TABLE a)', v, name) INTO same;
    IF same OR name IN (SELECT l.name FROM fake.lazy l) THEN
        action := 'NO_DATA';
    ELSE
        action := 'DIFFERENTIAL';
        EXECUTE format('DELETE FROM %s', name);
        GET DIAGNOSTICS rows_deleted = ROW_COUNT;
        EXECUTE format('INSERT INTO %s TABLE %s', name, v);
        GET DIAGNOSTICS rows_inserted = ROW_COUNT;
    END IF;
    RETURN NEXT;
END $$;

-- The same query, or another mode, changes nothing of what a stream table holds.
CREATE FUNCTION pgtrickle.alter_stream_table(name text, query text DEFAULT NULL, refresh_mode text DEFAULT NULL) RETURNS void
LANGUAGE sql AS $$ SELECT $$;

CREATE FUNCTION pgtrickle.explain_st(name text) RETURNS text LANGUAGE sql AS $$ SELECT 'a fake' $$;

CREATE FUNCTION pgtrickle.drop_stream_table(name text, cascade bool DEFAULT false) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v regclass := (SELECT view_relid FROM pgtrickle.pgt_stream_tables s
                    WHERE s.pgt_relid = name::regclass);
BEGIN
    IF v IS NULL THEN
        RETURN;
    END IF;
    DELETE FROM pgtrickle.pgt_stream_tables s WHERE s.pgt_relid = name::regclass;
    EXECUTE format('DROP %s %s CASCADE', (SELECT CASE relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END
                                            FROM pg_class WHERE oid = name::regclass), name);
    DELETE FROM pgtrickle.pgt_stream_tables s
     WHERE NOT EXISTS (SELECT FROM pg_class WHERE oid = s.pgt_relid);
    IF name <> 'messy' AND EXISTS (SELECT FROM pg_class WHERE oid = v) THEN
        EXECUTE format('DROP VIEW %s CASCADE', v);
    END IF;
END $$;

-- Other roles have stream tables, too.
GRANT USAGE, CREATE ON SCHEMA pgtrickle, pgtrickle_state, pgtrickle_changes, fake TO PUBLIC;
GRANT ALL ON ALL TABLES IN SCHEMA pgtrickle, fake TO PUBLIC;
GRANT ALL ON ALL SEQUENCES IN SCHEMA fake TO PUBLIC;
