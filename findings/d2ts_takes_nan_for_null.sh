#!/usr/bin/env bash
# @electric-sql/d2ts 0.1.8 (differential dataflow in TypeScript): rows are told apart by the hash of their JSON, in which NaN and Infinity
# are null. A row that changes from NaN to null is a deletion and an insertion that cancel each other in consolidate(), so that
# the change is lost, and distinct() keeps one of the three. Keys of an object count in their order, so that the deletion of an
# equal object with another order cancels nothing.
# @electric-sql/d2mini 0.1.8, a smaller form of it, keeps the first change, and confuses the three in distinct() as well.
# Seen 2026-12-01: no change at all from d2ts, two from d2mini; 1 distinct value of 3.
source "$(dirname "$0")/lib/server.sh"
server_folder
npm install --silent --no-fund --no-audit --prefix "$work" @electric-sql/d2ts@0.1.8 @electric-sql/d2mini@0.1.8
cat >"$work/flow.mjs" <<'JS'
import * as d2ts from '@electric-sql/d2ts'
import * as d2mini from '@electric-sql/d2mini'

function d2tsChanges(operator, batches) {
    const graph = new d2ts.D2({ initialFrontier: 0 })
    const input = graph.newInput()
    const changes = []
    input.pipe(operator(), d2ts.output(message => changes.push(...(message.data.collection?.getInner() ?? []))))
    graph.finalize()
    batches.forEach((batch, version) => {
        input.sendData(version, new d2ts.MultiSet(batch))
        input.sendFrontier(version + 1)
        graph.run()
    })
    return changes
}

function d2miniChanges(operator, batches) {
    const graph = new d2mini.D2()
    const input = graph.newInput()
    const changes = []
    input.pipe(operator(), d2mini.output(message => changes.push(...message.getInner())))
    graph.finalize()
    for (const batch of batches) {
        input.sendData(new d2mini.MultiSet(batch))
        graph.run()
    }
    return changes
}

const show = (name, changes) =>
    console.log(`${name}:`, changes.map(([[, value], weight]) => `${value} ${weight}`).sort().join(', ') || 'nothing')
const changed = [[[['key', NaN], -1], [['key', null], 1]]]
show('d2ts NaN to null', d2tsChanges(d2ts.consolidate, changed))
show('d2mini NaN to null', d2miniChanges(d2mini.consolidate, changed))
const three = [[['key', NaN], 1], [['key', null], 1], [['key', Infinity], 1]]
console.log('d2ts distinct of NaN, null, Infinity:', d2tsChanges(d2ts.distinct, [three]).length)
console.log('d2mini distinct of NaN, null, Infinity:', d2miniChanges(d2mini.distinct, [three]).length)
const reordered = [[[['key', { a: 1, b: 2 }], 1], [['key', { b: 2, a: 1 }], -1]]]
console.log('d2ts {a, b} less {b, a}:', d2tsChanges(d2ts.consolidate, reordered).length, 'changes')
JS
seen 'd2ts NaN to null: nothing
d2mini NaN to null: NaN -1, null 1
d2ts distinct of NaN, null, Infinity: 1
d2mini distinct of NaN, null, Infinity: 1
d2ts {a, b} less {b, a}: 2 changes' "$(cd "$work" && node flow.mjs)"
