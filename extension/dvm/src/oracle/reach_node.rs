//! One node of windows over a whole input of a refresh, in SQL.

use crate::operators::script::{NodeStage, Statement};
use crate::sql::names::{CHANGED, REGIONS, ROWS, WEIGHT, accumulator, column, delta as delta_name};

use super::refresh::{STATE, Simulation, numbered};

impl Simulation<'_> {
    /// Brings the results that changes reach up to date and hands the changed rows on, if there are any.
    pub(super) fn follow_reach(&mut self, stage: &NodeStage<'_>) -> bool {
        let node = stage.node;
        let inputs = numbered("c", node.block.columns.len()).join(", ");
        self.consolidate(CHANGED, "changed_rows", &inputs);
        let state = format!("{STATE}{}", node.id);
        let name = delta_name(stage.source());
        let (names, shown): (Vec<String>, Vec<String>) = (0..node.columns().len())
            .map(|i| (accumulator(i), column(i)))
            .unzip();
        let renamed: Vec<String> = (names.iter().zip(&shown))
            .map(|(name, shown)| format!("{name} AS {shown}"))
            .collect();
        let (names, shown, renamed) = (names.join(", "), shown.join(", "), renamed.join(", "));
        if !self.has_rows(CHANGED) {
            return false;
        }
        let place = self.engine.place();
        let regions = self.sql(stage, &Statement::Regions);
        self.table(REGIONS, &regions);
        let (gone, fresh) = if self.has_rows(REGIONS) {
            let gone = self.sql(stage, &Statement::Stored);
            let gone = gone.replacen("s.ctid", &format!("s.{place} AS place"), 1);
            self.table("around", &self.sql(stage, &Statement::Around));
            let inputs = numbered("a", node.block.columns.len()).join(", ");
            self.consolidate("counted", "around", &format!("n, {inputs}"));
            // As many copies as the weight says.
            self.table(
                ROWS,
                &format!(
                    "WITH RECURSIVE r AS (SELECT * FROM counted UNION ALL \
                     SELECT n, {inputs}, {WEIGHT} - 1 FROM r WHERE {WEIGHT} > 1) SELECT * FROM r"
                ),
            );
            (gone, self.sql(stage, &Statement::Results))
        } else {
            let all = self.sql(stage, &Statement::Initial);
            let all = format!("SELECT {renamed} FROM ({all}) AS q");
            (
                format!("SELECT {place} AS place, {names} FROM {state}"),
                all,
            )
        };
        self.table("gone", &gone);
        self.table("fresh", &fresh);
        self.table(
            &name,
            &format!(
                "SELECT {renamed}, -1 AS {WEIGHT} FROM gone UNION ALL SELECT {shown}, 1 FROM fresh"
            ),
        );
        self.engine.run(&format!(
            "DELETE FROM {state} WHERE {place} IN (SELECT place FROM gone)"
        ));
        self.engine
            .run(&format!("INSERT INTO {state} SELECT {shown} FROM fresh"));
        true
    }

    /// Makes `name` hold the rows of a table by image with their net weight.
    fn consolidate(&mut self, name: &str, table: &str, columns: &str) {
        self.table(
            name,
            &format!(
                "SELECT {columns}, sum({WEIGHT}) AS {WEIGHT} FROM {table} GROUP BY {columns} HAVING sum({WEIGHT}) <> 0"
            ),
        );
    }

    fn has_rows(&mut self, table: &str) -> bool {
        !self
            .engine
            .rows(&format!("SELECT 1 FROM {table} LIMIT 1"))
            .is_empty()
    }
}
