//! One grouping node of a refresh, in SQL.

use std::collections::BTreeSet;

use crate::operators::aggregate::CombineLayout;
use crate::operators::script::{NodeStage, Statement, Way};
use crate::operators::stored;
use crate::plan::{Identity, Node, Source, Store};
use crate::sql::names::{GROUPS, TOUCHED, WEIGHT, column, delta as delta_name, key};

use super::engine::Engine;
use super::refresh::{STATE, Simulation, numbered};

impl Simulation<'_> {
    /// Brings the node's state up to date and hands its changed rows on.
    pub(super) fn run_node(&mut self, stage: &NodeStage<'_>, changed: &mut BTreeSet<Source>) {
        let node = stage.node;
        let sources = node.block.sources();
        let moved: BTreeSet<Source> = sources.intersection(changed).copied().collect();
        let delta = stage.delta(self.context(), &moved);
        let name = match stage.way {
            Way::Groups | Way::Partitions(_) => "group_deltas",
            Way::Rows | Way::Reach(..) => "changed_rows",
        };
        if moved.is_empty() || !self.run_delta(name, delta) {
            return;
        }
        match stage.way {
            Way::Rows => self.run_rows(stage),
            Way::Groups => self.run_groups(stage),
            Way::Partitions(_) => self.run_partitions(stage),
            Way::Reach(..) if self.follow_reach(stage) => {}
            Way::Reach(..) => return,
        }
        changed.extend(stage.output.is_none().then(|| stage.source()));
    }

    /// The text of a statement of the node.
    pub(super) fn sql(&self, stage: &NodeStage<'_>, statement: &Statement) -> String {
        let sql = stage.sql(self.context(), statement);
        sql.expect("such a node has such a statement")
    }

    fn run_groups(&mut self, stage: &NodeStage<'_>) {
        let (node, emit) = (stage.node, &stage.emit);
        let sink = match stage.output {
            Some(Identity::Key { columns, .. }) => Sink::Output(Some(columns.clone())),
            Some(Identity::Image) => Sink::Output(None),
            None => Sink::Delta(delta_name(stage.source())),
        };
        if let Sink::Delta(name) = &sink {
            let columns = numbered("c", emit.exprs.len()).join(", ");
            let sample = stored::output(node, &format!("{STATE}{}", node.id));
            self.table(
                name,
                &format!("WITH q({columns}) AS ({sample}) SELECT {columns}, 1 AS {WEIGHT} FROM q WHERE false"),
            );
        }
        let run = NodeRun { stage, sink: &sink };
        if !node.is_combined() {
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
        let (node, emit) = (run.stage.node, &run.stage.emit);
        let names = stored::names(node);
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
        let layout = CombineLayout::of_combine(node, emit);
        let width = layout.new_keep + 1 + layout.outputs;
        self.table(
            "combined",
            &labelled(&self.sql(run.stage, &Statement::Combine), width),
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
        let (node, emit) = (run.stage.node, &run.stage.emit);
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
            let layout = CombineLayout::of_recompute(node, emit);
            let width = layout.new_keep + 1 + layout.outputs;
            let sql = self.sql(run.stage, &Statement::Recompute(null_keys));
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
            let width = stored::names(node).len();
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
        let mut columns: Vec<String> = (at + 1..at + 1 + run.stage.emit.exprs.len())
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
}

struct NodeRun<'a> {
    stage: &'a NodeStage<'a>,
    sink: &'a Sink,
}

enum Sink {
    /// Into the delta of the node.
    Delta(String),
    /// Into the stream table, by key at these output positions or by image.
    Output(Option<Vec<usize>>),
}

/// The query with columns `v0`… by position.
fn labelled(sql: &str, width: usize) -> String {
    let columns = numbered("v", width).join(", ");
    format!("WITH q({columns}) AS ({sql}) SELECT {columns} FROM q")
}

pub(super) fn conjunction(parts: &[String]) -> String {
    if parts.is_empty() {
        "true".into()
    } else {
        parts.join(" AND ")
    }
}
