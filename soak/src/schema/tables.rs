//! The stream tables: every operator family over the sources, and a graph of stream tables over stream tables.

use harness::workload::sources::CHAIN;

/// A stream table of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamTable {
    /// Its name.
    pub name: String,
    /// Its query.
    pub query: String,
    /// When it is refreshed.
    pub schedule: &'static str,
    /// How.
    pub mode: &'static str,
    /// Whether its content follows the clock, so that only a refresh makes it comparable.
    pub follows_clock: bool,
}

/// Stops a refresh in the middle of its writes while somebody holds the gate.
pub const GATED_TRIGGER: &str =
    "CREATE TRIGGER gate BEFORE INSERT ON gated FOR EACH ROW EXECUTE FUNCTION gate()";

/// One or two of each operator family.
const FAMILIES: &[(&str, &str)] = &[
    (
        "filtered",
        "SELECT id, v * 2 AS w, upper(t) AS t FROM account WHERE v > 25 AND flag",
    ),
    ("bag", "SELECT note, amount FROM entry"),
    (
        "joined",
        "SELECT a.id, b.region, a.v * b.factor AS weighted FROM account a JOIN branch b ON b.id = a.branch_id WHERE a.v < 30",
    ),
    (
        "self_joined",
        "SELECT a.id, c.id AS other FROM node a JOIN node c ON c.parent = a.id",
    ),
    (
        "left_joined",
        "SELECT a.id, a.v, b.region FROM account a LEFT JOIN branch b ON b.id = a.branch_id WHERE a.v % 5 = 0",
    ),
    (
        "full_joined",
        "SELECT b.id, b.region, e.k, e.amount FROM branch b FULL JOIN entry e ON e.k = b.id",
    ),
    (
        "anti_joined",
        "SELECT b.id FROM branch b LEFT JOIN part p ON p.id = b.id WHERE p.id IS NULL",
    ),
    (
        "by_region",
        "SELECT b.region, count(*) AS n, sum(a.v) AS total, max(a.v) AS most, avg(a.n) AS mean FROM account a JOIN branch b ON b.id = a.branch_id GROUP BY b.region",
    ),
    (
        "extremes",
        "SELECT branch_id, min(v) AS least, max(v) AS most, count(DISTINCT t) AS kinds FROM account GROUP BY branch_id",
    ),
    (
        "flags",
        "SELECT v, bool_and(flag) AS everywhere, bool_or(flag) AS somewhere, count(*) FILTER (WHERE flag) AS n FROM account GROUP BY v",
    ),
    (
        "texts",
        "SELECT branch_id, string_agg(t, ',' ORDER BY id) AS texts FROM account WHERE v < 5 GROUP BY branch_id",
    ),
    (
        "spread",
        "SELECT branch_id, stddev(n) AS spread, percentile_cont(0.5) WITHIN GROUP (ORDER BY v) AS middle FROM account WHERE v % 10 = 1 GROUP BY branch_id",
    ),
    (
        "large_groups",
        "SELECT t, count(*) AS n FROM account GROUP BY t HAVING count(*) > 40",
    ),
    ("kinds", "SELECT DISTINCT t, branch_id FROM account"),
    (
        "stacked",
        "SELECT id AS k, region AS label FROM branch UNION ALL SELECT k, note FROM entry",
    ),
    (
        "merged",
        "SELECT id AS k FROM branch UNION SELECT k FROM entry",
    ),
    (
        "shared",
        "SELECT id AS k FROM branch INTERSECT ALL SELECT k FROM entry",
    ),
    (
        "without",
        "SELECT k FROM entry EXCEPT ALL SELECT id FROM branch",
    ),
    (
        "grouped_sets",
        "SELECT region, factor, count(*) AS n FROM branch GROUP BY ROLLUP (region, factor)",
    ),
    (
        "nested",
        "SELECT n, count(*) AS branches FROM (SELECT branch_id, count(*) AS n FROM account GROUP BY branch_id) x GROUP BY n",
    ),
    (
        "unnested",
        "SELECT d.id, u.tag FROM doc d, unnest(d.tags) AS u(tag)",
    ),
    (
        "documents",
        "SELECT body ->> 'k' AS k, count(*) AS n FROM doc GROUP BY 1",
    ),
    (
        "tree",
        "WITH RECURSIVE r AS (SELECT id, 0 AS depth FROM node WHERE parent IS NULL UNION ALL SELECT n.id, r.depth + 1 FROM node n JOIN r ON n.parent = r.id WHERE r.depth < 20) SELECT depth, count(*) AS n FROM r GROUP BY depth",
    ),
    (
        "partitions",
        "SELECT k, count(*) AS n, sum(v) AS total FROM part GROUP BY k",
    ),
    (
        "part_joined",
        "SELECT p.id, p.k, b.region FROM part p JOIN branch b ON b.id = p.v",
    ),
    (
        "three",
        "SELECT e.k, sum(e.amount) AS amount, min(a.v) AS least FROM entry e JOIN branch b ON b.id = e.k JOIN account a ON a.branch_id = b.id GROUP BY e.k",
    ),
    (
        "ranked",
        "SELECT id, branch_id, rank() OVER (PARTITION BY branch_id ORDER BY v, id) AS place FROM account WHERE v < 10",
    ),
    (
        "first_rows",
        "SELECT id, v FROM account ORDER BY v DESC, id LIMIT 20",
    ),
    (
        "existing",
        "SELECT b.id, b.region FROM branch b WHERE EXISTS (SELECT 1 FROM entry e WHERE e.k = b.id)",
    ),
    (
        "absent",
        "SELECT k, note FROM entry WHERE k NOT IN (SELECT id FROM branch)",
    ),
    (
        "looked_up",
        "SELECT b.id, (SELECT sum(e.amount) FROM entry e WHERE e.k = b.id) AS total FROM branch b",
    ),
    (
        "redefined",
        "SELECT f.region, sum(f.factor) AS total FROM factors f GROUP BY f.region",
    ),
    ("emptied", "SELECT v, count(*) AS n FROM spare GROUP BY v"),
    ("gated", "SELECT id FROM gate_source"),
    ("ledger_copy", "SELECT writer, n FROM ledger"),
    ("beat_copy", "SELECT id, at FROM beat"),
    ("beat_2", "SELECT id, at FROM beat_copy"),
    ("beat_3", "SELECT max(at) AS at FROM beat_2"),
    ("beat_deep", "SELECT at FROM beat_3"),
];

/// How many stream tables stand at the bottom of the graph.
const WIDTH: usize = 8;

/// All of them, each after those that it reads.
pub fn all() -> Vec<StreamTable> {
    let mut tables: Vec<StreamTable> = FAMILIES
        .iter()
        .map(|(name, query)| table(name, query.to_string()))
        .collect();
    tables.extend(chain());
    tables.extend(graph());
    for (name, schedule) in [
        ("spread", "1s"),
        ("documents", "* * * * * *"),
        ("texts", "700ms"),
    ] {
        for table in tables.iter_mut().filter(|table| table.name == name) {
            table.schedule = schedule;
        }
    }
    tables.push(StreamTable {
        follows_clock: true,
        ..table(
            "recent",
            "SELECT id, v FROM account WHERE at > now() - interval '30 seconds'".into(),
        )
    });
    tables.push(StreamTable {
        mode: "IMMEDIATE",
        ..table(
            "at_once",
            "SELECT parent, count(*) AS n, sum(id) AS total FROM node GROUP BY parent".into(),
        )
    });
    tables.push(StreamTable {
        mode: "FULL",
        ..table(
            "whole",
            "SELECT region, count(*) AS n FROM branch GROUP BY region".into(),
        )
    });
    tables
}

fn table(name: &str, query: String) -> StreamTable {
    StreamTable {
        name: name.to_owned(),
        query,
        schedule: "calculated",
        mode: "AUTO",
        follows_clock: false,
    }
}

/// The join of all links: as rows, as groups, and with what has no match.
fn chain() -> [StreamTable; 4] {
    let joined = |join: &str| {
        let next = |number: usize| {
            let before = number - 1;
            format!(" {join} link{number} ON link{number}.id = link{before}.next")
        };
        format!("link1{}", (2..=CHAIN).map(next).collect::<String>())
    };
    let from = joined("JOIN");
    let unmatched = |name: &str, join: &str| {
        let from = joined(join);
        table(
            name,
            format!("SELECT link1.id, link5.v AS middle, link{CHAIN}.v AS last FROM {from}"),
        )
    };
    [
        unmatched("chain_left", "LEFT JOIN"),
        unmatched("chain_full", "FULL JOIN"),
        table(
            "chain",
            format!(
                "SELECT link1.id, link4.v AS middle, link{CHAIN}.v AS last FROM {from} WHERE link1.id % 3 = 0"
            ),
        ),
        table(
            "chain_grouped",
            format!(
                "SELECT link4.v, count(*) AS n, sum(link1.v + link{CHAIN}.v) AS total FROM {from} GROUP BY link4.v"
            ),
        ),
    ]
}

/// Sums of parts of the accounts, joined pairwise, compared, and brought together again: four levels, with
/// diamonds at each.
fn graph() -> Vec<StreamTable> {
    let mut tables = Vec::new();
    for i in 0..WIDTH {
        tables.push(table(
            &format!("sums_{i}"),
            format!("SELECT v AS g, count(*) AS n, sum(n) AS total FROM account WHERE branch_id % {WIDTH} = {i} GROUP BY v"),
        ));
    }
    for i in 0..WIDTH {
        let next = (i + 1) % WIDTH;
        tables.push(table(
            &format!("pairs_{i}"),
            format!("SELECT a.g, a.n + b.n AS n, a.total - b.total AS gap FROM sums_{i} a JOIN sums_{next} b ON b.g = a.g"),
        ));
    }
    for i in 0..WIDTH / 2 {
        let (left, right) = (2 * i, 2 * i + 1);
        tables.push(table(
            &format!("best_{i}"),
            format!("SELECT g, max(gap) AS gap, sum(n) AS n FROM (SELECT * FROM pairs_{left} UNION ALL SELECT * FROM pairs_{right}) x GROUP BY g"),
        ));
    }
    tables.push(table(
        "together",
        "SELECT a.g, a.gap, b.gap AS other, c.n FROM best_0 a LEFT JOIN best_1 b ON b.g = a.g LEFT JOIN best_2 c ON c.g = a.g".into(),
    ));
    tables.push(table(
        "summit",
        "SELECT count(*) AS groups, sum(n) AS n, max(gap) AS gap FROM together".into(),
    ));
    tables
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn there_are_sixty_and_each_has_a_name_of_its_own() {
        let tables = all();
        assert!(tables.len() >= 60, "{}", tables.len());
        let names: BTreeSet<&str> = tables.iter().map(|table| table.name.as_str()).collect();
        assert_eq!(names.len(), tables.len());
    }

    #[test]
    fn the_chain_joins_all_links() {
        for table in chain() {
            assert_eq!(table.query.matches(" JOIN ").count(), CHAIN - 1);
        }
    }
}
