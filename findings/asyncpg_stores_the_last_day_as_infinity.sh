#!/usr/bin/env bash
# asyncpg 0.31.0 on PostgreSQL 18.6: date.max, date.min and datetime.max are sent as 'infinity' and '-infinity'. A valid-until
# of 9999-12-31, which many schemas use for "still valid", is stored as another value than psycopg or SQL text stores: the two
# are not equal, do not join, and `until - CURRENT_DATE` fails. The driver reads both as the same Python value.
# Seen 2026-11-30: 'infinity' from Python's 9999-12-31, not equal to DATE '9999-12-31', read back as equal to it.
source "$(dirname "$0")/lib/server.sh"
source "$(dirname "$0")/lib/python.sh"
server_start 18.6.3
python_with asyncpg==0.31.0
seen "stored infinity -infinity infinity
equal in the database False, in Python True" "$(host=$work/server python <<'PY'
import asyncio, os
from datetime import date, datetime
import asyncpg

async def main():
    connection = await asyncpg.connect(host=os.environ["host"], user="postgres", database="postgres")
    query = "SELECT $1::date::text, $2::date::text, $3::timestamp::text"
    print("stored", *await connection.fetchrow(query, date.max, date.min, datetime.max))
    query = "SELECT $1::date AS sent, DATE '9999-12-31' AS written, $1::date = DATE '9999-12-31' AS equal"
    row = await connection.fetchrow(query, date(9999, 12, 31))
    print("equal in the database", str(row["equal"]) + ", in Python", row["sent"] == row["written"])

asyncio.run(main())
PY
)"
