#!/bin/sh
# Makes the data directory if there is none, then becomes the server. For tests: everybody may connect.
set -eu

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    initdb --username=postgres --auth=trust --encoding=UTF8 --locale=C.UTF-8 --no-sync >/dev/null
fi
exec postgres -c shared_preload_libraries=pg_trickle -c unix_socket_directories=/var/run/postgresql "$@"
