#!/usr/bin/env bash
# pgsql-deparser 18.3.8 after pgsql-parser 18.2.8 (npm; the parser is the server's own): FETCH FIRST 1 ROWS WITH TIES is printed as
# LIMIT 1, and GROUP BY DISTINCT without its DISTINCT. The tree that is printed has both. A definition that passes through it,
# as in migration tools and code generators, keeps fewer rows, or shows groups several times; nothing warns.
# Seen 2026-12-01: with PostgreSQL 18.6, 2 rows before and 1 after; 3 rows before and 7 after.
source "$(dirname "$0")/lib/server.sh"
server_start 18.6.3
npm install --silent --no-fund --no-audit --prefix "$work" pgsql-parser@18.2.8 pgsql-deparser@18.3.8
cat >"$work/print.mjs" <<'JS'
import { parse } from 'pgsql-parser'
import { deparse } from 'pgsql-deparser'

const tree = await parse(process.argv[2])
const { limitOption, groupDistinct } = tree.stmts[0].stmt.SelectStmt
console.log(`${limitOption}, distinct groups ${groupDistinct ?? false}`)
console.log((await deparse(tree)).replace(/\s+/g, ' '))
JS
printed() { (cd "$work" && node print.mjs "$1"); }
rows() { sql postgres | wc -l; }
ties="SELECT x FROM generate_series(1, 4) x ORDER BY x / 3 FETCH FIRST 1 ROWS WITH TIES"
groups="SELECT count(*) FROM (VALUES (1), (2)) AS v(a) GROUP BY DISTINCT ROLLUP (a), ROLLUP (a)"
seen "LIMIT_OPTION_WITH_TIES, distinct groups false
SELECT x FROM generate_series(1, 4) AS x ORDER BY x / 3 LIMIT 1
2 rows before, 1 after
LIMIT_OPTION_DEFAULT, distinct groups true
SELECT count(*) FROM ( VALUES (1), (2) ) AS v(a) GROUP BY ROLLUP (a), ROLLUP (a)
3 rows before, 7 after" "$(printed "$ties")
$(rows <<<"$ties") rows before, $(printed "$ties" | tail -n 1 | rows) after
$(printed "$groups")
$(rows <<<"$groups") rows before, $(printed "$groups" | tail -n 1 | rows) after"
