#!/usr/bin/env bash
# q3c 2.0.5 (Debian forky) on PostgreSQL 18.6: a query with q3c_radial_query() runs, and so does a view over it, but no materialized
# view can be made of it: since 17 the server fills these under search_path = pg_catalog, pg_temp, and the function names others
# of the extension without their schema. With SET search_path it works, and is then no longer inlined, so that the index on
# q3c_ang2ipix is not used. Whatever maintains a result under a safe search_path meets this with older SQL functions.
# Seen 2026-12-01: ERROR: function q3c_ang2ipix(double precision, double precision) does not exist.
source "$(dirname "$0")/lib/server.sh"
source "$(dirname "$0")/lib/debian.sh"
debian_start forky postgresql-18=18.6-3 postgresql-client-18=18.6-3 postgresql-18-q3c=2.0.5-1 --
sql postgres <<'SQL'
CREATE EXTENSION q3c;
CREATE TABLE stars AS SELECT i AS id, i * 0.001::float8 AS ra, i * 0.0005::float8 AS dec FROM generate_series(1, 100000) i;
CREATE INDEX ON stars (q3c_ang2ipix(ra, dec));
ANALYZE stars;
CREATE VIEW near AS SELECT id FROM stars WHERE q3c_radial_query(ra, dec, 5, 2.5, 0.01);
SQL
kept="CREATE MATERIALIZED VIEW kept AS SELECT id FROM stars WHERE q3c_radial_query(ra, dec, 5, 2.5, 0.01)"
plan() { sql postgres <<<"EXPLAIN (COSTS OFF) SELECT * FROM near" | grep -oE 'Seq Scan|Bitmap Index Scan' | sort -u; }
rows() { sql postgres <<<"SELECT count(*) FROM $1"; }
view="view: $(rows near) rows, by $(plan)"
refused=$(sql postgres <<<"$kept" | grep -m 1 ERROR || true)
sql postgres <<'SQL'
ALTER FUNCTION q3c_radial_query(float8, float8, float8, float8, float8) SET search_path = public, pg_temp;
SQL
sql postgres <<<"$kept"
seen 'view: 17 rows, by Bitmap Index Scan
materialized: ERROR:  function q3c_ang2ipix(double precision, double precision) does not exist
with SET search_path: 17 rows materialized, by Seq Scan' "$view
materialized: $refused
with SET search_path: $(rows kept) rows materialized, by $(plan)"
