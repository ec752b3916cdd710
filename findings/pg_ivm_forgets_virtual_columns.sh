#!/usr/bin/env bash
# pg_ivm 1.17 (Debian forky) on PostgreSQL 18.6: create_immv takes a view over a virtual generated column and fills it rightly.
# A row inserted afterwards has NULL there, since maintenance reads the transition table, which does not have the value; a group
# of its own for NULL comes up in an aggregate. Neither creation nor the insert warns. A stored column beside it is right.
# Seen 2026-11-30: the query says 6 for the new row, the maintained view NULL; groups 2 and NULL instead of 2 and 6.
source "$(dirname "$0")/lib/server.sh"
source "$(dirname "$0")/lib/debian.sh"
debian_start forky postgresql-18=18.6-3 postgresql-client-18=18.6-3 postgresql-18-pg-ivm=1.17-1 --
seen 'query: virtual 2 stored 3, virtual 6 stored 9
maintained: virtual 2 stored 3, virtual NULL stored 9
groups: 2 once, NULL once' "$(sql postgres <<'SQL' | grep -E '^(query|maintained|groups):'
CREATE EXTENSION pg_ivm;
CREATE TABLE t (id int PRIMARY KEY, a int, virtual int GENERATED ALWAYS AS (a * 2) VIRTUAL, stored int GENERATED ALWAYS AS (a * 3) STORED);
INSERT INTO t VALUES (1, 1);
SELECT pgivm.create_immv('maintained', 'SELECT id, virtual, stored FROM t');
SELECT pgivm.create_immv('groups', 'SELECT virtual, count(*) AS n FROM t GROUP BY virtual');
INSERT INTO t VALUES (3, 3);
SELECT 'query: ' || string_agg(format('virtual %s stored %s', coalesce(virtual::text, 'NULL'), stored), ', ' ORDER BY id) FROM t;
SELECT 'maintained: ' || string_agg(format('virtual %s stored %s', coalesce(virtual::text, 'NULL'), stored), ', ' ORDER BY id) FROM maintained;
SELECT 'groups: ' || string_agg(format('%s once', coalesce(virtual::text, 'NULL')), ', ' ORDER BY virtual) FROM groups WHERE n = 1;
SQL
)"
