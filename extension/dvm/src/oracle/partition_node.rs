//! One node of partitions of a refresh, in SQL.

use std::collections::BTreeSet;

use crate::operators::statement::Emit;
use crate::operators::{partition, state};
use crate::plan::{Node, Output, Source, Store};
use crate::sql::names::{TOUCHED, WEIGHT, column, delta as delta_name, key};
use crate::tree::Expr;

use super::node::conjunction;
use super::refresh::{STATE, Simulation, numbered};

impl Simulation<'_> {
    /// Brings the node's rows up to date and hands the changed ones on.
    pub(super) fn run_partitions(&mut self, node: &Node, changed: &mut BTreeSet<Source>) {
        let moved: BTreeSet<Source> = node
            .block
            .sources()
            .intersection(changed)
            .copied()
            .collect();
        let delta = state::delta(self.context(), node, &moved);
        if moved.is_empty() || !self.run_delta("group_deltas", delta) {
            return;
        }
        let plan = self.plan.clone();
        let own: Vec<Expr> = node.columns().iter().map(Expr::of).collect();
        let stored = format!("{STATE}{}", node.id);
        let names = state::names(node);
        let (emit, table, keys) = match (&plan.output, &node.store) {
            (
                Output::Post {
                    predicates, exprs, ..
                },
                Store::Output(positions),
            ) => (
                Emit {
                    predicates,
                    exprs,
                    with_old: false,
                },
                "out",
                positions.iter().map(|at| column(*at)).collect(),
            ),
            _ => (
                Emit {
                    predicates: &[],
                    exprs: &own,
                    with_old: true,
                },
                stored.as_str(),
                (0..node.keys.len()).map(key).collect::<Vec<_>>(),
            ),
        };
        let width = emit.exprs.len();
        let name = delta_name(Source::Node(node.id));
        if table != "out" {
            let columns = numbered("c", width).join(", ");
            let sample = state::output(node, table);
            self.table(
                &name,
                &format!(
                    "WITH q({columns}) AS ({sample}) SELECT {columns}, 1 AS {WEIGHT} FROM q WHERE false"
                ),
            );
            changed.insert(Source::Node(node.id));
        }
        for mask in 0_u32..1 << node.keys.len() {
            let null_keys: Vec<bool> = (0..node.keys.len()).map(|i| mask & (1 << i) != 0).collect();
            if !self.touch(node, &null_keys) {
                continue;
            }
            let Some(rule) = node.partition() else {
                continue;
            };
            let sql = partition::recompute(self.context(), node, rule, &emit, &null_keys);
            self.table("fresh", &sql);
            let on: Vec<String> = keys
                .iter()
                .enumerate()
                .map(|(i, stored)| format!("t.{} IS NOT DISTINCT FROM {table}.{stored}", key(i)))
                .collect();
            let old = format!(
                "EXISTS (SELECT 1 FROM {TOUCHED} AS t WHERE {})",
                conjunction(&on)
            );
            let fresh = numbered("c", width).join(", ");
            if table == "out" {
                self.engine.run(&format!("DELETE FROM out WHERE {old}"));
                self.engine
                    .run(&format!("INSERT INTO out SELECT {fresh}, 1 FROM fresh"));
            } else {
                self.engine.run(&format!(
                    "INSERT INTO {name} SELECT {}, -1 FROM {table} WHERE {old}",
                    names.join(", ")
                ));
                self.engine
                    .run(&format!("INSERT INTO {name} SELECT {fresh}, 1 FROM fresh"));
                self.engine.run(&format!("DELETE FROM {table} WHERE {old}"));
                self.engine
                    .run(&format!("INSERT INTO {table} SELECT {fresh} FROM fresh"));
            }
        }
    }

    /// Makes [`TOUCHED`] hold the touched keys of which just these are NULL, and says whether there are any.
    fn touch(&mut self, node: &Node, null_keys: &[bool]) -> bool {
        let pattern: Vec<String> = null_keys
            .iter()
            .enumerate()
            .map(|(i, null)| format!("({} IS NULL) = {null}", key(i)))
            .collect();
        let mut list = vec!["1 AS ord".to_owned()];
        list.extend((0..node.keys.len()).map(key));
        self.table(
            TOUCHED,
            &format!(
                "SELECT {} FROM group_deltas WHERE {}",
                list.join(", "),
                conjunction(&pattern)
            ),
        );
        !self
            .engine
            .rows(&format!("SELECT 1 FROM {TOUCHED}"))
            .is_empty()
    }
}
