//! One node of partitions of a refresh, in SQL.

use crate::operators::script::{NodeStage, Statement};
use crate::operators::stored;
use crate::plan::{Node, Store};
use crate::sql::names::{TOUCHED, WEIGHT, column, delta as delta_name, key};

use super::node::conjunction;
use super::refresh::{STATE, Simulation, numbered};

impl Simulation<'_> {
    /// Brings the node's rows up to date and hands the changed ones on.
    pub(super) fn run_partitions(&mut self, stage: &NodeStage<'_>) {
        let node = stage.node;
        let stored = format!("{STATE}{}", node.id);
        let names = stored::names(node);
        let (table, keys) = match &node.store {
            Store::Output(positions) => ("out", positions.iter().map(|at| column(*at)).collect()),
            _ => (
                stored.as_str(),
                (0..node.keys.len()).map(key).collect::<Vec<_>>(),
            ),
        };
        let width = stage.emit.exprs.len();
        let name = delta_name(stage.source());
        if table != "out" {
            let columns = numbered("c", width).join(", ");
            let sample = stored::output(node, table);
            self.table(
                &name,
                &format!(
                    "WITH q({columns}) AS ({sample}) SELECT {columns}, 1 AS {WEIGHT} FROM q WHERE false"
                ),
            );
        }
        for mask in 0_u32..1 << node.keys.len() {
            let null_keys: Vec<bool> = (0..node.keys.len()).map(|i| mask & (1 << i) != 0).collect();
            if !self.touch(node, &null_keys) {
                continue;
            }
            let sql = self.sql(stage, &Statement::Recompute(null_keys));
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
