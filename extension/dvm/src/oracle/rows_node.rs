//! One node of kept rows of a refresh, in SQL.

use crate::operators::script::NodeStage;
use crate::sql::names::{WEIGHT, delta as delta_name, key};

use super::refresh::{STATE, Simulation, numbered};

impl Simulation<'_> {
    /// Brings the rows up to date and hands the changed ones on.
    pub(super) fn run_rows(&mut self, stage: &NodeStage<'_>) {
        let node = stage.node;
        let columns = numbered("c", node.keys.len());
        let images: Vec<String> = columns
            .iter()
            .map(|c| format!("{c}, CAST({c} AS text)"))
            .collect();
        let (list, images) = (columns.join(", "), images.join(", "));
        let name = delta_name(stage.source());
        self.table(
            &name,
            &format!(
                "SELECT {list}, sum({WEIGHT}) AS {WEIGHT} FROM changed_rows GROUP BY {images} \
                 HAVING sum({WEIGHT}) <> 0"
            ),
        );
        let kept = format!("{STATE}{}", node.id);
        let keys: Vec<String> = (0..node.keys.len()).map(key).collect();
        let keys = keys.join(", ");
        self.table(
            "weighted",
            &format!(
                "SELECT {list}, sum(w) AS w FROM (WITH q({list}, w) AS (SELECT {keys}, 1 FROM {kept} \
                 UNION ALL SELECT {list}, {WEIGHT} FROM {name}) SELECT * FROM q) AS q GROUP BY {images}"
            ),
        );
        let lost = self.engine.rows("SELECT * FROM weighted WHERE w < 0");
        assert!(
            lost.is_empty(),
            "rows that were not there are gone: {lost:?}"
        );
        self.table(
            &kept,
            &format!(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000), \
                 q({keys}) AS (SELECT {list} FROM weighted, n WHERE i <= w) SELECT * FROM q"
            ),
        );
    }
}
