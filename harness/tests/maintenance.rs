//! What operators do to a database: indexes made anew or added, partitions altered side by side, tables moved to another
//! tablespace, databases that have to be free of sessions. None of it costs a writer an error, or a stream table its
//! exactness.

use std::time::{Duration, Instant};

use harness::client::Session;
use harness::cluster::{Cluster, ClusterOptions, ExtensionDir};
use harness::insist::{exact, run, until, value};
use harness::runtime::{connect, scheduled_cluster};

/// A server without schedulers.
fn cluster() -> Cluster {
    let options = ClusterOptions::new()
        .extension(ExtensionDir::installed().expect("installed"))
        .setting("autovacuum", "off");
    Cluster::start(&options).expect("a cluster")
}

async fn session(cluster: &Cluster) -> Session {
    connect(cluster, "postgres").await.expect("a session")
}

async fn other(cluster: &Cluster) -> Session {
    Session::connect(cluster, "postgres")
        .await
        .expect("a session")
}

/// The buffer of the table `t`.
async fn buffer_of_t(session: &Session) -> String {
    value(
        session,
        "SELECT 'pgtrickle_changes.changes_' || 't'::regclass::oid",
    )
    .await
}

const STREAM_TABLES: [&str; 3] = ["sums", "kinds", "joined"];

async fn set_up(session: &Session, writer: &str) {
    run(
        session,
        &format!(
            "SET pg_trickle.cdc_trigger_mode = {writer};
             CREATE TABLE t (id int PRIMARY KEY, g int, v numeric);
             INSERT INTO t SELECT i, i % 50, i FROM generate_series(1, 1000) i;
             SELECT pgtrickle.create_stream_table('sums', 'SELECT g, sum(v) AS s, max(v) AS m FROM t GROUP BY g', refresh_mode => 'DIFFERENTIAL');
             SELECT pgtrickle.create_stream_table('kinds', 'SELECT DISTINCT v FROM t', refresh_mode => 'DIFFERENTIAL');
             SELECT pgtrickle.create_stream_table('joined', 'SELECT a.id, b.g FROM t a JOIN t b ON b.id = a.g', refresh_mode => 'DIFFERENTIAL')"
        ),
    )
    .await;
}

async fn refresh(session: &Session) {
    for name in STREAM_TABLES {
        run(
            session,
            &format!("SELECT pgtrickle.refresh_stream_table('{name}')"),
        )
        .await;
    }
    exact(session, &STREAM_TABLES).await;
}

/// Few rows, then so many that the buffer is read through its index. Waits for no reader and no writer.
async fn write_rows(session: &Session) {
    for change in [
        "INSERT INTO t SELECT max(id) + 1, 7, 1.5 FROM t",
        "UPDATE t SET v = v + 1 WHERE id % 100 = 3",
        "INSERT INTO t SELECT m + i, i % 50, i FROM generate_series(1, 30000) i, (SELECT max(id) AS m FROM t) m",
        "UPDATE t SET g = g + 1 WHERE id % 20 = 1",
        "DELETE FROM t WHERE id % 10 = 4",
    ] {
        run(session, change).await;
    }
    refresh(session).await;
    run(session, "UPDATE t SET v = v - 1 WHERE id % 100 = 5").await;
    refresh(session).await;
}

/// The same, and all rows at once.
async fn write(session: &Session) {
    write_rows(session).await;
    run(session, "TRUNCATE t").await;
    run(
        session,
        "INSERT INTO t SELECT i, i % 50, i FROM generate_series(1, 1000) i",
    )
    .await;
    refresh(session).await;
}

/// Makes the indexes anew, and is cancelled while it waits for the session `holder`.
async fn cancelled_reindex(session: &Session, what: &str) {
    run(session, "SET statement_timeout = '1s'").await;
    let cancelled = session
        .execute(&format!("REINDEX {what}"))
        .await
        .expect_err("waits");
    assert_eq!(cancelled.sqlstate, "57014", "{cancelled}");
    run(session, "RESET statement_timeout").await;
}

const INVALID: &str = "SELECT count(*) FROM pg_index WHERE NOT indisvalid AND indrelid = '{}'::regclass AND indisready = {ready}";

#[tokio::test(flavor = "multi_thread")]
async fn indexes_made_anew_cost_writers_nothing() {
    for writer in ["native", "sql"] {
        let cluster = cluster();
        let session = session(&cluster).await;
        set_up(&session, writer).await;
        let (holder, operator) = (other(&cluster).await, other(&cluster).await);
        let buffer = buffer_of_t(&session).await;
        let left = async |ready: &str| {
            let sql = INVALID.replace("{}", &buffer).replace("{ready}", ready);
            value(&session, &sql).await
        };

        // A writer keeps the new index from being filled, an old snapshot keeps it from being used.
        run(&holder, "BEGIN; INSERT INTO t VALUES (-1, 1, 1)").await;
        cancelled_reindex(&operator, &format!("TABLE CONCURRENTLY {buffer}")).await;
        assert_eq!(left("false").await, "1", "{writer}");
        write_rows(&other(&cluster).await).await;
        run(&holder, "INSERT INTO t VALUES (-2, 1, 1); COMMIT").await;
        write(&session).await;
        run(
            &holder,
            "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM sums",
        )
        .await;
        cancelled_reindex(&operator, &format!("TABLE CONCURRENTLY {buffer}")).await;
        // One that was left behind before has become valid with a buffer that was emptied, and is made anew, too.
        assert_ne!(left("true").await, "0", "{writer}");
        write_rows(&session).await;

        // While it runs.
        let (waiting, sql) = (
            other(&cluster).await,
            format!("REINDEX TABLE CONCURRENTLY {buffer}"),
        );
        let reindex = tokio::spawn(async move { waiting.execute(&sql).await });
        until(
            &session,
            "SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE 'REINDEX TABLE%' AND wait_event = 'virtualxid'",
        )
        .await;
        write_rows(&session).await;
        run(&holder, "COMMIT").await;
        reindex.await.expect("it ends").expect("it succeeds");
        write(&session).await;

        // The tables of the state, and the stream tables themselves.
        run(
            &holder,
            "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM sums",
        )
        .await;
        for what in [
            "SCHEMA CONCURRENTLY pgtrickle_state",
            "TABLE CONCURRENTLY sums",
            "TABLE CONCURRENTLY kinds",
        ] {
            cancelled_reindex(&operator, what).await;
        }
        write_rows(&session).await;
        run(&holder, "COMMIT").await;
        for schema in ["public", "pgtrickle_state", "pgtrickle_changes"] {
            run(&operator, &format!("REINDEX SCHEMA CONCURRENTLY {schema}")).await;
            write(&session).await;
        }

        // What was left behind can be dropped.
        let dropped = value(
            &session,
            "SELECT string_agg(format('DROP INDEX %s', indexrelid::regclass), '; ') FROM pg_index WHERE NOT indisvalid",
        )
        .await;
        run(&session, &dropped).await;
        write(&session).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn indexes_added_to_a_buffer_are_served() {
    for writer in ["native", "sql"] {
        let cluster = cluster();
        let session = session(&cluster).await;
        set_up(&session, writer).await;
        let buffer = buffer_of_t(&session).await;
        let column =
            "(SELECT attnum FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'g')";
        let g = format!("a{}", value(&session, column).await.as_str());
        run(&session, "BEGIN; INSERT INTO t VALUES (-1, 1, 1); ROLLBACK").await;
        for (method, columns) in [
            ("brin", "(__pgt_xid)"),
            ("brin", "(__pgt_w)"),
            ("brin", "(__pgt_xid int8_bloom_ops)"),
            ("btree", "(__pgt_xid, __pgt_epoch)"),
            ("btree", &format!("(({g} + 1)) WHERE __pgt_w > 0")),
            ("hash", &format!("({g})")),
        ] {
            run(
                &session,
                &format!("CREATE INDEX CONCURRENTLY ON {buffer} USING {method} {columns}"),
            )
            .await;
            write(&session).await;
        }
        run(
            &session,
            "INSERT INTO t SELECT -i, 77, i FROM generate_series(1, 500) i",
        )
        .await;
        for condition in [
            format!("{g} + 1 = 78 AND __pgt_w > 0"),
            format!("{g} = 77"),
            "__pgt_w = 1".to_owned(),
            "__pgt_xid > 0 AND __pgt_epoch >= 0".to_owned(),
        ] {
            let count = format!("SELECT count(*) FROM {buffer} WHERE {condition}");
            let without = "SET enable_seqscan = on; SET enable_indexscan = off; SET enable_bitmapscan = off; SET enable_indexonlyscan = off";
            run(&session, without).await;
            let all = value(&session, &count).await;
            let within = "SET enable_seqscan = off; SET enable_indexscan = on; SET enable_bitmapscan = on; SET enable_indexonlyscan = on";
            run(&session, within).await;
            let plan = value(&session, &format!("EXPLAIN (FORMAT JSON) {count}")).await;
            assert!(plan.contains("Index"), "{condition}: {plan}");
            assert_eq!(value(&session, &count).await, all, "{writer}: {condition}");
            assert_ne!(all, "0", "{writer}: {condition}");
        }
        run(&session, "RESET enable_seqscan").await;
        write(&session).await;
    }
}

/// Four partitions of a source, one of which has an index.
const PARTITIONS: &str = "
CREATE TABLE p (id int, k int) PARTITION BY RANGE (id);
CREATE TABLE p0 PARTITION OF p FOR VALUES FROM (0) TO (1000);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1000) TO (2000);
CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (2000) TO (3000);
CREATE INDEX pi ON p1 (k);
INSERT INTO p SELECT i, i % 10 FROM generate_series(0, 2999) i;
SELECT pgtrickle.create_stream_table('ks', 'SELECT k, count(*) AS n FROM p GROUP BY k', refresh_mode => '{mode}')";

/// Commands on one partition.
const COMMANDS: [&str; 12] = [
    "ALTER TABLE p1 ADD CHECK (k >= 0)",
    "ALTER TABLE p1 SET (fillfactor = 80)",
    "ALTER TABLE p1 ALTER k SET STATISTICS 5",
    "ALTER TABLE p1 ADD PRIMARY KEY (id)",
    "ALTER TABLE p1 ALTER k SET DEFAULT 3",
    "CREATE INDEX ON p1 (id)",
    "ALTER INDEX pi RENAME TO pj",
    "DROP INDEX pj",
    "ALTER TABLE p1 SET UNLOGGED",
    "ALTER TABLE p1 RENAME CONSTRAINT p1_k_check TO other",
    "ALTER TABLE p1 OWNER TO CURRENT_USER",
    "TRUNCATE p1",
];

#[tokio::test(flavor = "multi_thread")]
async fn commands_on_one_partition_do_not_wait_for_its_siblings() {
    for mode in ["DIFFERENTIAL", "AUTO", "FULL"] {
        let cluster = cluster();
        let session = session(&cluster).await;
        run(&session, &PARTITIONS.replace("{mode}", mode)).await;
        let holder = other(&cluster).await;
        run(&holder, "BEGIN; LOCK TABLE p0 IN ACCESS EXCLUSIVE MODE").await;
        run(&session, "SET lock_timeout = '1s'").await;
        let mut complaints = Vec::new();
        for command in COMMANDS {
            // As a table that becomes unlogged has its readers step aside, what they read is looked at.
            let held = command.contains("UNLOGGED");
            if held {
                run(&holder, "COMMIT").await;
            }
            if let Err(error) = session.execute(command).await {
                complaints.push(format!("{command}: {error}"));
            }
            if held {
                run(&holder, "BEGIN; LOCK TABLE p0 IN ACCESS EXCLUSIVE MODE").await;
            }
        }
        assert!(complaints.is_empty(), "{mode}: {complaints:#?}");
        run(&holder, "COMMIT").await;
        run(&session, "SELECT pgtrickle.refresh_stream_table('ks')").await;
        exact(&session, &["ks"]).await;
        run(
            &session,
            "ALTER TABLE p1 SET LOGGED; INSERT INTO p VALUES (1, 1), (1001, 7)",
        )
        .await;
        run(&session, "SELECT pgtrickle.refresh_stream_table('ks')").await;
        exact(&session, &["ks"]).await;
        let used = value(&session, "SELECT refresh_mode FROM pgtrickle.pgt_status()").await;
        let wanted = if mode == "FULL" {
            "FULL"
        } else {
            "DIFFERENTIAL"
        };
        assert_eq!(used, wanted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn primary_keys_of_partitions_are_added_side_by_side() {
    let cluster = cluster();
    let session = session(&cluster).await;
    run(&session, &PARTITIONS.replace("{mode}", "DIFFERENTIAL")).await;
    for _ in 0..3 {
        let mut running = Vec::new();
        for partition in ["p0", "p1", "p2"] {
            let session = other(&cluster).await;
            running.push(tokio::spawn(async move {
                let add = format!("ALTER TABLE {partition} ADD PRIMARY KEY (id)");
                session.execute(&add).await
            }));
        }
        for command in running {
            command.await.expect("it ends").expect("no deadlock");
        }
        run(&session, "ALTER TABLE p0 DROP CONSTRAINT p0_pkey; ALTER TABLE p1 DROP CONSTRAINT p1_pkey; ALTER TABLE p2 DROP CONSTRAINT p2_pkey").await;
    }
    run(&session, "INSERT INTO p VALUES (1, 1), (2001, 7)").await;
    run(&session, "SELECT pgtrickle.refresh_stream_table('ks')").await;
    exact(&session, &["ks"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_tables_and_their_parts_move_to_another_tablespace() {
    let cluster = cluster();
    let session = session(&cluster).await;
    run(&session, "SET allow_in_place_tablespaces = on").await;
    run(&session, "CREATE TABLESPACE elsewhere LOCATION ''").await;
    run(&session, "SET default_tablespace = elsewhere").await;
    set_up(&session, "native").await;
    run(&session, "RESET default_tablespace").await;
    let there = "SELECT count(*) FROM pg_class c JOIN pg_tablespace t ON t.oid = c.reltablespace
        WHERE t.spcname = 'elsewhere' AND c.relnamespace <> 'pg_toast'::regnamespace";
    assert_ne!(value(&session, there).await, "0");
    for kind in ["TABLE", "INDEX"] {
        let sql = format!("ALTER {kind} ALL IN TABLESPACE elsewhere SET TABLESPACE pg_default");
        run(&session, &sql).await;
    }
    assert_eq!(value(&session, there).await, "0");
    refresh(&session).await;
    run(&session, "INSERT INTO t VALUES (-5, 5, 5)").await;
    let state = value(
        &session,
        "SELECT min(oid)::regclass FROM pg_class
         WHERE relnamespace = 'pgtrickle_state'::regnamespace AND relkind = 'r'",
    )
    .await;
    for tablespace in ["elsewhere", "pg_default"] {
        run(
            &session,
            &format!("ALTER TABLE {state} SET TABLESPACE {tablespace}"),
        )
        .await;
    }
    for command in ["SET TABLESPACE elsewhere, ADD x int", "ADD x int"] {
        let command = format!("ALTER TABLE {state} {command}");
        let refused = session.execute(&command).await;
        assert_eq!(refused.expect_err("refused").sqlstate, "42809");
    }
    let by_delta =
        "SELECT concat_ws(' ', action, reason) FROM pgtrickle.refresh_stream_table('kinds')";
    assert_eq!(value(&session, by_delta).await, "DIFFERENTIAL");
    write(&session).await;
    run(&session, "DROP TABLESPACE elsewhere").await;
}

/// How long a worker without a job stays, and a statement on a database waits for it to go, are minutes and seconds.
const SOON: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_worker_goes_when_its_job_ends() {
    let cluster = scheduled_cluster(&[]).expect("a cluster");
    let admin = connect(&cluster, "postgres").await.expect("a session");
    run(&admin, "CREATE DATABASE busy").await;
    let session = connect(&cluster, "busy").await.expect("a session");
    run(
        &session,
        "CREATE TABLE t (id int PRIMARY KEY);
         SELECT pgtrickle.create_stream_table('s', 'SELECT count(*) AS n FROM t');
         CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(2); RETURN NEW; END $$;
         CREATE TRIGGER slow BEFORE UPDATE ON s FOR EACH ROW EXECUTE FUNCTION slow();
         INSERT INTO t VALUES (1)",
    )
    .await;
    until(
        &session,
        "SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'pg_trickle worker' AND wait_event = 'PgSleep'",
    )
    .await;
    drop(session);
    let begun = Instant::now();
    run(&admin, "ALTER DATABASE busy RENAME TO calm").await;
    assert!(begun.elapsed() < SOON, "waited {:?}", begun.elapsed());
    let session = Session::connect(&cluster, "calm").await.expect("a session");
    exact(&session, &["s"]).await;
}
