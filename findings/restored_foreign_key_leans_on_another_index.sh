#!/usr/bin/env bash
# PostgreSQL 18.6: a foreign key whose columns have several unique indexes rests on the one created first. pg_dump writes
# the columns and not the index, and creates primary keys and indexes in an order of its own, so that the same foreign key rests
# on another index in the restored database. A migration that drops an index, tried on a restored copy, then fails on the
# original.
# Seen 2026-12-01: on z_first in the original, on the primary key in the copy.
source "$(dirname "$0")/lib/server.sh"
server_start 18.6.3
sql postgres <<'SQL'
CREATE TABLE s (g int NOT NULL);
CREATE UNIQUE INDEX z_first ON s (g);
ALTER TABLE s ADD CONSTRAINT s_key PRIMARY KEY (g);
CREATE TABLE child (g int REFERENCES s (g));
CREATE DATABASE copy;
SQL
"$bin/pg_dump" -h "$work/server" -U postgres postgres | sql copy >/dev/null
rests_on() { sql "$1" <<<"SELECT conindid::regclass FROM pg_constraint WHERE conname = 'child_g_fkey'"; }
dropped() { if said=$(sql "$1" <<<"DROP INDEX z_first"); then echo dropped; else grep -m1 ERROR <<<"$said"; fi; }
seen 'rests on: original z_first, copy s_key
DROP INDEX z_first: original ERROR:  cannot drop index z_first because other objects depend on it, copy dropped' \
    "rests on: original $(rests_on postgres), copy $(rests_on copy)
DROP INDEX z_first: original $(dropped postgres), copy $(dropped copy)"
