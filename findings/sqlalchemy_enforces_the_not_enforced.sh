#!/usr/bin/env bash
# SQLAlchemy 2.1.9 does not know PostgreSQL 18's NOT ENFORCED: such a CHECK is reflected with an empty text (a warning
# says so), and the CREATE TABLE made from it is a syntax error; such a foreign key is reflected as an enforced one, without
# a warning, so that rows of the original no longer fit.
# Seen 2026-11-29: `CHECK ()`, and `FOREIGN KEY(p) REFERENCES parent (id)` where the server says NOT ENFORCED.
source "$(dirname "$0")/lib/server.sh"
source "$(dirname "$0")/lib/python.sh"
server_start 18.6.3
python_with sqlalchemy==2.1.9 psycopg==3.3.9 psycopg-binary==3.3.9
sql postgres <<'SQL'
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (p int CONSTRAINT of_parent REFERENCES parent NOT ENFORCED);
CREATE TABLE checked (v int CONSTRAINT positive CHECK (v > 0) NOT ENFORCED);
INSERT INTO child VALUES (7);
INSERT INTO checked VALUES (-1);
SQL
seen "warned: Could not parse CHECK constraint text: 'CHECK (v > 0) NOT ENFORCED'
CONSTRAINT of_parent FOREIGN KEY(p) REFERENCES parent (id)
CONSTRAINT positive CHECK ()
the copy of checked: SyntaxError
the copy of child takes the row of the original: ForeignKeyViolation" "$(python <<'PYTHON'
import os, warnings
from sqlalchemy import MetaData, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateTable

engine = create_engine(os.environ["address"])
tables = MetaData()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    tables.reflect(engine, only=["child", "checked"])
for warning in sorted({str(w.message) for w in caught}):
    print("warned:", warning)
made = {name: str(CreateTable(tables.tables[name]).compile(engine)) for name in ("child", "checked")}
lines = [line.strip(" ,\t") for statement in made.values() for line in statement.splitlines()]
print("\n".join(sorted(line for line in lines if line.startswith("CONSTRAINT"))))


def outcome(*statements):
    try:
        with engine.begin() as session:
            for statement in statements:
                session.execute(text(statement))
        return "accepted"
    except DBAPIError as error:
        return type(error.orig).__name__


print("the copy of checked:", outcome("DROP TABLE checked", made["checked"]))
print(
    "the copy of child takes the row of the original:",
    outcome("DROP TABLE child", made["child"], "INSERT INTO child VALUES (7)"),
)
engine.dispose()
PYTHON
)"
