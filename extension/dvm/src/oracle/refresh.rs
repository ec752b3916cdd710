//! A refresh in SQL, step by step as the extension executes it natively.

use std::collections::{BTreeMap, BTreeSet};

use crate::operators::aggregate::{self, CombineLayout, Emit};
use crate::operators::join::{BlockDelta, Context};
use crate::operators::output;
use crate::plan::{self, Identity, Node, Output, Plan, Source, Store};
use crate::sql::names::{GROUPS, TOUCHED, WEIGHT, column, delta as delta_name, key};
use crate::tree::{Expr, Relation, Scan};

use super::engine::Engine;
use super::truth;

/// Rows of a table; `None` is NULL.
pub type Rows = Vec<Vec<Option<i64>>>;

/// A stream table over tables of integers, all in temporary tables of one session.
pub struct Simulation<'e> {
    engine: &'e mut dyn Engine,
    plan: Plan,
    truth: String,
    inline_limit: usize,
    tables: BTreeMap<u32, Base>,
}

struct Base {
    name: String,
    width: usize,
    rows: Rows,
}

const STATE: &str = "st_";

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
        };
        simulation.create();
        simulation
    }

    fn context(&self) -> Context<'_> {
        Context {
            plan: &self.plan,
            state_prefix: STATE,
            inline_limit: self.inline_limit,
        }
    }

    fn outputs(&self) -> usize {
        self.plan.columns.len()
    }

    fn create(&mut self) {
        for node in self.plan.nodes.clone() {
            if matches!(node.store, Store::Table { .. }) {
                let sql = aggregate::initial(self.context(), &node);
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
    fn table(&mut self, name: &str, sql: &str) {
        self.engine.run(&format!("DROP TABLE IF EXISTS {name}"));
        self.engine
            .run(&format!("CREATE TEMP TABLE {name} AS {sql}"));
    }

    /// Gives the tables these rows, refreshes, and compares with the query.
    pub fn refresh(&mut self, tables: &BTreeMap<u32, Rows>) {
        let mut changed = BTreeSet::new();
        for (oid, rows) in tables {
            if self.change(*oid, rows) {
                changed.insert(Source::Table(*oid));
            }
        }
        for node in self.plan.nodes.clone() {
            self.run_node(&node, &mut changed);
        }
        if let Output::Linear { block, .. } = &self.plan.output {
            let moved: BTreeSet<Source> = block.sources().intersection(&changed).copied().collect();
            if !moved.is_empty() {
                let delta = output::delta(self.context(), &moved);
                if self.run_delta("out_delta", delta) {
                    self.engine.run("INSERT INTO out SELECT * FROM out_delta");
                }
            }
        }
        self.check();
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
    fn run_delta(&mut self, name: &str, delta: BlockDelta) -> bool {
        for step in &delta.steps {
            self.table(&step.name, &step.sql);
        }
        match delta.terms {
            Some(terms) => {
                self.table(name, &terms);
                true
            }
            None => false,
        }
    }

    fn run_node(&mut self, node: &Node, changed: &mut BTreeSet<Source>) {
        let moved: BTreeSet<Source> = node
            .block
            .sources()
            .intersection(changed)
            .copied()
            .collect();
        if moved.is_empty() {
            return;
        }
        let delta = aggregate::delta(self.context(), node, &moved);
        if !self.run_delta("group_deltas", delta) {
            return;
        }
        let plan = self.plan.clone();
        let own: Vec<Expr> = node
            .columns()
            .iter()
            .map(|c| Expr::column(c.id, c.ty.clone(), c.nullable))
            .collect();
        let is_last = plan.nodes.len() == node.id + 1;
        let (sink, emit) = match &plan.output {
            Output::Post {
                predicates,
                exprs,
                identity,
            } if is_last => {
                let by_key = matches!(identity, Identity::Key { .. });
                let emit = Emit {
                    predicates,
                    exprs,
                    with_old: !by_key,
                };
                let keys = match identity {
                    Identity::Key { columns, .. } => Some(columns.clone()),
                    Identity::Image => None,
                };
                (Sink::Output(keys), emit)
            }
            _ => {
                let emit = Emit {
                    predicates: &[],
                    exprs: &own,
                    with_old: true,
                };
                (Sink::Delta(delta_name(Source::Node(node.id))), emit)
            }
        };
        if let Sink::Delta(name) = &sink {
            let columns = numbered("c", emit.exprs.len()).join(", ");
            let sample = aggregate::state_output(node, &format!("{STATE}{}", node.id));
            self.table(
                name,
                &format!("WITH q({columns}) AS ({sample}) SELECT {columns}, 1 AS {WEIGHT} FROM q WHERE false"),
            );
            changed.insert(Source::Node(node.id));
        }
        let run = NodeRun {
            node,
            emit: &emit,
            sink: &sink,
        };
        if node.store == Store::None {
            self.recompute(&run, "SELECT * FROM group_deltas");
        } else {
            self.combine(&run);
            let keys: Vec<String> = (0..node.keys.len())
                .map(|i| format!("v{} AS {}", 2 + i, key(i)))
                .collect();
            let list = if keys.is_empty() {
                "1 AS one".to_owned()
            } else {
                keys.join(", ")
            };
            let flagged = format!("SELECT {list} FROM combined WHERE v0");
            self.recompute(&run, &flagged);
        }
    }

    /// Old state beside the deltas, then new state and output of the groups that need no more.
    fn combine(&mut self, run: &NodeRun<'_>) {
        let node = run.node;
        let names = aggregate::state_names(node);
        let (table, stored): (String, Vec<String>) = match &node.store {
            Store::Output(positions) => {
                let stored = positions.iter().map(|p| column(*p)).collect();
                ("out".into(), stored)
            }
            _ => (format!("{STATE}{}", node.id), names.clone()),
        };
        let old: Vec<String> = names
            .iter()
            .zip(&stored)
            .map(|(name, stored)| format!("s.{stored} AS o_{name}"))
            .collect();
        let on: Vec<String> = stored
            .iter()
            .take(node.keys.len())
            .enumerate()
            .map(|(i, stored)| format!("s.{stored} IS NOT DISTINCT FROM d.{}", key(i)))
            .collect();
        self.table(
            GROUPS,
            &format!(
                "SELECT d.*, s.mark IS NOT NULL AS found, {} FROM group_deltas AS d \
                 LEFT JOIN (SELECT *, 1 AS mark FROM {table}) AS s ON {}",
                old.join(", "),
                conjunction(&on)
            ),
        );
        let layout = CombineLayout::of_combine(node, run.emit);
        let width = layout.new_keep + 1 + layout.outputs;
        self.table(
            "combined",
            &labelled(&aggregate::combine(node, run.emit), width),
        );
        if matches!(node.store, Store::Table { .. }) {
            self.check_types(&table, "combined", layout.state);
            self.put_state(node, "combined", layout.state, "NOT v0", "v1 AND NOT v0");
        }
        if let Some(at) = layout.old_keep {
            self.emit(run, "combined", at, &format!("v{at}"), -1);
        }
        self.replace_output(run, "combined", layout.state, "NOT v0");
        let keep = format!("v{} AND NOT v0", layout.new_keep);
        self.emit(run, "combined", layout.new_keep, &keep, 1);
    }

    /// Computes groups again, one statement per combination of NULL keys.
    fn recompute(&mut self, run: &NodeRun<'_>, groups: &str) {
        let node = run.node;
        self.table("flagged", groups);
        let keys = node.keys.len();
        for mask in 0_u32..1 << keys {
            let null_keys: Vec<bool> = (0..keys).map(|i| mask & (1 << i) != 0).collect();
            let pattern: Vec<String> = null_keys
                .iter()
                .enumerate()
                .map(|(i, null)| format!("({} IS NULL) = {null}", key(i)))
                .collect();
            let names: Vec<String> = (0..keys).map(key).collect();
            let list = [
                vec!["CAST(row_number() OVER () AS integer) AS ord".into()],
                names,
            ]
            .concat();
            self.table(
                TOUCHED,
                &format!(
                    "SELECT {} FROM flagged WHERE {}",
                    list.join(", "),
                    conjunction(&pattern)
                ),
            );
            if self
                .engine
                .rows(&format!("SELECT 1 FROM {TOUCHED}"))
                .is_empty()
            {
                continue;
            }
            let layout = CombineLayout::of_recompute(node, run.emit);
            let width = layout.new_keep + 1 + layout.outputs;
            let sql = aggregate::recompute(self.context(), node, run.emit, &null_keys);
            self.table("fresh", &labelled(&sql, width));
            self.table(
                "touched",
                &format!(
                    "WITH q({0}) AS (SELECT * FROM {TOUCHED}) SELECT * FROM q",
                    numbered("v", keys + 1).join(", ")
                ),
            );
            if matches!(node.store, Store::Table { .. }) {
                self.check_types(&format!("{STATE}{}", node.id), "fresh", layout.state);
                self.put_state(node, "touched", 1, "true", "false");
                self.put_state(node, "fresh", layout.state, "false", "true");
            }
            self.replace_output(run, "touched", 1, "true");
            self.emit(
                run,
                "fresh",
                layout.new_keep,
                &format!("v{}", layout.new_keep),
                1,
            );
        }
    }

    /// Removes the state of the groups in `from` (keys from column `at` on), then adds theirs.
    fn put_state(&mut self, node: &Node, from: &str, at: usize, gone: &str, there: &str) {
        let state = format!("{STATE}{}", node.id);
        let on: Vec<String> = (0..node.keys.len())
            .map(|i| format!("n.v{} IS NOT DISTINCT FROM {state}.{}", at + i, key(i)))
            .collect();
        self.engine.run(&format!(
            "DELETE FROM {state} WHERE EXISTS (SELECT 1 FROM {from} AS n WHERE {gone} AND {})",
            conjunction(&on)
        ));
        if there != "false" {
            let width = aggregate::state_names(node).len();
            self.engine.run(&format!(
                "INSERT INTO {state} SELECT {} FROM {from} WHERE {there}",
                (at..at + width)
                    .map(|i| format!("v{i}"))
                    .collect::<Vec<_>>()
                    .join(", ")
            ));
        }
    }

    /// A sink by key forgets the rows of the groups in `from`.
    fn replace_output(&mut self, run: &NodeRun<'_>, from: &str, at: usize, which: &str) {
        if let Sink::Output(Some(keys)) = run.sink {
            let on: Vec<String> = keys
                .iter()
                .enumerate()
                .map(|(i, position)| format!("n.v{} IS NOT DISTINCT FROM out.c{position}", at + i))
                .collect();
            self.engine.run(&format!(
                "DELETE FROM out WHERE EXISTS (SELECT 1 FROM {from} AS n WHERE {which} AND {})",
                conjunction(&on)
            ));
        }
    }

    /// Hands output rows, which follow column `at`, to the sink.
    fn emit(&mut self, run: &NodeRun<'_>, from: &str, at: usize, which: &str, weight: i32) {
        let mut columns: Vec<String> = (at + 1..at + 1 + run.emit.exprs.len())
            .map(|i| format!("v{i}"))
            .collect();
        columns.push(weight.to_string());
        let into = match run.sink {
            Sink::Delta(name) => name.as_str(),
            Sink::Output(_) => "out",
        };
        self.engine.run(&format!(
            "INSERT INTO {into} SELECT {} FROM {from} WHERE {which}",
            columns.join(", ")
        ));
    }

    /// The extension copies values without a cast: types must be those of the state table.
    fn check_types(&mut self, state: &str, from: &str, at: usize) {
        if !self.engine.is_postgres() {
            return;
        }
        let types = |engine: &mut dyn Engine, table: &str| -> Vec<String> {
            let rows = engine.rows(&format!(
                "SELECT format_type(atttypid, NULL) FROM pg_attribute \
                 WHERE attrelid = '{table}'::regclass AND attnum > 0 ORDER BY attnum"
            ));
            rows.into_iter().flatten().collect()
        };
        let wanted = types(self.engine, state);
        let given = types(self.engine, from);
        assert_eq!(wanted, given[at..at + wanted.len()], "types of {state}");
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

        for node in self.plan.nodes.clone() {
            if matches!(node.store, Store::Table { .. }) && !self.engine.is_postgres() {
                let fresh = aggregate::initial(self.context(), &node);
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

struct NodeRun<'a> {
    node: &'a Node,
    emit: &'a Emit<'a>,
    sink: &'a Sink,
}

enum Sink {
    /// Into the delta of the node.
    Delta(String),
    /// Into the stream table, by key at these output positions or by image.
    Output(Option<Vec<usize>>),
}

fn collect_scans(relation: &Relation, scans: &mut BTreeMap<u32, Scan>) {
    if let Relation::Scan(scan) = relation {
        scans.insert(scan.oid, scan.clone());
    }
    for input in relation.inputs() {
        collect_scans(input, scans);
    }
}

fn insert(engine: &mut dyn Engine, table: &str, rows: &[Vec<Option<i64>>], weight: Option<i64>) {
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

fn numbered(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|i| format!("{prefix}{i}")).collect()
}

/// The query with columns `v0`… by position.
fn labelled(sql: &str, width: usize) -> String {
    let columns = numbered("v", width).join(", ");
    format!("WITH q({columns}) AS ({sql}) SELECT {columns} FROM q")
}

fn conjunction(parts: &[String]) -> String {
    if parts.is_empty() {
        "true".into()
    } else {
        parts.join(" AND ")
    }
}
