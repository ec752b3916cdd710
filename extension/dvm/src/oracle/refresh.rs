//! A refresh in SQL, step by step as the extension executes it natively.

use std::collections::{BTreeMap, BTreeSet};

use crate::operators::Links;
use crate::operators::script::{Stage, script};
use crate::operators::statement::{BlockDelta, Context};
use crate::operators::{output, state};
use crate::plan::{self, Identity, Image, Plan, Source, Store};
use crate::sql::image_table;
use crate::sql::names::{WEIGHT, column, delta as delta_name};
use crate::tree::testing::scan;
use crate::tree::{Relation, Scan};

use super::engine::Engine;
use super::tables::{Rows, TABLES};
use super::truth;

/// A stream table over tables of integers, all in temporary tables of one session.
pub struct Simulation<'e> {
    pub(super) engine: &'e mut dyn Engine,
    pub(super) plan: Plan,
    truth: String,
    inline_limit: usize,
    tables: BTreeMap<u32, Base>,
    /// How many rows each statement of a delta has returned in the last refresh.
    pub(super) delta_rows: Vec<u64>,
}

struct Base {
    name: String,
    width: usize,
    rows: Rows,
}

/// Prefix of state tables.
pub(super) const STATE: &str = "st_";

impl<'e> Simulation<'e> {
    /// Creates the tables with these rows, and the stream table.
    pub fn new(
        engine: &'e mut dyn Engine,
        relation: &Relation,
        tables: &BTreeMap<u32, Rows>,
        inline_limit: usize,
    ) -> Self {
        let mut scans = BTreeMap::new();
        collect_scans(relation, &mut scans);
        for (oid, name) in TABLES {
            if let Relation::Scan(table) = scan(oid, 0, name) {
                scans.entry(oid).or_insert(table);
            }
        }
        let mut bases = BTreeMap::new();
        for (oid, scan) in scans {
            let columns: Vec<String> = scan
                .columns
                .iter()
                .map(|c| format!("{} integer", c.quoted))
                .collect();
            engine.run(&format!(
                "CREATE TEMP TABLE {} ({})",
                scan.relation,
                columns.join(", ")
            ));
            let rows = tables.get(&oid).cloned().unwrap_or_default();
            insert(engine, &scan.relation, &rows, None);
            let base = Base {
                name: scan.relation.clone(),
                width: scan.columns.len(),
                rows,
            };
            bases.insert(oid, base);
        }
        let plan = plan::compile(relation.clone()).expect("the tree is supported");
        let mut simulation = Self {
            engine,
            truth: truth::query(relation),
            plan,
            inline_limit,
            tables: bases,
            delta_rows: Vec::new(),
        };
        simulation.create();
        simulation
    }

    pub(super) fn context(&self) -> Context<'_> {
        Context {
            plan: &self.plan,
            state_prefix: STATE,
            inline_limit: self.inline_limit,
            // Both are exact.
            links: match self.inline_limit % 2 {
                0 => Links::Hashed,
                _ => Links::Sought,
            },
        }
    }

    fn outputs(&self) -> usize {
        self.plan.columns.len()
    }

    fn create(&mut self) {
        for image in self.plan.images.clone() {
            let columns = numbered("c", image.opaque.columns.len()).join(", ");
            self.table(
                &image_table(STATE, image.id),
                &format!(
                    "WITH q({columns}) AS ({}) SELECT * FROM q",
                    image.opaque.query
                ),
            );
        }
        for node in self.plan.nodes.clone() {
            if matches!(node.store, Store::Table { .. }) {
                let sql = state::initial(self.context(), &node);
                self.table(&format!("{STATE}{}", node.id), &sql);
            }
        }
        let columns = numbered("c", self.outputs());
        let content = output::initial(self.context()).unwrap_or_else(|| self.truth.clone());
        self.table(
            "out",
            &format!(
                "WITH q({0}) AS ({content}) SELECT {0}, 1 AS w FROM q",
                columns.join(", ")
            ),
        );
        self.check();
    }

    /// Makes `name` hold the result of a query.
    pub(super) fn table(&mut self, name: &str, sql: &str) {
        self.engine.run(&format!("DROP TABLE IF EXISTS {name}"));
        self.engine
            .run(&format!("CREATE TEMP TABLE {name} AS {sql}"));
    }

    /// Gives the tables these rows, refreshes, and compares with the query.
    pub fn refresh(&mut self, tables: &BTreeMap<u32, Rows>) {
        self.delta_rows.clear();
        let mut changed = BTreeSet::new();
        for (oid, rows) in tables {
            if self.change(*oid, rows) {
                changed.insert(Source::Table(*oid));
            }
        }
        let plan = self.plan.clone();
        for stage in script(&plan) {
            match stage {
                Stage::Image(stage) if stage.reads(|source| changed.contains(&source)) => {
                    let differs = match &stage.image.recursion {
                        Some(_) => self.recur(stage, &changed),
                        None => self.compare(stage.image),
                    };
                    changed.extend(differs.then(|| stage.source()));
                }
                Stage::Image(_) => {}
                Stage::Node(stage) => self.run_node(&stage, &mut changed),
                Stage::Output(stage) => {
                    let sources = stage.block.sources();
                    let moved: BTreeSet<Source> = sources.intersection(&changed).copied().collect();
                    let delta = stage.delta(self.context(), &moved);
                    if !moved.is_empty() && self.run_delta("out_delta", delta) {
                        self.engine.run("INSERT INTO out SELECT * FROM out_delta");
                    }
                }
            }
        }
        self.check();
    }

    /// Computes an image again and writes down how it differs from what was kept.
    fn compare(&mut self, image: &Image) -> bool {
        let columns = numbered("c", image.opaque.columns.len()).join(", ");
        let (kept, delta) = (
            image_table(STATE, image.id),
            delta_name(Source::Image(image.id)),
        );
        // Without the list of column names that SQLite does not know.
        self.table(
            "fresh_image",
            &format!(
                "WITH q({columns}) AS ({}) SELECT * FROM q",
                image.opaque.query
            ),
        );
        self.table(
            &delta,
            &format!(
                "SELECT {columns}, sum(w) AS {WEIGHT} FROM (SELECT *, 1 AS w FROM fresh_image \
                 UNION ALL SELECT *, -1 FROM {kept}) AS both GROUP BY {columns} HAVING sum(w) <> 0"
            ),
        );
        self.table(&kept, "SELECT * FROM fresh_image");
        !self
            .engine
            .rows(&format!("SELECT 1 FROM {delta}"))
            .is_empty()
    }

    /// Replaces the rows of a table and writes down its consolidated delta, if there is one.
    fn change(&mut self, oid: u32, rows: &Rows) -> bool {
        let Some(base) = self.tables.get_mut(&oid) else {
            return false;
        };
        let mut weights: BTreeMap<&Vec<Option<i64>>, i64> = BTreeMap::new();
        for row in rows {
            *weights.entry(row).or_default() += 1;
        }
        for row in &base.rows {
            *weights.entry(row).or_default() -= 1;
        }
        let changes: Vec<(Vec<Option<i64>>, i64)> = weights
            .into_iter()
            .filter(|(_, weight)| *weight != 0)
            .map(|(row, weight)| (row.clone(), weight))
            .collect();
        let name = delta_name(Source::Table(oid));
        let columns: Vec<String> = (1..=base.width)
            .map(|n| format!("a{n} integer, "))
            .collect();
        let engine = &mut *self.engine;
        engine.run(&format!("DROP TABLE IF EXISTS {name}"));
        engine.run(&format!(
            "CREATE TEMP TABLE {name} ({}{WEIGHT} integer)",
            columns.concat()
        ));
        for (row, weight) in &changes {
            insert(engine, &name, std::slice::from_ref(row), Some(*weight));
        }
        engine.run(&format!("DELETE FROM {}", base.name));
        insert(engine, &base.name, rows, None);
        base.rows = rows.clone();
        !changes.is_empty()
    }

    /// Runs a delta's steps and terms into `name`.
    pub(super) fn run_delta(&mut self, name: &str, delta: BlockDelta) -> bool {
        for step in &delta.steps {
            self.table("step", &step.sql);
            self.count("step");
            let columns = self.engine.columns("step");
            let columns: Vec<&String> = columns.iter().filter(|c| *c != WEIGHT).collect();
            let shown: Vec<String> = columns.iter().map(|c| format!("{c}, ")).collect();
            let images: Vec<String> = (columns.iter())
                .map(|c| format!("{c}, CAST({c} AS text)"))
                .collect();
            let group = match images.is_empty() {
                true => String::new(),
                false => format!(" GROUP BY {}", images.join(", ")),
            };
            self.table(
                &step.name,
                &format!(
                    "SELECT {}sum({WEIGHT}) AS {WEIGHT} FROM step{group} HAVING sum({WEIGHT}) <> 0",
                    shown.concat()
                ),
            );
        }
        match delta.terms {
            Some(terms) => {
                self.table(name, &terms);
                self.count(name);
                true
            }
            None => false,
        }
    }

    /// Notes how many rows a statement of a delta returned.
    fn count(&mut self, table: &str) {
        let rows = self.engine.rows(&format!("SELECT count(*) FROM {table}"));
        let count = rows.first().and_then(|row| row.first());
        self.delta_rows.push(
            count
                .and_then(|n| n.parse().ok())
                .expect("a count is a number"),
        );
    }

    /// The content, as grouped rows with their number.
    pub fn content(&mut self) -> Vec<Vec<String>> {
        self.grouped("SELECT * FROM out")
    }

    /// Rows of a query over columns `c0`… and `w`, by image, with their net weight.
    fn grouped(&mut self, sql: &str) -> Vec<Vec<String>> {
        let columns = numbered("c", self.outputs());
        let images: Vec<String> = columns
            .iter()
            .map(|c| format!("CAST({c} AS text)"))
            .collect();
        let images = images.join(", ");
        let mut rows = self.engine.rows(&format!(
            "WITH q({}, w) AS ({sql}) SELECT {images}, sum(w) FROM q GROUP BY {images} \
             HAVING sum(w) <> 0",
            columns.join(", ")
        ));
        rows.sort();
        rows
    }

    /// Content and state are what they are from nothing, and the key identifies rows.
    fn check(&mut self) {
        let wanted = self.grouped(&format!("SELECT *, 1 FROM ({}) AS q", self.truth));
        assert_eq!(self.content(), wanted, "{}\n{}", self.truth, self.plan);

        for image in self.plan.images.clone() {
            if image.recursion.is_some() {
                let kept = self.weights(&format!(
                    "SELECT *, 1 FROM {}",
                    image_table(STATE, image.id)
                ));
                let fresh =
                    self.weights(&format!("SELECT *, 1 FROM ({}) AS q", image.opaque.query));
                assert_eq!(kept, fresh, "rows of image {}\n{}", image.id, self.plan);
            }
        }
        for node in self.plan.nodes.clone() {
            if matches!(node.store, Store::Table { .. }) && !self.engine.is_postgres() {
                let fresh = state::initial(self.context(), &node);
                let mut fresh = self.engine.rows(&fresh);
                let mut kept = self
                    .engine
                    .rows(&format!("SELECT * FROM {STATE}{}", node.id));
                fresh.sort();
                kept.sort();
                assert_eq!(kept, fresh, "state of node {}\n{}", node.id, self.plan);
            }
        }
        if let Identity::Key { columns, .. } = self.plan.output.identity().clone() {
            let keys: Vec<String> = columns.iter().map(|c| column(*c)).collect();
            let group = if keys.is_empty() {
                String::new()
            } else {
                format!(" GROUP BY {}", keys.join(", "))
            };
            let twice = self
                .engine
                .rows(&format!("SELECT sum(w) FROM out{group} HAVING sum(w) > 1"));
            assert!(twice.is_empty(), "the key is not unique\n{}", self.plan);
        }
    }
}

fn collect_scans(relation: &Relation, scans: &mut BTreeMap<u32, Scan>) {
    if let Relation::Scan(scan) = relation {
        scans.insert(scan.oid, scan.clone());
    }
    for input in relation.inputs() {
        collect_scans(input, scans);
    }
}

pub(super) fn insert(
    engine: &mut dyn Engine,
    table: &str,
    rows: &[Vec<Option<i64>>],
    weight: Option<i64>,
) {
    if rows.is_empty() {
        return;
    }
    let values: Vec<String> = rows
        .iter()
        .map(|row| {
            let values: Vec<String> = row
                .iter()
                .map(|value| value.map_or_else(|| "NULL".to_owned(), |v| v.to_string()))
                .chain(weight.map(|w| w.to_string()))
                .collect();
            format!("({})", values.join(", "))
        })
        .collect();
    engine.run(&format!("INSERT INTO {table} VALUES {}", values.join(", ")));
}

pub(super) fn numbered(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|i| format!("{prefix}{i}")).collect()
}
