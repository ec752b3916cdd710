//! What an owner may not do to his own stream tables, and others not to those of others.

mod mallory;

use harness::insist::{exact, run, value};
use harness::runtime::scheduled_cluster;
use mallory::{INSERT, Place, TABLES, refused, set_up, world};

/// What mallory may do to what she owns, and must not.
const OF_HER_OWN: &[(&str, &str)] = &[
    ("INSERT INTO m.by_function VALUES (1, 1)", "42809"),
    (
        "MERGE INTO m.by_function s USING m.t ON s.id = t.id WHEN MATCHED THEN DELETE",
        "42809",
    ),
    ("SET session_replication_role = replica", "42501"),
    ("ALTER TABLE m.by_function DISABLE TRIGGER ALL", "42501"),
    ("ALTER TABLE m.t DISABLE TRIGGER ALL", "42501"),
    (
        "ALTER TABLE m.by_function DISABLE TRIGGER USER; DELETE FROM m.by_function",
        "42809",
    ),
    ("ALTER TABLE m.by_cast ALTER a TYPE int USING 7", "42809"),
    ("ALTER TABLE m.by_cast SET UNLOGGED", "42809"),
    ("ALTER TABLE m.by_cast ADD more int", "42809"),
    ("CREATE TABLE m.child () INHERITS (m.by_cast)", "42809"),
    (
        "CREATE TABLE m.child (LIKE m.by_cast); ALTER TABLE m.child INHERIT m.by_cast",
        "42809",
    ),
    (
        "CREATE TABLE m.parent (LIKE m.by_cast); ALTER TABLE m.by_cast INHERIT m.parent",
        "42809",
    ),
    (
        "CREATE TABLE m.parent (LIKE m.by_cast) PARTITION BY LIST (id); ALTER TABLE m.parent ATTACH PARTITION m.by_cast DEFAULT",
        "42809",
    ),
    ("SET pg_trickle.cdc_trigger_mode = 'sql'", "42501"),
    ("SET pg_trickle.enabled = off", "55P02"),
    ("DELETE FROM pgtrickle.pgt_stream_tables", "42501"),
    (
        "UPDATE pgtrickle.pgt_refresh_history SET status = 'FAILED'",
        "42501",
    ),
    ("SELECT * FROM pgtrickle.pgt_failures", "42501"),
    (
        "SELECT setval('pgtrickle.pgt_stream_tables_pgt_id_seq', 1)",
        "42501",
    ),
    ("SELECT pgtrickle.restore_stream_tables()", "42501"),
    ("CREATE TABLE pgtrickle_state.st_1_0 (x int)", "42501"),
    (
        "CREATE FUNCTION pgtrickle.mine() RETURNS int RETURN 1",
        "42501",
    ),
    (
        "CREATE TRIGGER t AFTER INSERT ON m.t REFERENCING NEW TABLE AS pgt_new FOR EACH STATEMENT EXECUTE FUNCTION pgtrickle.capture_native()",
        "42501",
    ),
];

/// The same on each object that the query finds: a state table, a trigger, a buffer.
const OF_EACH: &[(&str, &str, &str)] = &[
    (
        "SELECT tgname || ' ON ' || tgrelid::regclass FROM pg_trigger WHERE tgname ~ '^pgt_'",
        "DROP TRIGGER ?",
        "2BP01",
    ),
    (
        "SELECT tgname || ' ON ' || tgrelid::regclass FROM pg_trigger WHERE tgname ~ '^pgt_'",
        "ALTER TRIGGER ? RENAME TO mine",
        "2BP01",
    ),
    (
        "SELECT oid::regclass FROM pg_class WHERE relname ~ '^st_' AND relkind = 'r'",
        "DELETE FROM ?",
        "42809",
    ),
    (
        "SELECT oid::regclass FROM pg_class WHERE relname ~ '^st_' AND relkind = 'r'",
        "TRUNCATE ?",
        "42809",
    ),
    (
        "SELECT oid::regclass FROM pg_class WHERE relname ~ '^st_' AND relkind = 'r'",
        "ALTER TABLE ? ADD mine int",
        "42809",
    ),
    (
        "SELECT oid::regclass FROM pg_class WHERE relname ~ '^st_' AND relkind = 'r'",
        "ALTER TABLE ? SET SCHEMA m",
        "42809",
    ),
    (
        "SELECT oid::regclass FROM pg_class WHERE relname ~ '^st_' AND relkind = 'r'",
        "CREATE TABLE m.child () INHERITS (?)",
        "42809",
    ),
    (
        "SELECT oid::regclass FROM pg_class WHERE relname ~ '^st_' AND relkind = 'r'",
        "DROP TABLE ?",
        "2BP01",
    ),
    (
        "SELECT oid::regclass FROM pg_class WHERE relname ~ '^view_[0-9]+$' AND relkind = 'v'",
        "CREATE OR REPLACE VIEW ? AS SELECT 1 AS id",
        "42501",
    ),
    (
        "SELECT oid::regclass FROM pg_class WHERE relname ~ '^view_[0-9]+$' AND relkind = 'v'",
        "ALTER VIEW ? SET SCHEMA m",
        "42809",
    ),
    (
        "SELECT oid::regclass FROM pg_class WHERE relname ~ '^changes_' AND relkind = 'r'",
        "SELECT * FROM ?",
        "42501",
    ),
    (
        "SELECT oid::regclass FROM pg_class WHERE relname ~ '^changes_' AND relkind = 'r'",
        "DELETE FROM ?",
        "42501",
    ),
    (
        "SELECT oid::regclass FROM pg_class WHERE relname ~ '^changes_' AND relkind = 'r'",
        "TRUNCATE ?",
        "42501",
    ),
];

/// What somebody else must not do to a stream table that he may read.
const OF_ANOTHER: &[&str] = &[
    "SELECT pgtrickle.refresh_stream_table('m.by_cast')",
    "SELECT pgtrickle.alter_stream_table('m.by_cast', schedule => '1h')",
    "SELECT pgtrickle.create_or_replace_stream_table('m.by_cast', 'SELECT 1 AS id')",
    "SELECT pgtrickle.drop_stream_table('m.by_cast')",
    "SELECT pgtrickle.suspend_stream_table('m.by_cast')",
    "SELECT pgtrickle.resume_stream_table('m.by_cast')",
    "SELECT pgtrickle.drain(0)",
    "DELETE FROM m.by_cast",
    "TRUNCATE m.by_cast",
    "CREATE TRIGGER t BEFORE INSERT ON m.by_cast EXECUTE FUNCTION m.trigger()",
    "SELECT pgtrickle.create_stream_table('m.his', 'SELECT 1 AS x')",
];

/// What nobody may do who may not read it.
const UNREAD: &[&str] = &[
    "SELECT * FROM m.by_limit",
    "SELECT * FROM pgtrickle.explain_st('m.by_limit')",
    "SELECT * FROM pgtrickle.get_refresh_history('m.by_limit')",
    "SELECT pgtrickle.create_stream_table('b.his', 'SELECT * FROM m.by_limit')",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_guard_and_the_rights_of_others_cannot_be_got_around() {
    let cluster = scheduled_cluster(&[("pg_trickle.enabled", "off")]).expect("a cluster");
    let world = world(&cluster).await;
    let place = Place {
        cluster: &cluster,
        database: world.database("guard", &[]).await.expect("a database"),
    };
    let (session, mallory) = set_up(&place).await;
    run(&session, "CREATE SCHEMA b AUTHORIZATION bob").await;
    run(&mallory, "GRANT SELECT ON m.by_cast TO bob").await;
    for (sql, sqlstate) in OF_HER_OWN {
        assert_eq!(refused(&mallory, sql).await, *sqlstate, "{sql}");
    }
    for (objects, statement, sqlstate) in OF_EACH {
        let objects = session.rows(objects).await.expect("a list");
        assert!(!objects.is_empty(), "{statement}");
        for object in objects.into_iter().flatten().flatten() {
            let sql = statement.replace('?', &object);
            assert_eq!(refused(&mallory, &sql).await, *sqlstate, "{sql}");
        }
    }
    let bob = place.session("bob").await;
    for sql in OF_ANOTHER.iter().chain(UNREAD) {
        let sqlstate = refused(&bob, sql).await;
        assert!(
            ["42501", "42809"].contains(&sqlstate.as_str()),
            "{sql}: {sqlstate}"
        );
    }
    run(&bob, "SELECT * FROM pgtrickle.explain_st('m.by_cast'); SELECT * FROM pgtrickle.get_refresh_history('m.by_cast')").await;
    let seen = "SELECT string_agg(name, ',') FROM pgtrickle.pgt_status()";
    assert_eq!(value(&bob, seen).await, "m.by_cast");
    // An extension, and a command of a superuser's, get by none of it either.
    for (objects, statement) in [(
        "SELECT tgname || ' ON ' || tgrelid::regclass FROM pg_trigger WHERE tgname ~ '^pgt_guard'",
        "ALTER TRIGGER ? DEPENDS ON EXTENSION plpgsql",
    )] {
        for object in session
            .rows(objects)
            .await
            .expect("a list")
            .into_iter()
            .flatten()
            .flatten()
        {
            assert_eq!(
                refused(&session, &statement.replace('?', &object)).await,
                "2BP01"
            );
        }
    }
    run(&mallory, INSERT).await;
    for (name, _) in TABLES {
        run(
            &session,
            &format!("SELECT pgtrickle.refresh_stream_table('{name}')"),
        )
        .await;
        exact(&mallory, &[name]).await;
    }
}
