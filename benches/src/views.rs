//! The four views: defining query, and the SQL that an expert would write to maintain just this one.
//!
//! The expert's version has the same information: a log of the changed rows of `big` with their weights,
//! written by a statement trigger, one log per view with the columns that it needs. It consumes its log
//! and applies it in one PL/pgSQL function, whose plans the server keeps. It knows that `small` never
//! changes, that the columns are not NULL and what the keys are, which a general engine does not.

/// A view of the benchmark.
pub struct View {
    /// The letter in the published table.
    pub letter: char,
    /// In words.
    pub title: &'static str,
    /// The defining query.
    pub query: &'static str,
    /// The columns that identify a row of the result.
    pub key: &'static str,
    /// The columns of `big` in the expert's log.
    pub log_columns: &'static str,
    /// The body of the expert's function; `delta` holds the consumed log.
    pub by_hand: &'static str,
}

/// In the order of the published table.
pub const VIEWS: &[View] = &[
    View {
        letter: 'a',
        title: "group by two low-cardinality columns",
        query: "SELECT region, kind, count(*) AS n, sum(amount) AS total FROM big GROUP BY region, kind",
        key: "region, kind",
        log_columns: "region, kind, amount",
        by_hand: "
MERGE INTO hand_a t
USING (SELECT region, kind, sum(w) AS n, sum(w * amount) AS total FROM delta
       GROUP BY region, kind HAVING sum(w) <> 0 OR sum(w * amount) <> 0) d
ON t.region = d.region AND t.kind = d.kind
WHEN MATCHED AND t.n + d.n = 0 THEN DELETE
WHEN MATCHED THEN UPDATE SET n = t.n + d.n, total = t.total + d.total
WHEN NOT MATCHED THEN INSERT VALUES (d.region, d.kind, d.n, d.total)",
    },
    View {
        letter: 'b',
        title: "join, group by an attribute of the small table",
        query: "SELECT attr, count(*) AS n, sum(amount) AS total FROM big JOIN small ON small.id = big.small_id GROUP BY attr",
        key: "attr",
        log_columns: "small_id, amount",
        by_hand: "
MERGE INTO hand_b t
USING (SELECT attr, sum(w) AS n, sum(w * amount) AS total
       FROM delta JOIN small ON small.id = delta.small_id
       GROUP BY attr HAVING sum(w) <> 0 OR sum(w * amount) <> 0) d
ON t.attr = d.attr
WHEN MATCHED AND t.n + d.n = 0 THEN DELETE
WHEN MATCHED THEN UPDATE SET n = t.n + d.n, total = t.total + d.total
WHEN NOT MATCHED THEN INSERT VALUES (d.attr, d.n, d.total)",
    },
    View {
        letter: 'c',
        title: "join without grouping, keyed, half of the rows",
        query: "SELECT big.id, big.amount, small.name FROM big JOIN small ON small.id = big.small_id WHERE big.region < 5",
        key: "id",
        log_columns: "id",
        by_hand: "
MERGE INTO hand_c t
USING (SELECT touched.id, found.amount, found.name
       FROM (SELECT DISTINCT id FROM delta) touched
       LEFT JOIN (SELECT big.id, big.amount, small.name FROM big
                  JOIN small ON small.id = big.small_id WHERE big.region < 5) found USING (id)) d
ON t.id = d.id
WHEN MATCHED AND d.name IS NULL THEN DELETE
WHEN MATCHED AND (t.amount, t.name) IS DISTINCT FROM (d.amount, d.name)
    THEN UPDATE SET amount = d.amount, name = d.name
WHEN NOT MATCHED AND d.name IS NOT NULL THEN INSERT VALUES (d.id, d.amount, d.name)",
    },
    View {
        letter: 'd',
        title: "group by the join key with count, sum, max",
        query: "SELECT small_id, count(*) AS n, sum(amount) AS total, max(score) AS best FROM big GROUP BY small_id",
        key: "small_id",
        log_columns: "small_id, amount, score",
        by_hand: "
MERGE INTO hand_d t
USING (SELECT d.*,
              CASE WHEN gone >= known.best
                   THEN (SELECT max(score) FROM big WHERE big.small_id = d.small_id)
                   ELSE greatest(known.best, came) END AS best
       FROM (SELECT small_id, sum(w) AS n, sum(w * amount) AS total,
                    max(score) FILTER (WHERE w > 0) AS came,
                    max(score) FILTER (WHERE w < 0) AS gone
             FROM delta GROUP BY small_id) d
       LEFT JOIN hand_d known USING (small_id)) d
ON t.small_id = d.small_id
WHEN MATCHED AND t.n + d.n = 0 THEN DELETE
WHEN MATCHED THEN UPDATE SET n = t.n + d.n, total = t.total + d.total, best = d.best
WHEN NOT MATCHED THEN INSERT VALUES (d.small_id, d.n, d.total, d.best)",
    },
];

impl View {
    /// The stream table's name.
    pub fn stream_table(&self) -> String {
        format!("stream_{}", self.letter)
    }

    /// Creates the stream table.
    pub fn create_stream_table(&self) -> String {
        format!(
            "SELECT pgtrickle.create_stream_table('{}', $q${}$q$)",
            self.stream_table(),
            self.query
        )
    }

    /// Refreshes the stream table.
    pub fn refresh(&self) -> String {
        format!(
            "SELECT pgtrickle.refresh_stream_table('{}')",
            self.stream_table()
        )
    }

    /// Creates the materialized view, with the unique index that CONCURRENTLY needs.
    pub fn create_materialized_view(&self) -> String {
        format!(
            "CREATE MATERIALIZED VIEW matview_{l} AS {}; CREATE UNIQUE INDEX ON matview_{l} ({})",
            self.query,
            self.key,
            l = self.letter
        )
    }

    /// Refreshes the materialized view.
    pub fn refresh_materialized_view(&self, concurrently: bool) -> String {
        let how = if concurrently { "CONCURRENTLY " } else { "" };
        format!("REFRESH MATERIALIZED VIEW {how}matview_{}", self.letter)
    }

    /// Creates the expert's table, log, trigger and function.
    pub fn create_by_hand(&self) -> String {
        let Self {
            letter: l,
            query,
            key,
            log_columns: columns,
            by_hand,
            ..
        } = self;
        let log = format!("INSERT INTO log_{l} SELECT");
        format!(
            "CREATE TABLE hand_{l} AS {query};
             ALTER TABLE hand_{l} ADD PRIMARY KEY ({key});
             CREATE TABLE log_{l} AS SELECT 1 AS w, {columns} FROM big WITH NO DATA;
             CREATE FUNCTION log_{l}() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 IF TG_OP <> 'INSERT' THEN {log} -1, {columns} FROM gone; END IF;
                 IF TG_OP <> 'DELETE' THEN {log} 1, {columns} FROM came; END IF;
                 RETURN NULL;
             END $$;
             CREATE TRIGGER log_{l}_insert AFTER INSERT ON big
                 REFERENCING NEW TABLE AS came FOR EACH STATEMENT EXECUTE FUNCTION log_{l}();
             CREATE TRIGGER log_{l}_update AFTER UPDATE ON big
                 REFERENCING OLD TABLE AS gone NEW TABLE AS came FOR EACH STATEMENT EXECUTE FUNCTION log_{l}();
             CREATE TRIGGER log_{l}_delete AFTER DELETE ON big
                 REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION log_{l}();
             CREATE FUNCTION refresh_hand_{l}() RETURNS void LANGUAGE plpgsql AS $$
             BEGIN
                 WITH delta AS (DELETE FROM log_{l} RETURNING *) {by_hand};
             END $$;"
        )
    }

    /// Runs the expert's function.
    pub fn refresh_by_hand(&self) -> String {
        format!("SELECT refresh_hand_{}()", self.letter)
    }

    /// The number of rows in which a table differs from the view.
    pub fn differences(&self, table: &str) -> String {
        let query = self.query;
        format!(
            "SELECT count(*) FROM (
                 (TABLE {table} EXCEPT ALL ({query})) UNION ALL (({query}) EXCEPT ALL TABLE {table})) d"
        )
    }
}
