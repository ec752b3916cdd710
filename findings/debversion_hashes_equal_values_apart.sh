#!/usr/bin/env bash
# debversion 1.2.0 (Debian forky, PostgreSQL 18.6): '1.0' and '1.00' are equal, and its hash operator class gives them
# different hashes. A GROUP BY, DISTINCT or join returns what the plan makes of it: one group by sorting, two by hashing.
# The catalog has the same `=` in both operator classes, so that nothing but values shows it.
# Seen 2026-11-30: equal t, same hash f, 2 groups by hashing, 1 by sorting.
source "$(dirname "$0")/lib/server.sh"
source "$(dirname "$0")/lib/debian.sh"
debian_start forky postgresql-18=18.6-3 postgresql-client-18=18.6-3 postgresql-18-debversion=1.2.0-3 --
seen 'equal t, same hash f
2 groups by hashing
1 groups by sorting' "$(sql postgres <<'SQL'
CREATE EXTENSION debversion;
CREATE TABLE t AS VALUES ('1.0'::debversion), ('1.00');
SELECT format('equal %s, same hash %s', '1.0'::debversion = '1.00', debversion_hash('1.0') = debversion_hash('1.00'));
SET enable_sort = off;
SELECT format('%s groups by hashing', count(*)) FROM (SELECT column1 FROM t GROUP BY 1) s;
RESET enable_sort;
SET enable_hashagg = off;
SELECT format('%s groups by sorting', count(*)) FROM (SELECT column1 FROM t GROUP BY 1) s;
SQL
)"
