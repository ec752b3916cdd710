//! The cost of a refresh follows the change: with each operator, a change of one row in tables of
//! thousands of pages touches few buffers, catalogs, indexes and bookkeeping included.
//!
//! `EXPLAIN (ANALYZE, BUFFERS)` counts what its backend touches, hence all that a refresh does.

use harness::client::{Session, SqlError, quote_literal};
use harness::cluster::{Cluster, ClusterOptions, ExtensionDir};
use harness::oracle::Question;
use harness::scenario::World;

/// Two tables of 100,000 rows, with the indexes that the queries want.
const TABLES: &str = "
CREATE TABLE a (id int PRIMARY KEY, g int, h int, v int, t text, arr int[]);
CREATE TABLE b (id int PRIMARY KEY, a_id int, g int, v int, t text);
INSERT INTO a SELECT i, i % 20000, i % 9973, i % 1000, repeat('x', 200), ARRAY[i, i % 7] FROM generate_series(1, 100000) i;
INSERT INTO b SELECT i, i * 7 % 110000, i % 20000, i % 1000, repeat('y', 200) FROM generate_series(1, 100000) i;
CREATE INDEX ON a (g); CREATE INDEX ON a (h); CREATE INDEX ON a (v, id);
CREATE INDEX ON b (a_id); CREATE INDEX ON b (g);
VACUUM ANALYZE";

/// An operator each.
const QUERIES: [(&str, &str); 27] = [
    ("filter", "SELECT id, v FROM a WHERE v > 500"),
    (
        "inner_join",
        "SELECT a.id, b.id AS other, b.v FROM a JOIN b ON b.a_id = a.id",
    ),
    (
        "three_joins",
        "SELECT a.id, b.id AS other, c.v FROM a JOIN b ON b.a_id = a.id JOIN a c ON c.id = b.g",
    ),
    (
        "left_join",
        "SELECT a.id, b.id AS other FROM a LEFT JOIN b ON b.a_id = a.id",
    ),
    (
        "full_join",
        "SELECT a.id, b.id AS other FROM a FULL JOIN b ON b.a_id = a.id",
    ),
    (
        "exists",
        "SELECT id FROM a WHERE EXISTS (SELECT FROM b WHERE b.a_id = a.id)",
    ),
    (
        "not_exists",
        "SELECT id FROM a WHERE NOT EXISTS (SELECT FROM b WHERE b.a_id = a.id AND b.v > 500)",
    ),
    (
        "scalar",
        "SELECT id, (SELECT max(b.v) FROM b WHERE b.a_id = a.id) AS m FROM a",
    ),
    (
        "sums",
        "SELECT g, count(*) AS n, sum(v) AS total, avg(v) AS mean FROM a GROUP BY g",
    ),
    (
        "extremes",
        "SELECT g, min(v) AS low, max(v) AS high FROM a GROUP BY g",
    ),
    (
        "recomputed",
        "SELECT g, string_agg(v::text, ',' ORDER BY id) AS vs FROM a GROUP BY g",
    ),
    (
        "join_sums",
        "SELECT a.g, sum(b.v) AS total FROM a JOIN b ON b.a_id = a.id GROUP BY a.g",
    ),
    (
        "groups_of_groups",
        "SELECT n, count(*) AS groups FROM (SELECT g, count(*) AS n FROM a GROUP BY g) s GROUP BY n",
    ),
    ("distinct_values", "SELECT DISTINCT g, h FROM a"),
    (
        "distinct_sum",
        "SELECT g, count(DISTINCT v) AS n FROM a GROUP BY g",
    ),
    (
        "union_all",
        "SELECT id, v FROM a UNION ALL SELECT id, v FROM b",
    ),
    (
        "except_all",
        "SELECT g, v FROM a EXCEPT ALL SELECT g, v FROM b",
    ),
    (
        "intersect_values",
        "SELECT g FROM a INTERSECT SELECT a_id FROM b",
    ),
    (
        "window_rank",
        "SELECT id, g, rank() OVER (PARTITION BY g ORDER BY v, id) AS place FROM a",
    ),
    (
        "first_of_each",
        "SELECT DISTINCT ON (g) g, v, id FROM a ORDER BY g, v, id",
    ),
    (
        "window_neighbours",
        "SELECT id, v - lag(v) OVER w AS step, avg(v) OVER (w ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS moving \
         FROM a WINDOW w AS (ORDER BY id)",
    ),
    ("first_rows", "SELECT id, v FROM a ORDER BY v, id LIMIT 10"),
    // The indexes on (h) and (g) serve orders that go on behind what the query says.
    (
        "first_tied_rows",
        "SELECT id, h, t FROM a ORDER BY h LIMIT 10",
    ),
    (
        "first_tied_of_each",
        "SELECT DISTINCT ON (g) g, h, v FROM a ORDER BY g, v",
    ),
    ("made_rows", "SELECT a.id, u.x FROM a, unnest(a.arr) u(x)"),
    (
        "reached",
        "WITH RECURSIVE r(id) AS (SELECT id FROM a WHERE v < 500 \
         UNION SELECT b.id FROM r JOIN b ON b.a_id = r.id AND b.id > r.id) SELECT id FROM r",
    ),
    (
        "derivations",
        "WITH RECURSIVE r(id, depth) AS (SELECT id, 0 FROM a WHERE v < 500 \
         UNION ALL SELECT b.id, r.depth + 1 FROM r JOIN b ON b.a_id = r.id WHERE r.depth < 3) \
         SELECT id, depth FROM r",
    ),
];

/// Windows over a whole input. A total changes in all rows after a change, so these are asked for changes at the end.
const RUNNING: [(&str, &str); 3] = [
    (
        "running_total",
        "SELECT id, v, sum(v) OVER (ORDER BY id) AS total, count(*) OVER (ORDER BY id) AS n FROM a",
    ),
    (
        "numbered",
        "SELECT id, g, row_number() OVER (ORDER BY id) AS n, lag(v) OVER (ORDER BY id) AS before FROM a",
    ),
    (
        "running_total_of_groups",
        "SELECT g, sum(v) AS v, sum(sum(v)) OVER (ORDER BY g) AS total FROM a GROUP BY g",
    ),
];

/// Changes of one row at the end each.
const CHANGES_AT_THE_END: [&str; 4] = [
    "INSERT INTO a SELECT id + 500000, g + 500000, h, -1, t, arr FROM a WHERE id = {}",
    "UPDATE a SET v = v + 1 WHERE id = {} + 500000",
    "UPDATE a SET g = g + 1, h = h + 1 WHERE id = {} + 500000",
    "DELETE FROM a WHERE id = {} + 500000",
];

/// Changes of one row each.
const CHANGES: [&str; 6] = [
    "UPDATE a SET v = v + 1 WHERE id = {}",
    "UPDATE a SET g = g + 1, h = h + 1 WHERE id = {}",
    "INSERT INTO a SELECT id + 500000, g, h, -1, t, arr FROM a WHERE id = {}",
    "DELETE FROM a WHERE id = {} + 500000",
    "UPDATE b SET a_id = a_id + 1, v = 999 WHERE id = {}",
    "DELETE FROM b WHERE id = {}",
];

/// What a refresh may touch: twice what the dearest of them needs. Each table has thousands of pages.
const BUFFERS_MAX: u64 = 120;

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_one_row_touches_few_buffers() {
    let options = ClusterOptions::new().extension(ExtensionDir::installed().unwrap());
    let cluster = Cluster::start(&options).unwrap();
    let world = World::with_extension(&cluster).await.unwrap();
    let database = world.database("buffers", &[]).await.unwrap();
    let session = Session::connect(&cluster, &database).await.unwrap();
    for statement in TABLES.split(";\n") {
        session.execute(statement).await.unwrap();
    }
    let pages: u64 = session
        .scalar("SELECT min(relpages) FROM pg_class WHERE relname IN ('a', 'b')")
        .await
        .unwrap()
        .parse()
        .unwrap();
    assert!(pages > 20 * BUFFERS_MAX, "{pages} pages");

    let mut complaints = Vec::new();
    for (name, query) in QUERIES {
        if let Err(error) = measure(&session, name, query, &CHANGES, &mut complaints).await {
            complaints.push(format!("{name}: {error}"));
        }
    }
    for (name, query) in RUNNING {
        let changes = &CHANGES_AT_THE_END;
        if let Err(error) = measure(&session, name, query, changes, &mut complaints).await {
            complaints.push(format!("{name}: {error}"));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// A table of which all rows change at once.
const BATCH: &str = "
CREATE TABLE t (id int PRIMARY KEY, g int NOT NULL, v int NOT NULL);
INSERT INTO t SELECT i, i % 50, i % 1000 FROM generate_series(1, 200000) i;
VACUUM ANALYZE t";

#[tokio::test(flavor = "multi_thread")]
async fn a_recomputation_does_not_read_the_changes_that_it_makes_superfluous() {
    // Whoever holds a lock on the buffer keeps it from being emptied.
    let options = ClusterOptions::new()
        .extension(ExtensionDir::installed().unwrap())
        .setting("autovacuum", "off");
    let cluster = Cluster::start(&options).unwrap();
    let world = World::with_extension(&cluster).await.unwrap();
    let database = world.database("batch", &[]).await.unwrap();
    let session = Session::connect(&cluster, &database).await.unwrap();
    for statement in BATCH.split(";\n") {
        session.execute(statement).await.unwrap();
    }
    let query = "SELECT g, count(*) AS n, sum(v) AS total FROM t GROUP BY g";
    for (name, mode) in [("sums", "AUTO"), ("late", "DIFFERENTIAL")] {
        let create = format!(
            "SELECT pgtrickle.create_stream_table('{name}', '{query}', refresh_mode => '{mode}')"
        );
        session.execute(&create).await.unwrap();
    }
    session.execute("UPDATE t SET v = v + 1").await.unwrap();
    let buffer =
        "SELECT pg_relation_size('pgtrickle_changes.changes_' || 't'::regclass::oid) / 8192";
    let pages: u64 = session.scalar(buffer).await.unwrap().parse().unwrap();
    assert!(pages > 2_000, "{pages} pages");

    let explain = |sql: &str| format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}");
    let of_query = touched(&session.scalar(&explain(query)).await.unwrap());
    let refresh = "SELECT * FROM pgtrickle.refresh_stream_table('sums')";
    let of_refresh = touched(&session.scalar(&explain(refresh)).await.unwrap());
    let why = "SELECT action || ' ' || reason FROM pgtrickle.get_refresh_history('sums', 1)";
    assert_eq!(session.scalar(why).await.unwrap(), "FULL COST");
    // The other stream table has not consumed any of them: nothing is to be removed, either.
    assert!(
        of_refresh < of_query + pages / 2,
        "{of_refresh} buffers, the query {of_query}, of {pages} with changes"
    );

    let late = "SELECT action FROM pgtrickle.refresh_stream_table('late')";
    assert_eq!(session.scalar(late).await.unwrap(), "DIFFERENTIAL");
    assert_eq!(session.scalar(buffer).await.unwrap(), "0");
    for name in ["sums", "late"] {
        let question = Question::settled(&session, name, query).await.unwrap();
        let verdict = question.ask(&session).await.unwrap();
        assert!(verdict.is_exact(), "{name} is {verdict}");
    }

    // With no other reader the buffer is emptied, which takes no look at its pages, either.
    let drop = "SELECT pgtrickle.drop_stream_table('late')";
    session.execute(drop).await.unwrap();
    session.execute("UPDATE t SET v = v + 1").await.unwrap();
    let of_query = touched(&session.scalar(&explain(query)).await.unwrap());
    let of_refresh = touched(&session.scalar(&explain(refresh)).await.unwrap());
    assert_eq!(session.scalar(why).await.unwrap(), "FULL COST");
    assert_eq!(session.scalar(buffer).await.unwrap(), "0");
    assert!(
        of_refresh < of_query + pages / 2,
        "{of_refresh} buffers, the query {of_query}, of {pages} with changes"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_trigger_of_a_stream_table_writes_to_its_source_is_not_removed() {
    let options = ClusterOptions::new()
        .extension(ExtensionDir::installed().unwrap())
        .setting("autovacuum", "off");
    let cluster = Cluster::start(&options).unwrap();
    let world = World::with_extension(&cluster).await.unwrap();
    let database = world.database("answered", &[]).await.unwrap();
    let session = Session::connect(&cluster, &database).await.unwrap();
    for statement in BATCH.split(";\n") {
        session.execute(statement).await.unwrap();
    }
    let query = "SELECT g, count(*) AS n, sum(v) AS total FROM t GROUP BY g";
    let create = format!("SELECT pgtrickle.create_stream_table('sums', '{query}')");
    session.execute(&create).await.unwrap();
    let answer = "
CREATE FUNCTION answer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO public.t VALUES (0, 0, 0) ON CONFLICT DO NOTHING; RETURN NULL; END $$;
CREATE TRIGGER answer AFTER INSERT OR UPDATE ON sums FOR EACH STATEMENT EXECUTE FUNCTION answer()";
    session.execute(answer).await.unwrap();
    session.execute("UPDATE t SET v = v + 1").await.unwrap();
    let refresh =
        "SELECT concat_ws(' ', action, reason) FROM pgtrickle.refresh_stream_table('sums')";
    assert_eq!(session.scalar(refresh).await.unwrap(), "FULL COST");
    assert_eq!(session.scalar(refresh).await.unwrap(), "DIFFERENTIAL");
    let rows = "SELECT delta_rows FROM pgtrickle.get_refresh_history('sums', 1)";
    assert_eq!(session.scalar(rows).await.unwrap(), "1");
    let question = Question::settled(&session, "sums", query).await.unwrap();
    let verdict = question.ask(&session).await.unwrap();
    assert!(verdict.is_exact(), "sums is {verdict}");
}

/// Creates, changes, refreshes and drops one stream table.
async fn measure(
    session: &Session,
    name: &str,
    query: &str,
    changes: &[&str],
    complaints: &mut Vec<String>,
) -> Result<(), SqlError> {
    session
        .execute(&format!(
            "SELECT pgtrickle.create_stream_table('{name}', {}, refresh_mode => 'DIFFERENTIAL')",
            quote_literal(query)
        ))
        .await?;
    session.execute(&format!("ANALYZE {name}")).await?;
    let mut most = 0;
    // The first round fills the backend's caches.
    for (round, row) in [(0, 40_000), (1, 50_001)] {
        for change in changes {
            let change = change.replace("{}", &row.to_string());
            session.execute(&change).await?;
            let plan = session
                .scalar(&format!(
                    "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) \
                     SELECT * FROM pgtrickle.refresh_stream_table('{name}')"
                ))
                .await?;
            let buffers = touched(&plan);
            if round == 1 {
                most = most.max(buffers);
                if buffers > BUFFERS_MAX {
                    complaints.push(format!("{name}: {buffers} buffers after {change}"));
                }
            }
        }
    }
    println!("{name}: at most {most} buffers");
    let question = Question::settled(session, name, query).await?;
    let verdict = question.ask(session).await?;
    if !verdict.is_exact() {
        complaints.push(format!("{name} is {verdict}"));
    }
    session
        .execute(&format!("SELECT pgtrickle.drop_stream_table('{name}')"))
        .await
}

/// The buffers of the outermost node of a plan in JSON, which is printed first.
fn touched(plan: &str) -> u64 {
    ["\"Shared Hit Blocks\": ", "\"Shared Read Blocks\": "]
        .into_iter()
        .map(|key| {
            let (_, rest) = plan.split_once(key).expect("a plan with buffers");
            let digits = rest.split(|c: char| !c.is_ascii_digit()).next();
            digits
                .and_then(|digits| digits.parse::<u64>().ok())
                .expect("a number")
        })
        .sum()
}
