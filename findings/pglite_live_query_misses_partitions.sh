#!/usr/bin/env bash
# PGlite 0.5.17 (PostgreSQL 18.7 in WebAssembly): a live query over a partitioned table follows writes to the table, but not
# writes to one of its partitions, nor a partition attached with rows: its triggers are on the tables that the text names.
# The result stays without the rows until the next write to the parent, which brings them along.
# Seen 2026-11-30: 1 of 2 rows after the write to a partition, 1 of 3 after the attach, 4 of 4 after a write to the parent.
source "$(dirname "$0")/lib/server.sh"
server_folder
npm install --silent --no-fund --no-audit --prefix "$work" @electric-sql/pglite@0.5.17
cat >"$work/live.mjs" <<'JS'
import { PGlite } from '@electric-sql/pglite'
import { live } from '@electric-sql/pglite/live'

const db = await PGlite.create({ extensions: { live } })
await db.exec(`CREATE TABLE p (id int) PARTITION BY RANGE (id);
    CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
    CREATE TABLE p2 (id int); INSERT INTO p2 VALUES (11)`)
let rows
await db.live.query('SELECT id FROM p', [], result => { rows = result.rows })
const after = async change => {
    await db.exec(change)
    await new Promise(resolve => setTimeout(resolve, 500))
    const { rows: [{ n }] } = await db.query('SELECT count(*)::int AS n FROM p')
    console.log(`${rows.length} of ${n} rows after ${change}`)
}
await after('INSERT INTO p VALUES (1)')
await after('INSERT INTO p1 VALUES (2)')
await after('ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (10) TO (20)')
await after('INSERT INTO p VALUES (3)')
process.exit(0)
JS
seen '1 of 1 rows after INSERT INTO p VALUES (1)
1 of 2 rows after INSERT INTO p1 VALUES (2)
1 of 3 rows after ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (10) TO (20)
4 of 4 rows after INSERT INTO p VALUES (3)' "$(cd "$work" && node live.mjs)"
