#!/usr/bin/env bash
# postgres 3.4.9 (npm) on PostgreSQL 18.6: a NULL inside an array arrives as another value, which depends on the type: NaN in int[],
# false in bool[], the text NULL in text[], where it is no longer told from the string "NULL". There is no error, and
# an array that is read and stored again is another one. pg 8.23.1 gives null in each. Reported upstream, and not mended.
# Seen 2026-11-30: NaN, false and 'NULL'; null with pg.
source "$(dirname "$0")/lib/server.sh"
server_start 18.6.3
npm install --silent --no-fund --no-audit --prefix "$work" postgres@3.4.9 pg@8.23.1
cat >"$work/read.mjs" <<'JS'
import pg from 'pg'
import postgres from 'postgres'

const host = process.env.host
const sql = postgres({ path: `${host}/.s.PGSQL.5432`, user: 'postgres', database: 'postgres' })
const client = new pg.Client({ host, user: 'postgres', database: 'postgres' })
await client.connect()
const arrays = `SELECT '{1,NULL}'::int[] AS i, '{true,NULL}'::bool[] AS b, '{NULL,"NULL"}'::text[] AS t`
const show = (name, { i, b, t }) => console.log(name, i, b, t)
show('postgres', (await sql.unsafe(arrays))[0])
show('pg', (await client.query(arrays)).rows[0])
process.exit(0)
JS
seen "postgres [ 1, NaN ] [ true, false ] [ 'NULL', 'NULL' ]
pg [ 1, null ] [ true, null ] [ null, 'NULL' ]" "$(cd "$work" && host=$work/server node read.mjs)"
