//! A whole case, and the script that it is.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::batch::{Batch, Transaction, batch};
use super::dml::{Dml, Which};
use super::expr::{Condition, condition};
use super::query::{Choice, Object, Printer, Select, select};
use super::schema::{Table, table};

/// A made-up case.
#[derive(Debug, Clone)]
pub struct Case {
    /// The tables.
    pub tables: Vec<Table>,
    /// The query.
    pub query: Select,
    /// A condition by which the query's rows are parted in three.
    pub parts: Option<Condition>,
    /// Maintained by the statements themselves, too.
    pub at_once: bool,
    /// Capture by generated SQL.
    pub sql_capture: bool,
    /// How many scans of a join have their corrections inlined.
    pub inlined_scans: u8,
    /// What happens.
    pub batches: Vec<Batch>,
}

/// A case.
pub fn case() -> impl Strategy<Value = Case> {
    (
        vec(table(), 1..4),
        select(),
        option::weighted(0.15, condition()),
        prop::bool::weighted(0.25),
        prop::bool::weighted(0.25),
        1u8..9,
        vec(batch(), 1..5),
    )
        .prop_map(
            |(tables, query, parts, at_once, sql_capture, inlined_scans, batches)| Case {
                tables,
                query,
                parts,
                at_once,
                sql_capture,
                inlined_scans,
                batches,
            },
        )
}

/// What a script does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// SQL that makes the case; must succeed.
    Setup(String),
    /// A view that the query reads; PostgreSQL may refuse it, then the case is void.
    View(String),
    /// A stream table: name and query. PostgreSQL may refuse the query, the extension may not.
    Create(String, String),
    /// The same, in IMMEDIATE.
    CreateImmediate(String, String),
    /// The stream table `st` altered, and not the rows that it should have.
    Alter(String),
    /// A change; may fail.
    Change(String),
    /// BEGIN, COMMIT and the like.
    Control(String),
    /// A refresh of all stream tables, each judged; `may_recompute` allows FULL.
    RefreshAll {
        /// Whether a TRUNCATE is among the changes, or a column more where whole rows are looked at.
        may_recompute: bool,
        /// Whether nothing may have changed.
        nothing: bool,
        /// Also those that are refreshed only once.
        last: bool,
    },
    /// A refresh of all stream tables in the open transaction, judged there if it is
    /// REPEATABLE READ.
    RefreshHere {
        /// Whether the oracle sees what the refresh saw.
        judge: bool,
    },
}

/// The acts of a case, and its stream tables.
#[derive(Debug, Clone)]
pub struct Script {
    /// What happens, in order.
    pub acts: Vec<Act>,
    /// Stream tables that are refreshed with each batch, sources first.
    pub tables: Vec<String>,
    /// The one that is refreshed once, at the end: k small refreshes equal one large one.
    pub late: String,
    /// The three parts, if there are any: together they are the table `st`.
    pub parts: Vec<String>,
    /// The one in IMMEDIATE: never refreshed, judged after every change.
    pub immediate: Option<String>,
    /// What every right answer of the query has in common, where ties leave several.
    pub choice: Option<Choice>,
    /// A query reads the clock: what is judged is refreshed in the same transaction.
    pub clock: bool,
    /// Settings of the session.
    pub settings: Vec<String>,
}

impl Case {
    /// The case as SQL.
    pub fn script(&self) -> Script {
        let mut acts = vec![Act::Setup(super::types::TYPES.into())];
        for (index, table) in self.tables.iter().enumerate() {
            let name = format!("t{index}");
            acts.push(Act::Setup(table.create(&name)));
            acts.extend(table.fill(&name).map(Act::Setup));
        }
        let mut printer = Printer::new(&self.tables);
        let printed = printer.select(&self.query);
        let mut tables = Vec::new();
        for object in &printer.objects {
            match object {
                Object::View(sql) => acts.push(Act::View(sql.clone())),
                Object::StreamTable(name, query) => {
                    acts.push(Act::Create(name.clone(), query.clone()));
                    tables.push(name.clone());
                }
            }
        }
        for name in ["st", "st_late"] {
            acts.push(Act::Create(name.into(), printed.sql.clone()));
        }
        tables.push("st".into());
        let mut parts = Vec::new();
        if let Some(condition) = &self.parts {
            let scope: Vec<_> = printed
                .columns
                .iter()
                .map(|(name, ty)| super::scoped::Scoped {
                    sql: format!("q.{name}"),
                    ty: *ty,
                })
                .collect();
            let condition = condition.render(&scope);
            for (name, part) in [
                ("st_true", format!("({condition})")),
                ("st_false", format!("NOT ({condition})")),
                ("st_null", format!("({condition}) IS NULL")),
            ] {
                let query = format!("SELECT * FROM ({}) q WHERE {part}", printed.sql);
                acts.push(Act::Create(name.into(), query));
                parts.push(name.to_owned());
                tables.push(name.to_owned());
            }
        }
        let clock = acts.iter().any(|act| match act {
            Act::View(query) | Act::Create(_, query) => ["now()", "localtimestamp", "CURRENT_DATE"]
                .iter()
                .any(|word| query.contains(word)),
            _ => false,
        });
        // What follows the clock follows no statement.
        let immediate = (self.at_once && !clock).then(|| "st_now".to_owned());
        acts.extend(
            immediate
                .iter()
                .map(|name| Act::CreateImmediate(name.clone(), printed.sql.clone())),
        );
        for (index, batch) in self.batches.iter().enumerate() {
            let last = index + 1 == self.batches.len();
            self.batch(batch, last, &printed.sql, &mut acts);
        }
        Script {
            acts,
            tables,
            late: "st_late".into(),
            parts,
            immediate,
            choice: printed.choice,
            clock,
            settings: vec![
                // A product of several tables can be too much; such a case says nothing.
                "SET statement_timeout = '4s'".into(),
                format!(
                    "SET pg_trickle.cdc_trigger_mode = '{}'",
                    if self.sql_capture { "sql" } else { "native" }
                ),
                format!(
                    "SET pg_trickle.part3_max_scan_count = {}",
                    self.inlined_scans
                ),
            ],
        }
    }

    /// The acts of one batch.
    fn batch(&self, batch: &Batch, last: bool, query: &str, acts: &mut Vec<Act>) {
        let start = acts.len();
        for transaction in batch {
            self.transaction(transaction, query, acts);
        }
        let reads_rows = acts.iter().any(
            |act| matches!(act, Act::View(query) | Act::Create(_, query) if query.contains(".*)")),
        );
        let may_recompute = acts[start..].iter().any(|act| {
            matches!(act, Act::Change(sql)
                if sql.starts_with("TRUNCATE") || reads_rows && sql.contains(" ADD COLUMN "))
                || matches!(act, Act::Alter(_))
        });
        let nothing = batch.iter().all(|transaction| {
            matches!(
                transaction,
                Transaction::ThereAndBack(_)
                    | Transaction::AwayAndBack(..)
                    | Transaction::RolledBack(_)
            )
        });
        acts.push(Act::RefreshAll {
            may_recompute,
            nothing,
            last,
        });
    }

    /// The acts of one transaction.
    fn transaction(&self, transaction: &Transaction, query: &str, acts: &mut Vec<Act>) {
        let control = |sql: &str| Act::Control(sql.to_owned());
        let changes = |list: &[Dml]| -> Vec<Act> {
            list.iter()
                .flat_map(|change| change.render(&self.tables))
                .map(Act::Change)
                .collect()
        };
        match transaction {
            Transaction::Single(list) => acts.extend(changes(list)),
            Transaction::Together(list) => {
                acts.push(control("BEGIN"));
                acts.extend(changes(list));
                acts.push(control("COMMIT"));
            }
            Transaction::Savepoints(before, undone, kept) => {
                acts.push(control("BEGIN"));
                acts.extend(changes(before));
                acts.push(control("SAVEPOINT s1"));
                acts.extend(changes(undone));
                acts.push(control("ROLLBACK TO s1"));
                acts.push(control("SAVEPOINT s2"));
                acts.extend(changes(kept));
                acts.push(control("RELEASE s2"));
                acts.push(control("COMMIT"));
            }
            Transaction::SameKeys(key, column, value) => {
                let every = 0..self.tables.len() as u8;
                let update = |table| Dml::Update(table, *column, *value, Which::Key(*key));
                acts.push(control("BEGIN"));
                acts.extend(changes(&every.map(update).collect::<Vec<_>>()));
                acts.push(control("COMMIT"));
            }
            Transaction::RolledBack(list) => {
                acts.push(control("BEGIN"));
                acts.extend(changes(list));
                acts.push(control("ROLLBACK"));
            }
            Transaction::AroundRefresh(strict, before, after) => {
                acts.push(control(if *strict {
                    "BEGIN ISOLATION LEVEL REPEATABLE READ"
                } else {
                    "BEGIN"
                }));
                acts.extend(changes(before));
                acts.push(Act::RefreshHere { judge: true });
                acts.extend(changes(after));
                acts.push(control("COMMIT"));
            }
            Transaction::RefreshUndone(before, undone, after) => {
                acts.push(control("BEGIN"));
                acts.extend(changes(before));
                acts.push(control("SAVEPOINT s1"));
                acts.extend(changes(undone));
                acts.push(Act::RefreshHere { judge: true });
                acts.push(control("ROLLBACK TO s1"));
                acts.extend(changes(after));
                acts.push(Act::RefreshHere { judge: true });
                acts.push(control("COMMIT"));
            }
            Transaction::AwayAndBack(table, which) => {
                let index = usize::from(*table) % self.tables.len().max(1);
                let Some(table) = self.tables.get(index) else {
                    return;
                };
                let name = format!("t{index}");
                let rows = which.render(table, &name);
                acts.push(control("BEGIN"));
                acts.push(control(&format!(
                    "CREATE TEMPORARY TABLE away ON COMMIT DROP AS SELECT * FROM {name} WHERE {rows}"
                )));
                acts.push(Act::Change(format!("DELETE FROM {name} WHERE {rows}")));
                acts.push(Act::Change(format!(
                    "INSERT INTO {name} SELECT * FROM away"
                )));
                acts.push(control("COMMIT"));
            }
            Transaction::Altered(mode) => {
                let alter = |what: &str| {
                    Act::Alter(format!("SELECT pgtrickle.alter_stream_table('st', {what})"))
                };
                if *mode {
                    acts.push(alter("refresh_mode => 'FULL'"));
                    acts.push(alter("refresh_mode => 'DIFFERENTIAL'"));
                } else {
                    acts.push(alter(&format!("query => $q${query}$q$")));
                }
            }
            Transaction::ThereAndBack(row) => {
                // The rows that are there keep their places: what is inserted goes again.
                acts.push(control("BEGIN"));
                for (index, table) in self.tables.iter().enumerate() {
                    let values = table.values(row, "1000001");
                    let columns: Vec<String> = table
                        .column_infos()
                        .into_iter()
                        .map(|column| column.name)
                        .collect();
                    acts.push(Act::Change(format!(
                        "INSERT INTO t{index} ({}) VALUES {values}",
                        columns.join(", ")
                    )));
                }
                for (index, _) in self.tables.iter().enumerate() {
                    acts.push(Act::Change(format!(
                        "DELETE FROM t{index} WHERE xmin = pg_current_xact_id()::xid"
                    )));
                }
                acts.push(control("COMMIT"));
            }
        }
    }
}

impl Script {
    /// What psql replays, up to and including the act of this number, with the oracle's question
    /// at each refresh.
    pub fn psql(&self, until: usize) -> String {
        let mut sql = String::from(
            "-- Replay with: psql -X -f this-file (in an empty database)\n\
             CREATE EXTENSION IF NOT EXISTS pg_trickle;\n",
        );
        for setting in &self.settings {
            sql.push_str(&format!("{setting};\n"));
        }
        let refresh = |names: &[String]| -> String {
            names
                .iter()
                .map(|name| format!("SELECT * FROM pgtrickle.refresh_stream_table('{name}');\n"))
                .collect()
        };
        for act in self.acts.iter().take(until + 1) {
            let judged = matches!(act, Act::Create(..) | Act::RefreshAll { .. });
            if self.clock && judged {
                sql.push_str("BEGIN;\n");
            }
            match act {
                Act::Setup(text) => sql.push_str(&format!("{text}\n")),
                Act::View(text) | Act::Change(text) | Act::Control(text) | Act::Alter(text) => {
                    sql.push_str(&format!("{text};\n"));
                }
                Act::Create(name, query) => sql.push_str(&creation(name, query, "DIFFERENTIAL")),
                Act::CreateImmediate(name, query) => {
                    sql.push_str(&creation(name, query, "IMMEDIATE"));
                }
                Act::RefreshHere { .. } => sql.push_str(&refresh(&self.tables)),
                Act::RefreshAll { last, .. } => {
                    sql.push_str(&refresh(&self.tables));
                    if *last {
                        sql.push_str(&refresh(std::slice::from_ref(&self.late)));
                    }
                }
            }
            if self.clock && judged {
                sql.push_str("COMMIT;\n");
            }
        }
        for (name, query) in self.acts.iter().filter_map(|act| match act {
            Act::Create(name, query) | Act::CreateImmediate(name, query) => Some((name, query)),
            _ => None,
        }) {
            let question = crate::oracle::Question::query(name, query).sql();
            sql.push_str(&format!("\\echo {name}\n{question};\n"));
        }
        sql
    }
}

fn creation(name: &str, query: &str, mode: &str) -> String {
    format!(
        "SELECT pgtrickle.create_stream_table('{name}', $q${query}$q$, refresh_mode => '{mode}');\n"
    )
}
