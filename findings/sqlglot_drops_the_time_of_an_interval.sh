#!/usr/bin/env bash
# sqlglot 30.30.0, from Postgres to Postgres: an interval of a day and a time, INTERVAL '1 day 02:00', is printed as INTERVAL
# '1 DAY'. Two hours are gone without a warning; a filter over a moving window that passes through a tool on sqlglot (SQLMesh,
# linters) keeps other rows.
# Seen 2026-11-30: with PostgreSQL 18.6, 26 hours before and 24 after.
source "$(dirname "$0")/lib/server.sh"
source "$(dirname "$0")/lib/python.sh"
server_start 18.6.3
python_with sqlglot==30.30.0
query="SELECT extract(epoch FROM INTERVAL '1 day 02:00') / 3600 AS hours"
printed=$(sqlglot_prints "$query")
seen "SELECT EXTRACT(EPOCH FROM INTERVAL '1 DAY') / 3600 AS hours
26 24" "$printed
$(sql postgres <<<"$query" | xargs printf '%.0f') $(sql postgres <<<"$printed" | xargs printf '%.0f')"
