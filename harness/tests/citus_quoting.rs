//! Names and texts of all kinds on a cluster of Citus: what nodes are told is what the user has written.
//!
//! Without Citus the test is reported as skipped, with the reason, which fails where `PGT_REQUIRE_CITUS` is set.

use harness::citus::{Citus, is_missing};
use harness::client::{Session, quote_ident, quote_literal};
use harness::oracle::Question;
use harness::runtime::connect;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

/// What names and texts are made of.
const PIECES: [&str; 36] = [
    "'",
    "''",
    "\"",
    "\\",
    "\\'",
    "E'",
    "$$",
    "$1",
    "$q$",
    ".",
    "..",
    " ",
    "\n",
    "\t",
    "%s",
    "%I",
    "{",
    "}",
    ",",
    ";",
    "--",
    "/*",
    "*/",
    "host=elsewhere port=1",
    "select",
    "user",
    "NULL",
    "A",
    "b",
    "_102008",
    "_0",
    "ü",
    "码",
    "🐘",
    "e\u{301}",
    "a quite long piece that nearly fills a name by itself, ",
];

/// The longest name, in bytes.
const NAME_MAX: usize = 63;

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(&PIECES[..]), 1..7)
        .prop_map(|pieces| pieces.concat())
}

/// A name, not longer than the server keeps it.
fn name() -> impl Strategy<Value = String> {
    text().prop_map(|mut text| {
        while text.len() > NAME_MAX {
            text.pop();
        }
        text
    })
}

/// The names and texts of a case.
#[derive(Debug, Clone)]
struct Odd {
    schema: String,
    table: String,
    columns: [String; 2],
    outputs: [String; 3],
    stream_table: String,
    groups: String,
    role: String,
    literals: [String; 2],
}

fn odd() -> impl Strategy<Value = Odd> {
    let columns = prop::array::uniform2(name());
    let outputs = prop::array::uniform3(name());
    let names = (name(), name(), columns, outputs, name(), name(), name());
    let cases = (names, prop::array::uniform2(text()));
    let cases = cases.prop_map(
        |((schema, table, columns, outputs, stream_table, groups, role), literals)| Odd {
            schema,
            table,
            columns,
            outputs,
            stream_table,
            groups,
            role,
            literals,
        },
    );
    cases.prop_filter("names that are there", |odd| {
        let Odd {
            table,
            columns,
            outputs,
            stream_table,
            groups,
            schema,
            role,
            ..
        } = odd;
        let distinct =
            |names: &[&String]| (1..names.len()).all(|at| !names[..at].contains(&names[at]));
        let is_reserved =
            |name: &String| name.starts_with("pg_") || ["user", "NULL"].contains(&name.as_str());
        columns[0] != columns[1]
            && distinct(&outputs.iter().collect::<Vec<_>>())
            && distinct(&[table, stream_table, groups])
            && !is_reserved(schema)
            && !is_reserved(role)
    })
}

struct Case<'a> {
    session: &'a Session,
    odd: Odd,
}

impl Case<'_> {
    fn relation(&self, name: &str) -> String {
        format!("{}.{}", quote_ident(&self.odd.schema), quote_ident(name))
    }

    /// The stream tables, one kept by nodes and one in two steps, with their queries.
    fn stream_tables(&self) -> [(String, String); 2] {
        let table = self.relation(&self.odd.table);
        let [key, other] = self.odd.columns.each_ref().map(|name| quote_ident(name));
        let [first, second, third] = self.odd.outputs.each_ref().map(|name| quote_ident(name));
        let [one, two] = self.odd.literals.each_ref().map(|text| quote_literal(text));
        let rows = format!(
            "SELECT {key} AS {first}, {other} || {one} AS {second}, {two}::text AS {third} FROM {table} WHERE {other} <> {two}"
        );
        let groups = format!(
            "SELECT {other} || {one} AS {first}, count(*) AS {second}, max({key} || {two}) AS {third} FROM {table} GROUP BY {other}"
        );
        [
            (self.relation(&self.odd.stream_table), rows),
            (self.relation(&self.odd.groups), groups),
        ]
    }

    async fn play(&self) -> Result<(), TestCaseError> {
        let Odd {
            schema,
            columns,
            literals,
            role,
            ..
        } = &self.odd;
        let table = self.relation(&self.odd.table);
        let columns = columns.each_ref().map(|name| quote_ident(name));
        let (role, schema) = (quote_ident(role), quote_ident(schema));
        self.run(&format!(
            "CREATE SCHEMA {schema}; CREATE ROLE {role}; GRANT USAGE, CREATE ON SCHEMA {schema} TO {role};
             CREATE TABLE {table} ({} text PRIMARY KEY, {} text); GRANT ALL ON {table} TO {role};
             SELECT create_distributed_table({}, {})",
            columns[0],
            columns[1],
            quote_literal(&table),
            quote_literal(&self.odd.columns[0])
        ))
        .await?;
        let [one, two] = literals.each_ref().map(|text| quote_literal(text));
        let write = |from: i32| {
            format!(
                "INSERT INTO {table} SELECT {one} || i, CASE i % 3 WHEN 0 THEN {one} WHEN 1 THEN {two} ELSE 'x' || {two} END
                 FROM generate_series({from}, {from} + 20) i"
            )
        };
        self.run(&write(0)).await?;
        for (name, query) in self.stream_tables() {
            self.run(&format!(
                "SELECT pgtrickle.create_stream_table({}, {}, '1h', 'DIFFERENTIAL')",
                quote_literal(&name),
                quote_literal(&query)
            ))
            .await?;
        }
        self.judge().await?;
        self.run(&write(100)).await?;
        self.judge().await?;
        for (name, _) in self.stream_tables() {
            self.run(&format!("ALTER TABLE {name} OWNER TO {role}"))
                .await?;
        }
        self.run(&write(200)).await?;
        self.judge().await?;
        for (name, _) in self.stream_tables() {
            let drop = format!(
                "SELECT pgtrickle.drop_stream_table({})",
                quote_literal(&name)
            );
            self.run(&drop).await?;
        }
        self.run(&format!("DROP SCHEMA {schema} CASCADE; DROP ROLE {role}"))
            .await
    }

    async fn judge(&self) -> Result<(), TestCaseError> {
        for (name, query) in self.stream_tables() {
            let refresh = format!(
                "SELECT pgtrickle.refresh_stream_table({})",
                quote_literal(&name)
            );
            self.run(&refresh).await?;
            let verdict = Question::query(&name, &query).ask(self.session).await;
            let verdict = verdict.map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert!(verdict.is_exact(), "{name}: {query}: {verdict}");
        }
        Ok(())
    }

    async fn run(&self, sql: &str) -> Result<(), TestCaseError> {
        let done = self.session.execute(sql).await;
        done.map_err(|error| TestCaseError::fail(error.to_string()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_told_what_was_written() {
    if is_missing("nodes_are_told_what_was_written") {
        return;
    }
    let citus = Citus::start().await.unwrap();
    let session = connect(&citus, "postgres").await.unwrap();
    let mut runner = TestRunner::new(Config {
        cases: 12,
        max_shrink_iters: 30,
        failure_persistence: None,
        ..Config::default()
    });
    tokio::task::block_in_place(|| {
        let outcome = runner.run(&odd(), |odd| {
            let case = Case {
                session: &session,
                odd,
            };
            tokio::runtime::Handle::current().block_on(async {
                let played = case.play().await;
                if played.is_err() {
                    let schema = quote_ident(&case.odd.schema);
                    let role = quote_ident(&case.odd.role);
                    for clean in [
                        format!("DROP SCHEMA IF EXISTS {schema} CASCADE"),
                        format!("DROP ROLE IF EXISTS {role}"),
                    ] {
                        // The next case begins with nothing of this one, if that can be.
                        let _ = session.execute(&clean).await;
                    }
                }
                played
            })
        });
        outcome.unwrap();
    });
}
