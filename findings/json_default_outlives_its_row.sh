#!/usr/bin/env bash
# PostgreSQL 18.6: a default of a SQL/JSON function (DEFAULT, EMPTY ARRAY, TRUE or FALSE, ON EMPTY or ON ERROR) outlives the row
# that took it: later rows of the statement whose document is NULL show it, too, instead of NULL. JSON_EXISTS has such a
# default (FALSE ON ERROR) unless it says otherwise. The answer for a row depends on the rows before it, and with them on
# the plan. A document that is not NULL ends it; CASE WHEN j IS NOT NULL around the call avoids it.
# Seen 2026-12-01: the row without a document is NULL if it comes first, and has the default if it comes second.
source "$(dirname "$0")/lib/server.sh"
server_start 18.6.3
seen 'value: rising 1=none,2=none falling 2=NULL,1=none
query: rising 1=[],2=[] falling 2=NULL,1=[]
exists: rising 1=false,2=false falling 2=NULL,1=false
guarded: rising 1=none,2=NULL falling 2=NULL,1=none' "$(sql postgres <<'SQL'
CREATE TABLE t (id int, j jsonb);
INSERT INTO t VALUES (1, '{}'), (2, NULL);
CREATE FUNCTION shown(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE rising text; falling text;
BEGIN
  EXECUTE format('SELECT string_agg(id || ''='' || coalesce(v::text, ''NULL''), '','') FROM (SELECT id, %s AS v FROM (SELECT * FROM t ORDER BY id OFFSET 0) o) s', call) INTO rising;
  EXECUTE format('SELECT string_agg(id || ''='' || coalesce(v::text, ''NULL''), '','') FROM (SELECT id, %s AS v FROM (SELECT * FROM t ORDER BY id DESC OFFSET 0) o) s', call) INTO falling;
  RETURN 'rising ' || rising || ' falling ' || falling;
END $$;
SELECT 'value: ' || shown($$JSON_VALUE(j, '$.x' DEFAULT 'none' ON EMPTY)$$);
SELECT 'query: ' || shown($$JSON_QUERY(j, '$.x' EMPTY ARRAY ON EMPTY)$$);
SELECT 'exists: ' || shown($$JSON_EXISTS(j, 'strict $.x')$$);
SELECT 'guarded: ' || shown($$CASE WHEN j IS NOT NULL THEN JSON_VALUE(j, '$.x' DEFAULT 'none' ON EMPTY) END$$);
SQL
)"
