# python_with PACKAGE==VERSION…: a virtual environment with these packages in the temporary folder of `server_start`.
# `python` then runs a script from standard input, with the server's address in the variable `address`.
python_with() {
    python3 -m venv "$work/python"
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
