#!/usr/bin/env bash
# Apache AGE 1.8.0~rc0 (Debian forky, PostgreSQL 18.6): a server that preloads AGE refuses every TRUNCATE in a database
# that does not have the extension; INSERT and DELETE work there. With CREATE EXTENSION age the same TRUNCATE works.
# A server that serves many databases must create the extension in each of them, or load AGE by session.
# Seen 2026-11-30: ERROR: schema "ag_catalog" does not exist.
source "$(dirname "$0")/lib/server.sh"
source "$(dirname "$0")/lib/debian.sh"
debian_start forky postgresql-18=18.6-3 postgresql-client-18=18.6-3 postgresql-18-age=1.8.0~rc0-2 -- \
    "shared_preload_libraries = 'age'"
sql postgres <<<'CREATE TABLE t (id int); INSERT INTO t VALUES (1); DELETE FROM t'
without=$(sql postgres <<<'TRUNCATE t' || true)
sql postgres <<<'CREATE EXTENSION age'
seen 'without: ERROR:  schema "ag_catalog" does not exist
with: TRUNCATE TABLE' "without: $without
with: $(sql postgres <<<'\set QUIET off
TRUNCATE t')"
