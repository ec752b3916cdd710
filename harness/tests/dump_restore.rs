//! pg_dump and pg_restore into an empty database bring stream tables back; so they do into the database that was dumped,
//! once its stream tables are gone.

use std::path::{Path, PathBuf};
use std::process::Command;

use harness::client::Session;
use harness::cluster::{Cluster, ClusterOptions, ExtensionDir};
use harness::oracle;
use harness::scenario::orphans;

const SETUP: &str = "
CREATE SCHEMA \"Shop 1\";
CREATE TABLE \"Shop 1\".item (id int PRIMARY KEY, kind text, price numeric);
CREATE TABLE sale (item_id int, qty int, note text);
CREATE TABLE part (id int, r text) PARTITION BY LIST (r);
CREATE TABLE part_a PARTITION OF part FOR VALUES IN ('a');
CREATE TABLE part_rest PARTITION OF part DEFAULT;
INSERT INTO \"Shop 1\".item SELECT i, 'k' || i % 3, i * 1.10 FROM generate_series(1, 20) i;
INSERT INTO sale SELECT 1 + i % 22, i % 5, NULL FROM generate_series(1, 200) i;
INSERT INTO part SELECT i, chr(97 + i % 3) FROM generate_series(1, 30) i;
CREATE VIEW seen AS SELECT i.kind, s.qty * i.price AS worth FROM sale s JOIN \"Shop 1\".item i ON i.id = s.item_id;
";

/// Name, query, mode.
const TABLES: [(&str, &str, &str); 10] = [
    (
        "by_kind",
        "SELECT kind, sum(worth) AS total, count(*) AS n FROM seen GROUP BY kind",
        "DIFFERENTIAL",
    ),
    (
        "\"Shop 1\".\"Top\"",
        "SELECT i.id, s.qty FROM sale s JOIN \"Shop 1\".item i ON i.id = s.item_id WHERE s.qty > 2",
        "DIFFERENTIAL",
    ),
    (
        "on_top",
        "SELECT max(total) AS most, sum(n) AS n FROM by_kind",
        "DIFFERENTIAL",
    ),
    (
        "parts",
        "SELECT r, count(*) AS n FROM part GROUP BY r",
        "DIFFERENTIAL",
    ),
    (
        "priced",
        "SELECT id, price FROM \"Shop 1\".item",
        "DIFFERENTIAL",
    ),
    (
        "nested",
        "SELECT n, count(*) AS c FROM (SELECT item_id, count(*) AS n FROM sale GROUP BY item_id) x GROUP BY n",
        "DIFFERENTIAL",
    ),
    (
        "ranked",
        "SELECT id, rank() OVER (ORDER BY price DESC, id) AS place FROM \"Shop 1\".item",
        "DIFFERENTIAL",
    ),
    (
        "most_sold",
        "SELECT i.id, s.qty, s.n FROM \"Shop 1\".item i LEFT JOIN LATERAL (SELECT qty, count(*) AS n FROM sale \
         WHERE item_id = i.id GROUP BY qty ORDER BY n DESC, qty LIMIT 1) s ON true",
        "DIFFERENTIAL",
    ),
    (
        "unsold",
        "SELECT kind, count(*) AS n FROM \"Shop 1\".item i WHERE i.id NOT IN (SELECT item_id FROM sale) GROUP BY kind",
        "AUTO",
    ),
    (
        "at_once",
        "SELECT i.kind, count(s.qty) AS n FROM \"Shop 1\".item i LEFT JOIN sale s ON s.item_id = i.id GROUP BY i.kind",
        "IMMEDIATE",
    ),
];

/// Another table refers to a stream table, by the index by which refreshes find rows.
const REFERS: &str = "
CREATE TABLE refers (item_id int REFERENCES priced (id) DEFERRABLE INITIALLY DEFERRED);
INSERT INTO refers VALUES (1), (5)";

const CHANGES: &str = "
INSERT INTO sale SELECT 1 + i % 22, 7, 'new' FROM generate_series(1, 10) i;
UPDATE \"Shop 1\".item SET price = price * 2, kind = 'k9' WHERE id < 4;
DELETE FROM sale WHERE qty = 1;
UPDATE part SET r = 'a' WHERE id < 10;
INSERT INTO part VALUES (100, 'a'), (101, 'z');
DELETE FROM part_rest WHERE r = 'c'";

/// Runs one of the server's programs; it must not complain.
fn run(mut command: Command) {
    let output = command.output().expect("the program runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    assert!(!errors.contains("error:"), "{command:?}: {errors}");
}

/// Refreshes and judges every stream table.
async fn judge(session: &Session, when: &str, by_delta: bool) {
    for (name, _, mode) in TABLES {
        let quoted = harness::client::quote_literal(name);
        if mode == "IMMEDIATE" {
            let verdict = oracle::check(session, name).await.expect("a verdict");
            assert!(verdict.is_exact(), "{when}: {name} is {verdict} by itself");
        }
        let report = session
            .table(&format!(
                "SELECT * FROM pgtrickle.refresh_stream_table({quoted})"
            ))
            .await
            .unwrap_or_else(|error| panic!("{when}: {name}: {error}"));
        let action = report.value(0, "action").unwrap_or_default();
        if by_delta && mode == "DIFFERENTIAL" {
            assert_eq!(action, "DIFFERENTIAL", "{when}: {name}");
        }
        let verdict = oracle::check(session, name).await.expect("a verdict");
        assert!(verdict.is_exact(), "{when}: {name} is {verdict}");
    }
}

/// Dumps one database into another.
fn copy(cluster: &Cluster, format: &str, to: &str) {
    let file = dump(cluster, format, to);
    run(restore(cluster, format, to, &file));
}

/// Dumps the database `source` into a file of this name.
fn dump(cluster: &Cluster, format: &str, name: &str) -> PathBuf {
    let file = cluster.socket_dir().join(format!("dump_{name}"));
    let mut dump = cluster.client_command("pg_dump");
    dump.args(["--format", format, "--dbname", "source", "--file"])
        .arg(&file);
    run(dump);
    file
}

/// The command that reads a dump.
fn restore(cluster: &Cluster, format: &str, to: &str, file: &Path) -> Command {
    if format == "plain" {
        let mut psql = cluster.client_command("psql");
        psql.args([
            "-X",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "--dbname",
            to,
            "--file",
        ])
        .arg(file);
        psql
    } else {
        let mut restore = cluster.client_command("pg_restore");
        restore.args(["--exit-on-error", "--dbname", to]).arg(file);
        restore
    }
}

/// A server, and a session in its database `source`, which has the stream tables.
async fn start() -> (Cluster, Session) {
    let extension = ExtensionDir::installed().expect("the extension is installed");
    let cluster = Cluster::start(&ClusterOptions::new().extension(extension))
        .expect("a private cluster starts");
    let admin = Session::connect(&cluster, "postgres")
        .await
        .expect("a session");
    for name in ["source", "restored_custom", "restored_plain"] {
        admin
            .execute(&format!("CREATE DATABASE {name}"))
            .await
            .expect("a database");
    }
    let source = Session::connect(&cluster, "source")
        .await
        .expect("a session");
    source
        .execute("CREATE EXTENSION pg_trickle")
        .await
        .expect("the extension");
    source.execute(SETUP).await.expect("tables");
    for (name, query, mode) in TABLES {
        source
            .execute(&format!(
                "SELECT pgtrickle.create_stream_table({}, {}, refresh_mode => '{mode}')",
                harness::client::quote_literal(name),
                harness::client::quote_literal(query),
            ))
            .await
            .expect("a stream table");
    }
    source.execute(REFERS).await.expect("a foreign key");
    (cluster, source)
}

#[tokio::test(flavor = "multi_thread")]
async fn dumped_stream_tables_come_back_with_correct_content() {
    let (cluster, source) = start().await;
    source.execute(CHANGES).await.expect("changes");
    judge(&source, "before the dump", true).await;
    // What is not refreshed at the time of the dump must not be lost.
    source
        .execute("INSERT INTO sale VALUES (1, 100, 'late')")
        .await
        .expect("a change");

    for (format, name) in [("custom", "restored_custom"), ("plain", "restored_plain")] {
        copy(&cluster, format, name);
        let session = Session::connect(&cluster, name).await.expect("a session");
        session
            .execute("SELECT pgtrickle.restore_stream_tables()")
            .await
            .unwrap_or_else(|error| panic!("{format}: {error}"));
        judge(&session, &format!("{format}: restored"), false).await;
        session.execute(CHANGES).await.expect("changes");
        judge(&session, &format!("{format}: changed"), true).await;
        let guarded = session.execute("DELETE FROM by_kind").await;
        assert!(guarded.is_err(), "{format}: the guard is gone");
        session.execute("DROP TABLE refers").await.expect("gone");
        for (table, _, _) in TABLES.iter().rev() {
            let quoted = harness::client::quote_literal(table);
            session
                .execute(&format!("SELECT pgtrickle.drop_stream_table({quoted})"))
                .await
                .unwrap_or_else(|error| panic!("{format}: {table}: {error}"));
        }
        assert_eq!(
            orphans(&session).await.expect("a list"),
            Vec::<String>::new(),
            "{format}"
        );
    }
    judge(&source, "the source goes on", false).await;
}

/// What has to go before the dump comes back: the extension, or all that it was used for.
const ALL_BUT_THE_EXTENSION: &str = "DROP SCHEMA \"Shop 1\", public CASCADE; CREATE SCHEMA public";
const THE_EXTENSION: &str = "DROP EXTENSION pg_trickle CASCADE";

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_that_comes_back_to_its_own_database_is_noticed() {
    let (cluster, source) = start().await;
    for (what, format, gone) in [
        ("stream tables", "plain", ALL_BUT_THE_EXTENSION.to_owned()),
        (
            "all",
            "custom",
            format!("{THE_EXTENSION}; {ALL_BUT_THE_EXTENSION}"),
        ),
        ("cleaned", "custom", THE_EXTENSION.to_owned()),
        ("cleaned", "directory", THE_EXTENSION.to_owned()),
    ] {
        let what = format!("{what}, {format}");
        let file = dump(&cluster, format, &what);
        source.execute(&gone).await.expect(&what);
        let mut restore = restore(&cluster, format, "source", &file);
        if what.starts_with("cleaned") {
            restore.args(["--clean", "--if-exists"]);
        }
        run(restore);

        let needing = "SELECT count(*) FROM pgtrickle.pgt_status() WHERE needs_restore";
        let all = TABLES.len().to_string();
        assert_eq!(source.scalar(needing).await.expect(&what), all, "{what}");
        let health = "SELECT severity FROM pgtrickle.health_check() WHERE check_name = 'restore'";
        assert_eq!(source.scalar(health).await.expect(&what), "ERROR", "{what}");
        for (name, _, _) in TABLES {
            let quoted = harness::client::quote_literal(name);
            let refresh = format!("SELECT pgtrickle.refresh_stream_table({quoted})");
            let refused = source.execute(&refresh).await.expect_err(&what);
            let hint = refused.hint.clone().unwrap_or_default();
            assert!(hint.contains("restore_stream_tables"), "{what}: {refused}");
        }
        source.execute(CHANGES).await.expect("writers go on");
        for restored in [all.as_str(), "0"] {
            let restore = "SELECT pgtrickle.restore_stream_tables()";
            assert_eq!(
                source.scalar(restore).await.expect(&what),
                restored,
                "{what}"
            );
        }
        assert_eq!(source.scalar(needing).await.expect(&what), "0", "{what}");
        judge(&source, &what, false).await;
        source.execute(CHANGES).await.expect("changes");
        judge(&source, &what, true).await;
        let guarded = source.execute("UPDATE at_once SET n = 0").await;
        assert!(guarded.is_err(), "{what}: the guard is gone");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_is_no_superuser_dumps_its_stream_tables() {
    let (cluster, source) = start().await;
    for sql in [
        "CREATE ROLE owner LOGIN",
        "CREATE DATABASE owned OWNER owner",
        "CREATE DATABASE copied",
    ] {
        source.execute(sql).await.expect(sql);
    }
    let admin = Session::connect(&cluster, "owned")
        .await
        .expect("a session");
    admin
        .execute("CREATE EXTENSION pg_trickle; GRANT ALL ON SCHEMA public TO owner")
        .await
        .expect("the extension");
    admin
        .execute(
            "SET ROLE owner; CREATE TABLE t (id int PRIMARY KEY, g int);
             INSERT INTO t SELECT i, i % 3 FROM generate_series(1, 10) i;
             SELECT pgtrickle.create_stream_table('st',
                 'SELECT g, max(id) AS last FROM t GROUP BY g HAVING count(*) > 1');
             RESET ROLE",
        )
        .await
        .expect("a stream table");
    let file = cluster.socket_dir().join("plain_dump");
    let mut dump = cluster.client_command("pg_dump");
    dump.args([
        "--username",
        "owner",
        "--exclude-schema",
        "pgtrickle_changes",
    ])
    .args(["--exclude-table", "pgtrickle_state.st_*"])
    .args(["--dbname", "owned", "--file"])
    .arg(&file);
    run(dump);
    run(restore(&cluster, "plain", "copied", &file));
    let copied = Session::connect(&cluster, "copied")
        .await
        .expect("a session");
    for sql in [
        "INSERT INTO t VALUES (99, 1)",
        "SELECT pgtrickle.restore_stream_tables()",
        "DELETE FROM t WHERE id = 99",
        "SELECT pgtrickle.refresh_stream_table('st')",
    ] {
        copied.execute(sql).await.expect(sql);
    }
    let verdict = oracle::check(&copied, "st").await.expect("a verdict");
    assert!(verdict.is_exact(), "{verdict}");
}
