//! Stream tables that travel: `pg_dump` and `pg_restore` in every format, and a copied database.
//!
//! The catalog is dumped with the tables; buffers, state and frontiers mean nothing elsewhere. Until
//! `restore_stream_tables()` a refresh is refused; afterwards everything is as exact as before.

use std::path::Path;
use std::process::Command;

use harness::client::Session;
use harness::cluster::{Cluster, ClusterOptions, ExtensionDir};
use harness::oracle;
use harness::scenario::orphans;

/// SQLSTATE of a refresh that is refused until the restore.
const NOT_RESTORED: &str = "55000";

/// Names, schemas, views in between, stream tables over stream tables, one not filled, one in FULL, foreign keys to them.
const SETUP: &str = r#"
CREATE EXTENSION pg_trickle;
CREATE SCHEMA shop;
CREATE SCHEMA "odd Name";
CREATE TABLE shop.sale (id int PRIMARY KEY, g int, v numeric(10,2), "no te" varchar(10));
INSERT INTO shop.sale SELECT i, i % 5, i, 'x' || i FROM generate_series(1, 100) i;
CREATE VIEW shop.recent AS SELECT g, v, "no te" FROM shop.sale WHERE id > 10;
SET search_path = shop, public;
SELECT pgtrickle.create_stream_table('public.totals',
    'SELECT g, count(*) AS n, sum(v) AS s, max("no te") AS m FROM recent GROUP BY g');
SELECT pgtrickle.create_stream_table('"odd Name"."S 2"', 'SELECT g, n + 1 AS k FROM totals');
SELECT pgtrickle.create_stream_table('having', 'SELECT id, sum(v) FROM sale GROUP BY id HAVING sum(v) > 3');
SELECT pgtrickle.create_stream_table('by_key', 'SELECT sale.*, count(*) AS c FROM sale GROUP BY id', '5m');
SELECT pgtrickle.create_stream_table('ranked', 'SELECT id, rank() OVER (ORDER BY v) FROM sale');
SELECT pgtrickle.create_stream_table('unfilled', 'SELECT id, g FROM sale', initialize => false);
GRANT SELECT ON totals TO PUBLIC;
CREATE TABLE refers (id int REFERENCES "having" (id) ON DELETE CASCADE);
INSERT INTO refers VALUES (20), (21);
ALTER TABLE "having" ADD PRIMARY KEY (id);
CREATE TABLE refers_too (id int REFERENCES "having" (id));
INSERT INTO refers_too VALUES (20), (21);
RESET search_path;
UPDATE shop.sale SET v = v + 1 WHERE id < 30;
SELECT pgtrickle.refresh_stream_table('totals');
INSERT INTO shop.sale VALUES (1000, 7, 7, 'seven');
"#;

/// What the catalog says of each stream table, apart from what a restore changes.
const CATALOG: &str = "SELECT string_agg(format('%s %s %s %s %s %s', pgt_id, pgt_relid, schedule, \
     requested_mode, refresh_mode, is_populated), E'\\n' ORDER BY pgt_id) \
     FROM pgtrickle.pgt_stream_tables";

const FILLED: [&str; 5] = [
    "totals",
    r#""odd Name"."S 2""#,
    "shop.having",
    "shop.by_key",
    "shop.ranked",
];

fn run(command: &mut Command) {
    let output = command.output().expect("the program starts");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && !complaints.contains("ERROR") && !complaints.contains("WARNING"),
        "{command:?}: {complaints}"
    );
}

async fn connect(cluster: &Cluster, database: &str) -> Session {
    Session::connect(cluster, database)
        .await
        .unwrap_or_else(|error| panic!("{database}: {error:?}"))
}

/// Refuses, restores, and checks that everything is exact and goes on incrementally.
async fn restored_is_exact(session: &Session, what: &str, catalog: &str) {
    let refused = session
        .execute("SELECT pgtrickle.refresh_stream_table('totals')")
        .await
        .expect_err("a refresh before the restore is refused");
    assert_eq!(refused.sqlstate, NOT_RESTORED, "{what}");
    for sql in [
        "INSERT INTO shop.sale VALUES (1001, 8, 8, 'eight')",
        "UPDATE shop.sale SET v = 0 WHERE id = 50",
    ] {
        session
            .execute(sql)
            .await
            .expect("users can write before the restore");
    }
    let restore = "SELECT pgtrickle.restore_stream_tables()";
    assert_eq!(session.scalar(restore).await.expect(what), "6", "{what}");
    assert_eq!(
        session.scalar(restore).await.expect(what),
        "0",
        "{what}: once is enough"
    );
    assert_eq!(
        session.scalar(CATALOG).await.expect(what),
        catalog,
        "{what}"
    );
    all_exact(session, what, "after the restore").await;

    session
        .execute("INSERT INTO shop.sale VALUES (1002, 3, 8, 'nine'); DELETE FROM shop.sale WHERE id = 61")
        .await
        .expect(what);
    let action = "SELECT action FROM pgtrickle.refresh_stream_table('totals')";
    assert_eq!(
        session.scalar(action).await.expect(what),
        "DIFFERENTIAL",
        "{what}"
    );
    for table in FILLED.iter().skip(1) {
        let refresh = format!("SELECT pgtrickle.refresh_stream_table($t${table}$t$)");
        session.execute(&refresh).await.expect(what);
    }
    all_exact(session, what, "after a refresh").await;
    session
        .execute("INSERT INTO totals VALUES (1)")
        .await
        .expect_err("the guard is back");
    session
        .execute("DROP SCHEMA shop CASCADE")
        .await
        .expect("stream tables go with their sources");
    assert_eq!(
        orphans(session).await.expect(what),
        Vec::<String>::new(),
        "{what}"
    );
}

async fn all_exact(session: &Session, what: &str, when: &str) {
    for table in FILLED {
        let verdict = oracle::check(session, table)
            .await
            .unwrap_or_else(|error| panic!("{what}, {when}, {table}: {error:?}"));
        assert!(verdict.is_exact(), "{what}, {when}, {table}: {verdict}");
    }
}

/// Dumps `origin` and restores it into `copy`.
fn dump_and_restore(cluster: &Cluster, format: &str, folder: &Path) {
    let dump = folder.join(format!("dump_{format}"));
    let (origin, copy) = ("origin", format!("copy_{format}"));
    run(cluster
        .client_command("pg_dump")
        .args(["--format", format, "--file"])
        .arg(&dump)
        .arg(origin));
    match format {
        "plain" => run(cluster
            .client_command("psql")
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &copy, "-f"])
            .arg(&dump)),
        _ => run(cluster
            .client_command("pg_restore")
            .args(["--exit-on-error", "-d", &copy])
            .args(if format == "directory" {
                &["-j", "2"][..]
            } else {
                &[]
            })
            .arg(&dump)),
    }
}

async fn travel(writer: &str) {
    let extension = ExtensionDir::installed().expect("the extension is installed");
    let options = ClusterOptions::new()
        .extension(extension)
        .setting("pg_trickle.cdc_trigger_mode", writer);
    let cluster = Cluster::start(&options).expect("a private cluster starts");
    let home = connect(&cluster, "postgres").await;
    home.execute("CREATE DATABASE origin")
        .await
        .expect("created");
    let origin = connect(&cluster, "origin").await;
    origin
        .execute(SETUP)
        .await
        .expect("the stream tables are created");
    let catalog = origin.scalar(CATALOG).await.expect("a catalog");
    drop(origin);

    for format in ["plain", "custom", "directory"] {
        let copy = format!("copy_{format}");
        home.execute(&format!("CREATE DATABASE {copy}"))
            .await
            .expect("created");
        dump_and_restore(&cluster, format, cluster.socket_dir());
        restored_is_exact(&connect(&cluster, &copy).await, format, &catalog).await;
    }
    home.execute("CREATE DATABASE copy_template TEMPLATE origin")
        .await
        .expect("copied");
    restored_is_exact(
        &connect(&cluster, "copy_template").await,
        "template",
        &catalog,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dumped_stream_tables_are_exact_again_after_restore() {
    travel("native").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dumped_stream_tables_with_generated_capture_are_exact_again_after_restore() {
    travel("sql").await;
}
