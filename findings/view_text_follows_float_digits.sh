#!/usr/bin/env bash
# PostgreSQL 18.6: pg_get_viewdef prints float constants under the session's extra_float_digits, also when that loses
# digits, so that the printed definition is another view than the stored one: run again, it gives other rows. pg_dump
# is safe (it sets extra_float_digits itself); a tool that copies a view by its printed text is safe only if it does so, too.
# Seen 2026-11-29: the view shows 1.2345678901234567; its text under -12 says '1.23'.
source "$(dirname "$0")/lib/server.sh"
server_start 18.6.3
seen "the view: 1.2345678901234567
its text at 1: SELECT '1.2345678901234567'::double precision AS x;
its text at -12: SELECT '1.23'::double precision AS x;" "$(sql postgres <<'SQL'
CREATE VIEW v AS SELECT '1.2345678901234567'::float8 AS x;
SELECT 'the view: ' || x FROM v;
SELECT 'its text at 1: ' || trim(pg_get_viewdef('v'));
SET extra_float_digits = -12;
SELECT 'its text at -12: ' || trim(pg_get_viewdef('v'));
SQL
)"
