# deltaflow_start VIEWS: Deltaflow in the background, over `server_start` with wal_level = logical and after `python_with`. It
# keeps the views of these statements, in the schema `live`. `deltaflow_caught_up VIEW` waits until it has applied every change.
deltaflow_start() {
    echo "$1" >"$work/views.sql"
    PGHOST=$work/server PGUSER=postgres PGDATABASE=postgres "$work/python/bin/deltaflow" run "$work/views.sql" \
        --slot deltaflow --state-dir "$work/state" --http-port -1 >"$work/deltaflow.log" 2>&1 &
    deltaflow=$!
    trap 'kill $deltaflow || true; wait $deltaflow || true; server_stop' EXIT
    for _ in $(seq 300); do
        if grep -q '^worker pid=' "$work/deltaflow.log"; then return; fi
        sleep 0.1
    done
    cat "$work/deltaflow.log" >&2
    exit 1
}

deltaflow_caught_up() {
    local reached
    reached=$(sql postgres <<<"SELECT _deltaflow.wait_for(pg_current_wal_lsn(), ARRAY['$1'], '30 seconds')")
    if [ "$reached" != t ]; then
        cat "$work/deltaflow.log" >&2
        exit 1
    fi
}
