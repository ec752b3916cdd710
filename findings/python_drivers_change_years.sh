#!/usr/bin/env bash
# Drivers of Python on PostgreSQL 18.6: psycopg 3.3.9, psycopg2 2.9.13 and asyncpg 0.32.0 read an interval of a year as 365 days, and a
# month as 30. The server takes a year as twelve months of 30 days when it compares. So '1 year' that is read and stored
# again no longer equals itself, does not join, and sorts after '361 days', before which it was; a date plus the stored month ends
# on another day. pg8000 1.31.6 reads months apart, and cannot store what it has read. None warns.
# Seen 2026-12-01: 365 days, not equal; with pg8000 an error.
source "$(dirname "$0")/lib/server.sh"
source "$(dirname "$0")/lib/python.sh"
server_start 18.6.3
python_with 'psycopg[binary]==3.3.9' psycopg2-binary==2.9.13 asyncpg==0.32.0 pg8000==1.31.6
sql postgres <<'SQL'
CREATE TABLE t (i interval);
INSERT INTO t VALUES ('1 year');
SQL
seen 'server: 1 year < 361 days True, 2024-01-31 + 1 month 2024-02-29 00:00:00
psycopg: 1 year stored as 365 days, equal False, less than 361 days False
psycopg2: 1 year stored as 365 days, equal False, less than 361 days False
asyncpg: 1 year stored as 365 days, equal False, less than 361 days False
psycopg: 2024-01-31 + 1 month 2024-03-01 00:00:00
pg8000: invalid input syntax for type interval: "None days None seconds None microseconds"' "$(host=$work/server python <<'PY'
import asyncio, os
import asyncpg, pg8000.dbapi, psycopg, psycopg2

host = os.environ["host"]
READ = "SELECT i FROM t"
STORED = "SELECT stored::text, stored = i, stored < interval '361 days' FROM t, (SELECT {}::interval AS stored) s"


def show(driver, row):
    print("{}: 1 year stored as {}, equal {}, less than 361 days {}".format(driver, *row))


def by_cursor(driver, connection):
    cursor = connection.cursor()
    cursor.execute(READ)
    cursor.execute(STORED.format("%s"), cursor.fetchone())
    show(driver, cursor.fetchone())


async def by_asyncpg():
    connection = await asyncpg.connect(host=host, user="postgres", database="postgres")
    show("asyncpg", await connection.fetchrow(STORED.format("$1"), await connection.fetchval(READ)))


address = f"host={host} user=postgres dbname=postgres"
connection = psycopg.connect(address)
less, day = connection.execute("SELECT i < interval '361 days', date '2024-01-31' + interval '1 month' FROM t").fetchone()
print(f"server: 1 year < 361 days {less}, 2024-01-31 + 1 month {day}")
by_cursor("psycopg", connection)
by_cursor("psycopg2", psycopg2.connect(address))
asyncio.run(by_asyncpg())
month = connection.execute("SELECT interval '1 month'").fetchone()
print("psycopg: 2024-01-31 + 1 month", *connection.execute("SELECT date '2024-01-31' + %s", month).fetchone())
try:
    by_cursor("pg8000", pg8000.dbapi.connect(user="postgres", database="postgres", unix_sock=f"{host}/.s.PGSQL.5432"))
except pg8000.dbapi.DatabaseError as error:
    print("pg8000:", error.args[0]["M"])
PY
)"
