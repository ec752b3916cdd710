# python_since VERSION: the machine's first Python of that version or a newer one, also one that pyenv keeps, is what
# `python_with` takes; it takes `python3` otherwise.
python_since() {
    for interpreter in python3 python3.{12..19} "${PYENV_ROOT:-$HOME/.pyenv}"/versions/*/bin/python3; do
        if "$interpreter" -c "import sys; sys.exit(sys.version_info < (${1/./, }))" 2>/dev/null; then return; fi
    done
    echo "no Python $1 on this machine" >&2
    exit 1
}

# python_with PACKAGE==VERSION…: a virtual environment with these packages in the temporary folder of `server_start`.
# `python` then runs a script from standard input, with the server's address in the variable `address`.
python_with() {
    "${interpreter:-python3}" -m venv "$work/python"
    "$work/python/bin/pip" install --quiet --disable-pip-version-check "$@"
    echo "with $*"
}

python() {
    address="postgresql+psycopg://postgres@/postgres?host=$work/server" "$work/python/bin/python" - 2>&1
}

# sqlglot_prints QUERY: the query as sqlglot prints it, read and written as of PostgreSQL.
sqlglot_prints() {
    query=$1 python <<'PY'
import os
import sqlglot

print(sqlglot.transpile(os.environ["query"], read="postgres", write="postgres")[0])
PY
}
