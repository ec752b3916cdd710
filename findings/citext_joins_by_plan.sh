#!/usr/bin/env bash
# PostgreSQL 18.6 (Debian forky), citext 1.8: under a nondeterministic collation the type's `=` compares lower-cased bytes, and its btree
# comparison follows the collation. Both stand in one operator family, so that a join returns what the plan makes of it:
# more rows by merging than by hashing. text under the same collation returns one answer.
# Seen 2026-11-30: citext 6 by hash, 10 by merge; text 10 and 10.
source "$(dirname "$0")/lib/server.sh"
source "$(dirname "$0")/lib/debian.sh"
debian_start forky postgresql-18=18.6-3 postgresql-client-18=18.6-3 --
seen 'citext 6 by hash, 10 by merge
text 10 by hash, 10 by merge' "$(sql postgres <<'SQL'
CREATE EXTENSION citext;
CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
CREATE TABLE t AS SELECT w::citext COLLATE loose AS c, w COLLATE loose AS w FROM unnest(ARRAY['a', 'A', 'á', 'b']) w;
SET enable_nestloop = off;
SET enable_mergejoin = off;
SELECT count(*) AS c FROM t a JOIN t b ON a.c = b.c \gset hash_
SELECT count(*) AS w FROM t a JOIN t b ON a.w = b.w \gset hash_
RESET enable_mergejoin;
SET enable_hashjoin = off;
SELECT count(*) AS c FROM t a JOIN t b ON a.c = b.c \gset merge_
SELECT count(*) AS w FROM t a JOIN t b ON a.w = b.w \gset merge_
\echo citext :hash_c by hash, :merge_c by merge
\echo text :hash_w by hash, :merge_w by merge
SQL
)"
