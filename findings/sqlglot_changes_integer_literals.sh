#!/usr/bin/env bash
# sqlglot 30.30.0, from Postgres to Postgres: integer literals in the forms that PostgreSQL reads since 16 change their
# meaning. 1_000 becomes the number 1 under the alias _000, and 0x1F, an integer, becomes X'1F', a bit string. Neither is an
# error.
# Seen 2026-11-30: with PostgreSQL 18.6, 1000 and 31 before, 1 and 00011111 after.
source "$(dirname "$0")/lib/server.sh"
source "$(dirname "$0")/lib/python.sh"
server_start 18.6.3
python_with sqlglot==30.30.0
query="SELECT 1_000, 0x1F"
printed=$(sqlglot_prints "$query")
seen "SELECT 1 AS _000, x'1F'
1000|31
1|00011111" "$printed
$(sql postgres <<<"$query")
$(sql postgres <<<"$printed")"
