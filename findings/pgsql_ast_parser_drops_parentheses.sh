#!/usr/bin/env bash
# pgsql-ast-parser 12.0.2 (npm; pg-mem and TypeScript tools read and print SQL with it): the parentheses of a set operation inside
# another are lost: a UNION ALL (b UNION c) becomes a UNION ALL b UNION c, which the server reads from the left. INTERVAL '1' MONTH
# becomes a second under the alias "month", as the unit is not read. Neither is an error, and the printed text has other rows.
# Seen 2026-12-01: with PostgreSQL 18.6, 2 rows before and 1 after; 1 mon before and 00:00:01 after.
source "$(dirname "$0")/lib/server.sh"
server_start 18.6.3
npm install --silent --no-fund --no-audit --prefix "$work" pgsql-ast-parser@12.0.2
cat >"$work/print.mjs" <<'JS'
import parser from 'pgsql-ast-parser'

console.log(parser.parse(process.argv[2]).map(parser.toSql.statement).join('; ').replace(/\s+/g, ' '))
JS
printed() { (cd "$work" && node print.mjs "$1"); }
union="SELECT 1 UNION ALL (SELECT 1 UNION SELECT 1)"
interval="SELECT INTERVAL '1' MONTH"
seen "(SELECT (1) ) UNION ALL (SELECT (1) ) UNION (SELECT (1) )
rows before 2, after 1
SELECT (('1')::interval ) AS month
before 1 mon, after 00:00:01" "$(printed "$union")
rows before $(sql postgres <<<"$union" | wc -l), after $(printed "$union" | sql postgres | wc -l)
$(printed "$interval")
before $(sql postgres <<<"$interval"), after $(printed "$interval" | sql postgres)"
