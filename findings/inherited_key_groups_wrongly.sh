#!/usr/bin/env bash
# PostgreSQL 18.6: GROUP BY takes the primary key of an inheritance parent as unique in the whole tree. Children do not
# inherit the key, so rows that share an id and differ in v fall into one group, which shows one v of several; grouping
# by both columns shows three groups. The planner itself is careful there (it drops no grouping column of a tree), the
# check that allows `v` ungrouped is not. A key of a parent says nothing about its tree.
# Seen 2026-11-29: one row of three rows with one of their values; three rows when v is named, too.
source "$(dirname "$0")/lib/server.sh"
server_start 18.6.3
seen 'by the key: 1 group of 3 rows, v one of 10, 20, 30: t
by key and v: 3 groups' "$(sql postgres <<'SQL'
CREATE TABLE parent (id int PRIMARY KEY, v int);
CREATE TABLE child () INHERITS (parent);
INSERT INTO parent VALUES (1, 10);
INSERT INTO child VALUES (1, 20), (1, 30);
SELECT format('by the key: %s group of %s rows, v one of 10, 20, 30: %s', count(*), sum(n), bool_and(v IN (10, 20, 30)))
FROM (SELECT id, v, count(*) AS n FROM parent GROUP BY id) g;
SELECT format('by key and v: %s groups', count(*)) FROM (SELECT FROM parent GROUP BY id, v) g;
SQL
)"
