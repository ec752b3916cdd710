//! A whole case, and the script that it is.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::batch::{Batch, Transaction, batch};
use super::dml::{Dml, Which};
use super::expr::{Condition, condition};
use super::query::{Object, Printer, Select, select};
use super::schema::{READER, Table, table};
use super::script::{Act, Script};
use super::types::Ty;

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

impl Case {
    /// The case as SQL.
    pub fn script(&self) -> Script {
        let mut acts = vec![Act::Setup(super::types::TYPES.into())];
        for (index, table) in self.tables.iter().enumerate() {
            let name = format!("t{index}");
            acts.push(Act::Setup(table.create(&name)));
            acts.extend(table.fill(&name).map(Act::Setup));
        }
        let is_owned = self.tables.iter().any(|table| table.policy.is_some());
        if is_owned {
            acts.push(Act::Setup(reader()));
            let tables = self.tables.iter().enumerate();
            acts.extend(tables.map(|(index, table)| Act::Setup(table.grant(&format!("t{index}")))));
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
        // What the query fails for may be in none of the parts.
        let may_fail = printed.sql.contains("(SELECT max(k) FROM");
        if let Some(condition) = self.parts.as_ref().filter(|_| !may_fail) {
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
        // What follows the clock or policies follows no statement.
        let immediate = (self.at_once && !clock && !is_owned).then(|| "st_now".to_owned());
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
            owner: is_owned.then_some(READER),
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
            Transaction::ClockWord(table, which) => {
                let index = usize::from(*table) % self.tables.len().max(1);
                let Some(table) = self.tables.get(index) else {
                    return;
                };
                let columns = table.column_infos().into_iter();
                let columns: Vec<String> = columns
                    .filter(|column| column.ty == Ty::Dated)
                    .map(|column| column.name)
                    .collect();
                let Some(name) = columns.first() else {
                    return;
                };
                let rows = which.render(table, &format!("t{index}"));
                acts.push(Act::Change(format!(
                    "UPDATE t{index} SET {name} = ' Now' WHERE {rows}"
                )));
                acts.push(Act::RefreshGuarded);
                acts.push(Act::Change(format!(
                    "UPDATE t{index} SET {name} = '2024-03-01' WHERE {name} = ' Now'"
                )));
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

/// SQL that makes the role that owns stream tables, and lets it have them.
fn reader() -> String {
    format!(
        "DO $$ BEGIN CREATE ROLE {READER}; \
         EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;\n\
         DO $$ BEGIN EXECUTE format('GRANT ALL ON SCHEMA %I TO {READER}', current_schema()); END $$;"
    )
}
