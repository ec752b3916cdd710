#!/usr/bin/env bash
# reladiff 0.6.0 on PostgreSQL 18.6: its HASHDIFF, the only one between two databases, hashes the columns of a row joined by "|",
# with "<null>" for NULL and no quoting. Rows ('p|q', 'r') and ('p', 'q|r') hash alike, and so do NULL and the text '<null>': the
# tables are reported equal. JOINDIFF of the same two tables finds the rows, and so does HASHDIFF when another row of the segment
# differs, since it then compares the rows themselves.
# Seen 2026-11-30: joined 2 rows differ, hashed 0.
source "$(dirname "$0")/lib/server.sh"
source "$(dirname "$0")/lib/python.sh"
server_start 18.6.3
python_with reladiff==0.6.0 psycopg2-binary==2.9.13
sql postgres <<'SQL'
CREATE TABLE a (id int PRIMARY KEY, x text, y text);
INSERT INTO a SELECT i, 'x', 'y' FROM generate_series(1, 1000) i;
CREATE TABLE b (LIKE a INCLUDING ALL);
INSERT INTO b TABLE a;
UPDATE a SET x = 'p|q', y = 'r' WHERE id = 10;
UPDATE b SET x = 'p', y = 'q|r' WHERE id = 10;
UPDATE a SET x = NULL WHERE id = 500;
UPDATE b SET x = '<null>' WHERE id = 500;
SQL
seen 'JOINDIFF: 10, 500
HASHDIFF: none' "$(host=$work/server python <<'PY'
import logging, os
from reladiff import Algorithm, connect_to_table, diff_tables

logging.disable(logging.WARNING)
server = {"driver": "postgresql", "dbname": "postgres", "user": "postgres", "host": os.environ["host"]}
tables = [connect_to_table(server, name, "id", extra_columns=("x", "y")) for name in "ab"]
for algorithm, options in [
    (Algorithm.JOINDIFF, {}),
    (Algorithm.HASHDIFF, {"bisection_factor": 10, "bisection_threshold": 100}),
]:
    keys = {int(row[0]) for _, row in diff_tables(*tables, algorithm=algorithm, **options)}
    print(f"{algorithm.name}:", ", ".join(map(str, sorted(keys))) or "none")
PY
)"
