#!/usr/bin/env bash
# PostgreSQL 18.6: to_tsvector(regconfig, text) is IMMUTABLE, and ALTER TEXT SEARCH CONFIGURATION … ALTER MAPPING changes what
# it returns. Stored generated columns and expression indexes keep the former lexemes: no rewrite, no notice. The same
# condition then finds the row through the expression index and not without it. An event trigger sees the command, which
# is the one way to notice.
# Seen 2026-12-01: through the index 1 row, by computing 0; the event trigger names the configuration.
source "$(dirname "$0")/lib/server.sh"
server_start 18.6.3
seen 'event: ALTER TEXT SEARCH CONFIGURATION public.own
stored: 1, computed: 0
through the index: 1
by scan: 0' "$(sql postgres <<'SQL'
CREATE TEXT SEARCH CONFIGURATION own (COPY = english);
CREATE TABLE t (words text, stored tsvector GENERATED ALWAYS AS (to_tsvector('public.own', words)) STORED);
INSERT INTO t VALUES ('running dogs');
CREATE INDEX ON t USING gin (to_tsvector('public.own', words));
CREATE TABLE events (line text);
CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO events SELECT format('event: %s %s', command_tag, object_identity) FROM pg_event_trigger_ddl_commands();
END $$;
CREATE EVENT TRIGGER note ON ddl_command_end EXECUTE FUNCTION note();
ALTER TEXT SEARCH CONFIGURATION own ALTER MAPPING FOR asciiword WITH simple;
SELECT DISTINCT line FROM events;
SELECT format('stored: %s, computed: %s', count(*) FILTER (WHERE stored @@ 'run'::tsquery),
              count(*) FILTER (WHERE to_tsvector('public.own', words) @@ 'run'::tsquery)) FROM t;
SET enable_seqscan = off;
SELECT 'through the index: ' || count(*) FROM t WHERE to_tsvector('public.own', words) @@ 'run'::tsquery;
RESET enable_seqscan;
SET enable_bitmapscan = off;
SELECT 'by scan: ' || count(*) FROM t WHERE to_tsvector('public.own', words) @@ 'run'::tsquery;
SQL
)"
