#!/usr/bin/env bash
# pg_ivm 1.17 (Debian forky) on PostgreSQL 18.6: a sum or avg that has once held Infinity is NaN for as long as the group
# exists, also after the row is deleted, since the old value is subtracted: Infinity - Infinity. A large float takes the
# others' digits with it in the same way.
# Seen 2026-11-30: NaN where the query says 3, for float8 and numeric; 0 where it says 3 after 1e300 came and went.
source "$(dirname "$0")/lib/server.sh"
source "$(dirname "$0")/lib/debian.sh"
debian_start forky postgresql-18=18.6-3 postgresql-client-18=18.6-3 postgresql-18-pg-ivm=1.17-1 -- \
    "session_preload_libraries = 'pg_ivm'"
seen 'maintained NaN NaN, query 3 3
maintained 0, query 3' "$(sql postgres <<'SQL'
SET client_min_messages = error;
CREATE EXTENSION pg_ivm;
CREATE TABLE t (id int PRIMARY KEY, g int, f float8, n numeric);
INSERT INTO t VALUES (1, 1, 1, 1), (2, 1, 2, 2);
DO $$ BEGIN PERFORM pgivm.create_immv('m', 'SELECT g, sum(f) AS f, sum(n) AS n FROM t GROUP BY g'); END $$;
INSERT INTO t VALUES (3, 1, 'Infinity', 'Infinity');
DELETE FROM t WHERE id = 3;
SELECT format('maintained %s %s, query %s %s', m.f, m.n, sum(t.f), sum(t.n)) FROM m, t GROUP BY m.f, m.n;
CREATE TABLE u (id int PRIMARY KEY, g int, f float8);
INSERT INTO u VALUES (1, 1, 1), (2, 1, 2);
DO $$ BEGIN PERFORM pgivm.create_immv('mu', 'SELECT g, sum(f) AS f FROM u GROUP BY g'); END $$;
INSERT INTO u VALUES (3, 1, 1e300);
DELETE FROM u WHERE id = 3;
SELECT format('maintained %s, query %s', mu.f, sum(u.f)) FROM mu, u GROUP BY mu.f;
SQL
)"
