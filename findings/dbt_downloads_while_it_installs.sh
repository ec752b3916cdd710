#!/usr/bin/env bash
# dbt-core 1.12.6 from PyPI requires dbt-core-experimental-parser, whose version 2.0.8 there is neither a wheel nor source:
# its source distribution is a build script and a list of addresses, and the script downloads a binary wheel from another
# place while pip installs it. Where only a package index can be reached, also a full mirror of it, dbt-core cannot be
# installed, nor anywhere with --only-binary. dbt-core 1.11.16 has no such requirement.
# The build script is read and not run: what it imports first is not there, so that pip stops.
# Seen 2026-11-30: four files, of them one Python file, whose build_wheel fetches.
source "$(dirname "$0")/lib/server.sh"
server_folder
python3 -m venv "$work/python"
pip() { "$work/python/bin/pip" --quiet --disable-pip-version-check "$@"; }
requires() {
    pip download --no-deps --only-binary :all: --dest "$work/wheels" "dbt-core==$1"
    python3 -m zipfile -e "$work/wheels/dbt_core-$1-py3-none-any.whl" "$work/core-$1"
    sed -n 's/^Requires-Dist: \(dbt-core-experimental-parser\)/\1/p' "$work/core-$1/dbt_core-$1.dist-info/METADATA" | grep . || echo nothing of it
}
parser=dbt-core-experimental-parser==2.0.8
wheel=no
pip download --no-deps --only-binary :all: --dest "$work/wheels" $parser 2>"$work/refused" && wheel=yes
mkdir "$work/unpacked"
TMPDIR=$work/unpacked pip download --no-clean --no-deps --no-build-isolation --dest "$work/wheels" $parser \
    >"$work/stopped" 2>&1 && exit 1
cd "$(dirname "$(find "$work/unpacked" -name pyproject.toml)")"
seen "1.11.16 requires: nothing of it
1.12.6 requires: dbt-core-experimental-parser<3,>=2.0.0b1
a wheel: no, because: No matching distribution found for dbt-core-experimental-parser==2.0.8
pip stopped at: ModuleNotFoundError: No module named 'packaging'
its files: PKG-INFO _dbt_sa_build/__init__.py _dbt_sa_build/assets.json pyproject.toml
its build_wheel: data = _fetch(url)
its _fetch: with urllib.request.urlopen(req, timeout=_TIMEOUT) as resp:" \
    "1.11.16 requires: $(requires 1.11.16)
1.12.6 requires: $(requires 1.12.6)
a wheel: $wheel, because: $(sed -n 's/^ERROR: \(No matching\)/\1/p' "$work/refused")
pip stopped at: $(grep '^ModuleNotFoundError' "$work/stopped")
its files: $(find . -type f -printf '%P\n' | grep -v pyc | sort | xargs)
its build_wheel: $(sed -n '/^def build_wheel/,/^def /s/^ *\(data = .*\)/\1/p' _dbt_sa_build/__init__.py)
its _fetch: $(sed -n '/^def _fetch/,/^def /s/^ *\(with urllib.*\)/\1/p' _dbt_sa_build/__init__.py)"
