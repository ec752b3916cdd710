//! Stream tables over what a subscription copies and applies: made before it or after it, in each mode and by each
//! writer of capture.

use harness::client::Session;
use harness::cluster::{Cluster, ClusterOptions, ExtensionDir};
use harness::insist::{exact, run, until, value};
use harness::runtime::connect;

const TABLES: &str = "
CREATE TABLE a (id int PRIMARY KEY, g int, v numeric, doc text);
CREATE TABLE b (g int PRIMARY KEY, name text);
CREATE TABLE keyless (g int, v int);
CREATE TABLE parts (id int PRIMARY KEY, v int) PARTITION BY RANGE (id);
CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (100);
CREATE TABLE parts_high PARTITION OF parts FOR VALUES FROM (100) TO (1000000);
ALTER TABLE keyless REPLICA IDENTITY FULL;
";

const ROWS: &str = "
INSERT INTO a SELECT i, i % 5, i, repeat('x', i * 200) FROM generate_series(1, 40) i;
INSERT INTO b SELECT i, 'group ' || i FROM generate_series(0, 3) i;
INSERT INTO keyless SELECT i % 3, i FROM generate_series(1, 20) i;
INSERT INTO parts SELECT i * 10, i FROM generate_series(1, 40) i;
";

/// Names and queries.
const QUERIES: [(&str, &str); 6] = [
    (
        "sums",
        "SELECT g, count(*) AS n, sum(v) AS v, max(length(doc)) AS l FROM a GROUP BY g",
    ),
    (
        "joined",
        "SELECT a.id, a.doc, b.name FROM a LEFT JOIN b USING (g)",
    ),
    ("rows", "SELECT id, v + 1 AS w FROM a WHERE g <> 2"),
    (
        "of_keyless",
        "SELECT g, count(*) AS n, sum(v) AS v FROM keyless GROUP BY g",
    ),
    (
        "of_parts",
        "SELECT v % 4 AS k, count(*) AS n FROM parts GROUP BY 1",
    ),
    (
        "absent",
        "SELECT a.id FROM a WHERE NOT EXISTS (SELECT FROM b WHERE b.g = a.g)",
    ),
];

/// What the publisher does, each a transaction.
const CHANGES: [&str; 7] = [
    "INSERT INTO a SELECT i, i % 7, i, 'new' FROM generate_series(41, 60) i; INSERT INTO b VALUES (5, 'five')",
    "UPDATE a SET v = v + 1 WHERE id % 3 = 0; UPDATE a SET id = id + 1000 WHERE id < 4; UPDATE keyless SET v = v + 1 WHERE g = 1",
    "DELETE FROM a WHERE id % 4 = 0; DELETE FROM b WHERE g = 1; DELETE FROM keyless WHERE v = 5",
    "UPDATE parts SET id = id + 95 WHERE id < 50; DELETE FROM parts WHERE id > 300; INSERT INTO parts VALUES (1, 1), (777, 2)",
    // More than the decoder keeps in memory: streamed, with a subtransaction that is undone.
    "INSERT INTO a SELECT i, i % 6, i, repeat('y', 500) FROM generate_series(5000, 6500) i;
     SAVEPOINT s; DELETE FROM a WHERE id > 6000; UPDATE b SET name = 'no'; ROLLBACK TO s;
     UPDATE a SET g = 2 WHERE id BETWEEN 5000 AND 5100",
    "TRUNCATE keyless; INSERT INTO keyless VALUES (9, 9)",
    "UPDATE a SET doc = doc || '!' WHERE id = 10; TRUNCATE b; INSERT INTO b VALUES (2, 'two')",
];

/// What users of the subscriber do beside it.
const LOCAL: &str = "
INSERT INTO a SELECT i, i % 5, i, 'local' FROM generate_series(100000, 100020) i ON CONFLICT DO NOTHING;
UPDATE a SET v = v + 1 WHERE id > 100010; DELETE FROM a WHERE id = 100003;
SET session_replication_role = replica;
UPDATE a SET g = g + 1 WHERE id > 100015; INSERT INTO b VALUES (77, 'local'); DELETE FROM b WHERE g = 77;
RESET session_replication_role;
";

fn server() -> Cluster {
    let options = ClusterOptions::new()
        .extension(ExtensionDir::installed().unwrap())
        .setting("wal_level", "logical")
        .setting("max_replication_slots", "20")
        .setting("max_wal_senders", "20")
        .setting("max_worker_processes", "32")
        .setting("max_logical_replication_workers", "16")
        .setting("logical_decoding_work_mem", "64kB");
    Cluster::start(&options).unwrap()
}

/// A publisher and a subscriber, two databases of one server.
struct Pair<'a> {
    server: &'a Cluster,
    name: &'static str,
    publisher: Session,
    subscriber: Session,
}

impl<'a> Pair<'a> {
    async fn new(server: &'a Cluster, name: &'static str) -> Self {
        let admin = Session::connect(server, "postgres").await.unwrap();
        let origin = format!("{name}_origin");
        for database in [name, &origin] {
            run(&admin, &format!("CREATE DATABASE {database}")).await;
        }
        let publisher = Session::connect(server, &origin).await.unwrap();
        let subscriber = connect(server, name).await.unwrap();
        run(&publisher, TABLES).await;
        run(&publisher, ROWS).await;
        run(
            &publisher,
            "CREATE PUBLICATION pb FOR TABLE a, b, keyless, parts",
        )
        .await;
        run(&subscriber, TABLES).await;
        Pair {
            server,
            name,
            publisher,
            subscriber,
        }
    }

    async fn subscribe(&self, options: &str) {
        let Pair { server, name, .. } = self;
        run(
            &self.publisher,
            &format!("SELECT pg_create_logical_replication_slot('{name}', 'pgoutput')"),
        )
        .await;
        let (folder, port) = (server.socket_dir().display(), server.port());
        run(
            &self.subscriber,
            &format!(
                "CREATE SUBSCRIPTION sb CONNECTION 'host={folder} port={port} user=postgres dbname={name}_origin'
                 PUBLICATION pb WITH (create_slot = false, slot_name = '{name}'{options})"
            ),
        )
        .await;
    }

    /// Makes the stream tables, DIFFERENTIAL and IMMEDIATE ones.
    async fn create(&self) {
        for (name, query) in QUERIES {
            for (suffix, mode) in [("", "DIFFERENTIAL"), ("_now", "IMMEDIATE")] {
                let create = format!(
                    "SELECT pgtrickle.create_stream_table('{name}{suffix}', $$ {query} $$, '1h', refresh_mode => '{mode}')"
                );
                run(&self.subscriber, &create).await;
            }
        }
    }

    /// Waits until the subscriber has all of it, and asks the oracle.
    async fn check(&self, what: &str) {
        until(
            &self.subscriber,
            "SELECT count(*) > 0 AND bool_and(srsubstate = 'r') FROM pg_subscription_rel",
        )
        .await;
        // The server commits asynchronously: what is written may end before the commit.
        let position = value(&self.publisher, "SELECT pg_current_wal_insert_lsn()").await;
        until(
            &self.publisher,
            &format!(
                "SELECT coalesce(bool_and(confirmed_flush_lsn >= '{position}'), false) FROM pg_replication_slots WHERE slot_name = '{}'",
                self.name
            ),
        )
        .await;
        for (name, _) in QUERIES {
            println!("{what}: {name}");
            exact(&self.subscriber, &[&format!("{name}_now")]).await;
            let refresh = format!("SELECT action FROM pgtrickle.refresh_stream_table('{name}')");
            let action = value(&self.subscriber, &refresh).await;
            exact(&self.subscriber, &[name]).await;
            let may_recompute = what.contains("TRUNCATE");
            assert!(
                may_recompute || action != "FULL",
                "{what}: {name}: {action}"
            );
        }
    }

    async fn follow_changes(&self) {
        for change in CHANGES {
            run(&self.publisher, &format!("BEGIN; {change}; COMMIT")).await;
            self.check(change).await;
            run(&self.subscriber, LOCAL).await;
            self.check("local changes").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_becomes_a_target_is_followed() {
    let server = server();
    for (name, options, writer) in [
        ("copied", "", "native"),
        ("streamed", ", streaming = on", "native"),
        ("in_parallel", ", streaming = parallel", "native"),
        ("as_owner", ", run_as_owner = true, binary = true", "native"),
        ("by_sql", "", "sql"),
    ] {
        let pair = Pair::new(&server, name).await;
        run(
            &pair.subscriber,
            &format!("SET pg_trickle.cdc_trigger_mode = {writer}"),
        )
        .await;
        pair.create().await;
        pair.subscribe(options).await;
        pair.check("the first copy").await;
        pair.follow_changes().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_gets_stream_tables() {
    let server = server();
    let pair = Pair::new(&server, "target").await;
    pair.subscribe("").await;
    until(
        &pair.subscriber,
        "SELECT count(*) = 5 AND bool_and(srsubstate = 'r') FROM pg_subscription_rel",
    )
    .await;
    let explain = "SELECT maintained FROM pgtrickle.explain_capabilities('SELECT id FROM a') WHERE code = 'SUBSCRIBED_TABLE'";
    assert_eq!(value(&pair.subscriber, explain).await, "DIFFERENTIAL");
    pair.create().await;
    pair.check("created").await;
    pair.follow_changes().await;
}
