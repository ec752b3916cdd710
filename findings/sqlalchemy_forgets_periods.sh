#!/usr/bin/env bash
# SQLAlchemy 2.1.9 reflects PostgreSQL 18's temporal keys as ordinary ones: PRIMARY KEY (id, at WITHOUT OVERLAPS) comes
# back as (id, at), and a FOREIGN KEY with PERIOD without it, silently. A table made from the reflection accepts
# overlapping periods. pg_get_constraintdef tells both.
# Seen 2026-11-29: the original refuses an overlapping row, the table made from its reflection takes it.
source "$(dirname "$0")/lib/server.sh"
source "$(dirname "$0")/lib/python.sh"
server_start 18.6.3
python_with sqlalchemy==2.1.9 psycopg==3.3.9 psycopg-binary==3.3.9
sql postgres <<'SQL'
CREATE EXTENSION btree_gist;
CREATE TABLE stay (id int, at daterange, PRIMARY KEY (id, at WITHOUT OVERLAPS));
CREATE TABLE meal (id int, at daterange, CONSTRAINT of_stay FOREIGN KEY (id, PERIOD at) REFERENCES stay (id, PERIOD at));
SQL
seen "server: PRIMARY KEY (id, at WITHOUT OVERLAPS)
server: FOREIGN KEY (id, PERIOD at) REFERENCES stay(id, PERIOD at)
reflected: CONSTRAINT of_stay FOREIGN KEY(id, at) REFERENCES stay (id, at)
reflected: CONSTRAINT stay_pkey PRIMARY KEY (id, at)
original takes an overlapping row: False
copy takes an overlapping row: True" "$(python <<'PYTHON'
import os, warnings
from sqlalchemy import MetaData, create_engine, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.schema import CreateTable

warnings.simplefilter("error")
engine = create_engine(os.environ["address"])
with engine.begin() as session:
    for (definition,) in session.execute(text(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contype IN ('p', 'f') "
        "AND conrelid IN ('stay'::regclass, 'meal'::regclass) ORDER BY contype DESC"
    )):
        print("server:", definition)
tables = MetaData()
tables.reflect(engine, only=["stay", "meal"])
made = {name: str(CreateTable(table).compile(engine)) for name, table in tables.tables.items()}
for line in sorted(line.strip(" ,\t") for text_ in made.values() for line in text_.splitlines()):
    if line.startswith("CONSTRAINT"):
        print("reflected:", line)


def takes_overlap(session):
    try:
        with session.begin_nested():
            session.execute(text("INSERT INTO stay VALUES (1, '[2026-01-01,2026-01-09)'), (1, '[2026-01-05,2026-01-20)')"))
        return True
    except IntegrityError:
        return False


with engine.begin() as session:
    print("original takes an overlapping row:", takes_overlap(session))
    session.execute(text("DROP TABLE meal, stay"))
    session.execute(text(made["stay"]))
    print("copy takes an overlapping row:", takes_overlap(session))
engine.dispose()
PYTHON
)"
