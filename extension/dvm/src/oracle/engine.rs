//! Where statements run.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::Value;

/// A database of one test.
pub trait Engine {
    /// Runs a statement.
    fn run(&mut self, sql: &str);

    /// Runs a query; values as text.
    fn rows(&mut self, sql: &str) -> Vec<Vec<String>>;

    /// The columns of a table.
    fn columns(&mut self, table: &str) -> Vec<String> {
        let sql = match self.is_postgres() {
            false => format!("SELECT name FROM pragma_table_info('{table}') ORDER BY cid"),
            true => format!(
                "SELECT attname FROM pg_attribute WHERE attrelid = '{table}'::regclass \
                 AND attnum > 0 ORDER BY attnum"
            ),
        };
        self.rows(&sql).into_iter().flatten().collect()
    }

    /// Whether sums over `numeric` mean what they mean in PostgreSQL.
    fn is_postgres(&self) -> bool;

    /// The system column that tells where a row is.
    fn place(&self) -> &'static str {
        if self.is_postgres() { "ctid" } else { "rowid" }
    }
}

/// SQLite in memory. What PostgreSQL spells differently is replaced in the text; trees for SQLite use
/// integers only.
pub struct Sqlite(rusqlite::Connection);

const SPELLINGS: [(&str, &str); 16] = [
    ("(NULL::integer[])[1]", "NULL"),
    ("OPERATOR(pg_catalog.=)", "="),
    ("OPERATOR(pg_catalog.<)", "<"),
    ("OPERATOR(pg_catalog.<=)", "<="),
    ("OPERATOR(pg_catalog.>=)", ">="),
    ("OPERATOR(pg_catalog.>)", ">"),
    ("(NULL::boolean[])[1]", "NULL"),
    ("::bigint", ""),
    ("\nOFFSET 0", "\nLIMIT -1 OFFSET 0"),
    ("::integer", ""),
    ("::boolean", ""),
    ("::numeric", "*1.0"),
    ("pg_catalog.hash_record_extended(", "hash_record_extended("),
    ("pg_catalog.record_eq(", "record_eq("),
    ("bool_and(", "min("),
    ("bool_or(", "max("),
];

impl Sqlite {
    /// An empty database.
    pub fn new() -> Self {
        let connection = rusqlite::Connection::open_in_memory().expect("SQLite opens in memory");
        for (name, least) in [("least", true), ("greatest", false)] {
            connection
                .create_scalar_function(
                    name,
                    -1,
                    FunctionFlags::SQLITE_DETERMINISTIC,
                    move |arguments| {
                        let values = (0..arguments.len())
                            .map(|i| arguments.get::<Option<i64>>(i))
                            .collect::<Result<Vec<_>, _>>()?;
                        let values = values.into_iter().flatten();
                        Ok(if least { values.min() } else { values.max() })
                    },
                )
                .expect("a function can be defined");
        }
        compare_rows(&connection);
        Sqlite(connection)
    }
}

/// Rows as values: the text of their values, which is its own hash.
fn compare_rows(connection: &rusqlite::Connection) {
    let plain = FunctionFlags::SQLITE_DETERMINISTIC;
    let row = |arguments: &Context<'_>| {
        let values = (0..arguments.len()).map(|i| arguments.get::<Value>(i));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        Ok(format!("{values:?}"))
    };
    let hash = |arguments: &Context<'_>| arguments.get::<String>(0);
    let equal =
        |arguments: &Context<'_>| Ok(arguments.get::<String>(0)? == arguments.get::<String>(1)?);
    connection
        .create_scalar_function("row", -1, plain, row)
        .and_then(|()| connection.create_scalar_function("hash_record_extended", 2, plain, hash))
        .and_then(|()| connection.create_scalar_function("record_eq", 2, plain, equal))
        .expect("functions can be defined");
}

fn spelled(sql: &str) -> String {
    let sql = SPELLINGS
        .iter()
        .fold(sql.to_owned(), |sql, (from, to)| sql.replace(from, to));
    // Within one SELECT an alias is one relation; those of the truth are unique in the whole text.
    let terms: Vec<String> = sql.split(UNION).map(|term| unnested(term, 's')).collect();
    unnested(&terms.join(UNION), 'e')
}

const UNION: &str = "UNION ALL";

/// `LATERAL unnest(ARRAY[…]) AS s1(c0)`, where the alias begins like this, as SQLite says it: it names
/// no columns of functions in FROM.
fn unnested(sql: &str, alias: char) -> String {
    let names: Vec<&str> = sql
        .match_indices(LIST)
        .filter_map(|(at, _)| {
            let name = sql[..at].rsplit(' ').next()?;
            let number = name.strip_prefix(alias)?;
            number.parse::<u32>().is_ok().then_some(name)
        })
        .collect();
    let renamed = names.into_iter().fold(sql.to_owned(), |sql, name| {
        sql.replace(&format!("{name}{LIST}"), name)
            .replace(&format!("{name}.c0"), &format!("{name}.value"))
    });
    renamed
        .replace("LATERAL unnest(ARRAY[", "json_each(json_array(")
        .replace("]) AS", ")) AS")
}

const LIST: &str = "(c0)";

impl Engine for Sqlite {
    fn run(&mut self, sql: &str) {
        self.0
            .execute_batch(&spelled(sql))
            .unwrap_or_else(|error| panic!("{error}:\n{sql}"));
    }

    fn rows(&mut self, sql: &str) -> Vec<Vec<String>> {
        let mut statement = self
            .0
            .prepare(&spelled(sql))
            .unwrap_or_else(|error| panic!("{error}:\n{sql}"));
        let width = statement.column_count();
        let rows = statement.query_map([], |row| {
            (0..width)
                .map(|i| {
                    Ok(match row.get::<_, Value>(i)? {
                        Value::Null => "∅".to_owned(),
                        Value::Integer(n) => n.to_string(),
                        Value::Real(x) => x.to_string(),
                        Value::Text(text) => text,
                        Value::Blob(_) => "blob".to_owned(),
                    })
                })
                .collect()
        });
        rows.and_then(Iterator::collect)
            .unwrap_or_else(|error| panic!("{error}:\n{sql}"))
    }

    fn is_postgres(&self) -> bool {
        false
    }
}

/// A session of a PostgreSQL server, through the `psql` command line in `PGT_PSQL`.
pub struct Postgres {
    psql: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

const END: &str = "~~~end~~~";

impl Postgres {
    /// A session, if `PGT_PSQL` says how to get one.
    pub fn new() -> Option<Self> {
        let line = std::env::var("PGT_PSQL").ok()?;
        let mut words = line.split_whitespace();
        let mut psql = Command::new(words.next()?)
            .args(words)
            .args(["-X", "-q", "-A", "-t", "-F", "\u{1f}", "-P", "null=∅"])
            .args(["-v", "ON_ERROR_STOP=1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("psql starts");
        let input = psql.stdin.take().expect("stdin is piped");
        let output = BufReader::new(psql.stdout.take().expect("stdout is piped"));
        let mut session = Postgres {
            psql,
            input,
            output,
        };
        session.run("SET client_min_messages = warning");
        Some(session)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = self.psql.kill();
        let _ = self.psql.wait();
    }
}

impl Engine for Postgres {
    fn run(&mut self, sql: &str) {
        self.rows(sql);
    }

    fn rows(&mut self, sql: &str) -> Vec<Vec<String>> {
        let sent = write!(self.input, "{sql};\n\\echo {END}\n").and_then(|()| self.input.flush());
        sent.unwrap_or_else(|error| panic!("{error}:\n{sql}"));
        let mut rows = Vec::new();
        loop {
            let mut line = String::new();
            let read = self.output.read_line(&mut line).unwrap_or(0);
            assert!(read > 0, "psql ended at:\n{sql}");
            let line = line.trim_end_matches('\n');
            if line == END {
                return rows;
            }
            rows.push(line.split('\u{1f}').map(str::to_owned).collect());
        }
    }

    fn is_postgres(&self) -> bool {
        true
    }
}
