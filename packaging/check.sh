#!/bin/bash
# Runs as root in a fresh Debian: installs Debian's own server and the package as docs/install.md says, uses it, updates
# it from the previous version if there is one, and removes it. Blocks of that document are in /packages.
set -euo pipefail
major=$1
suite=$2
cd /packages
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 PGOPTIONS='-c client_min_messages=warning'

say() { printf '== %s (%s s)\n' "$1" "$SECONDS"; }
fail() { printf 'error: %s\n' "$1" >&2; exit 1; }
# One of the document's blocks, where a package lies.
block() { (cd "$1" && bash -euo pipefail "/packages/$2.sh"); }
sql() { sudo -u postgres psql -X -q -A -t -v ON_ERROR_STOP=1 -d shop -c "$1"; }

query='SELECT customer, count(*) AS orders, sum(amount) AS total FROM orders GROUP BY customer'
differences="SELECT count(*) FROM ((TABLE revenue EXCEPT ALL $query) UNION ALL ($query EXCEPT ALL TABLE revenue)) d"
exact() { [ "$(sql "$differences")" = 0 ] || fail "$1: the stream table differs from its query"; }
# Its scheduler brings the stream table up to date without being told.
follows() {
    local deadline=$((SECONDS + 60))
    until [ "$(sql "$differences")" = 0 ]; do
        [ $SECONDS -lt $deadline ] || fail "$1: the stream table does not follow"
        sleep 0.2
    done
}
write() {
    sql "INSERT INTO orders SELECT nextval('ids'), 'customer ' || i % 30, i FROM generate_series(1, 100) i"
    sql 'UPDATE orders SET amount = amount + 1 WHERE id % 7 = 0; DELETE FROM orders WHERE id % 11 = 0'
}

say "Debian's own server"
apt-get -qq update
apt-get -qq -y install --no-install-recommends -t "$suite" "postgresql-$major" sudo >/dev/null || {
    touch /packages/no-server
    fail "Debian's own server cannot be installed"
}
dpkg-query -W "postgresql-$major"

first=current
[ -d previous ] && first=previous
say "the $first package"
block $first install >/dev/null
sudo -u postgres createdb shop
sql 'CREATE EXTENSION pg_trickle'
sql 'CREATE SEQUENCE ids; CREATE TABLE orders (id bigint PRIMARY KEY, customer text NOT NULL, amount numeric(12,2) NOT NULL)'
write
sql "SELECT pgtrickle.create_stream_table('revenue', '$query', schedule => '1s', refresh_mode => 'DIFFERENTIAL')" >/dev/null
exact 'as created'
write
[ "$(sql "$differences")" != 0 ] || [ "$(sql 'SELECT count(*) FROM pgtrickle.pgt_refresh_history')" != 0 ] ||
    fail 'the changes show nowhere'
follows 'with the scheduler'

if [ $first = previous ]; then
    say "update"
    former=$(sql "SELECT extversion FROM pg_extension WHERE extname = 'pg_trickle'")
    sql "SELECT pgtrickle.alter_stream_table('revenue', schedule => '1h')" >/dev/null
    write
    [ "$(sql "$differences")" != 0 ] || fail 'nothing is pending'
    block current update >/dev/null
    [ "$(sql "SELECT extversion FROM pg_extension WHERE extname = 'pg_trickle'")" != "$former" ] ||
        fail "it still is version $former"
    say "after the update: $(sql "SELECT concat_ws(' ', action, reason) FROM pgtrickle.refresh_stream_table('revenue')")"
    exact 'after the update'
    sql "SELECT pgtrickle.alter_stream_table('revenue', schedule => '1s')" >/dev/null
    write
    follows 'after the update'
fi
[ "$(sql "SELECT extversion = pgtrickle.version() FROM pg_extension WHERE extname = 'pg_trickle'")" = t ] ||
    fail 'the library is of another version than the extension'

say "removal"
block current remove >/dev/null
write
[ "$(sql 'SELECT count(*) > 0 FROM orders')" = t ] || fail 'the orders are gone'
left=$(find / -xdev -path /packages -prune -o -iname '*pg*trickle*' -print)
[ -z "$left" ] || fail "left behind: $left"
pg_ctlcluster "$major" main stop
say "done"
