#!/usr/bin/env bash
# @tanstack/db 0.15.2: in a live query avg() counts a null as a row of value 0, and min() and max() answer 0, which no row has.
# A field that is not there counts as one, too. count() of the same column leaves these rows out, and so do comparisons and
# joins, as SQL does: over a column with nulls sum / count is another number than avg.
# Seen 2026-11-30: of null, 2 and 4: count 2, sum 6, avg 2, min 0; of -5 and null: max 0.
source "$(dirname "$0")/lib/server.sh"
server_folder
npm install --silent --no-fund --no-audit --prefix "$work" @tanstack/db@0.15.2
cat >"$work/live.mjs" <<'JS'
import { avg, count, createCollection, createLiveQueryCollection, localOnlyCollectionOptions, max, min, sum } from '@tanstack/db'

const rows = createCollection(localOnlyCollectionOptions({
    id: 'rows', getKey: row => row.id, initialData: [
        { id: 1, g: 'positive', v: null }, { id: 2, g: 'positive', v: 2 }, { id: 3, g: 'positive', v: 4 },
        { id: 4, g: 'negative', v: -5 }, { id: 5, g: 'negative', v: null },
        { id: 6, g: 'absent', v: 3 }, { id: 7, g: 'absent' },
    ],
}))
const groups = createLiveQueryCollection({
    startSync: true,
    query: query => query.from({ rows }).groupBy(({ rows }) => rows.g).select(({ rows }) => ({
        g: rows.g, n: count(rows.v), sum: sum(rows.v), avg: avg(rows.v), min: min(rows.v), max: max(rows.v),
    })),
})
await groups.preload()
const lines = []
for (const { g, n, sum, avg, min, max } of groups.toArray) {
    lines.push(`${g}: count ${n}, sum ${sum}, avg ${avg}, min ${min}, max ${max}`)
}
console.log(lines.sort().join('\n'))
process.exit(0)
JS
seen 'absent: count 1, sum 3, avg 1.5, min 0, max 3
negative: count 1, sum -5, avg -2.5, min -5, max 0
positive: count 2, sum 6, avg 2, min 0, max 4' "$(cd "$work" && node live.mjs)"
