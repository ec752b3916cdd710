//! Definitions that change while a refresh waits for locks.

use harness::cluster::{Cluster, ClusterOptions, ExtensionDir};
use harness::insist::{exact, run, until, value};
use harness::runtime::connect;

#[tokio::test(flavor = "multi_thread")]
async fn a_definition_that_comes_back_while_a_refresh_waits_leaves_a_whole_stream_table() {
    let options = ClusterOptions::new().extension(ExtensionDir::installed().unwrap());
    let cluster = Cluster::start(&options).unwrap();
    let session = connect(&cluster, "postgres").await.unwrap();
    let other = connect(&cluster, "postgres").await.unwrap();
    run(
        &session,
        "CREATE TABLE t (id int PRIMARY KEY, k int NOT NULL, x int);
         INSERT INTO t SELECT i, i % 2, i FROM generate_series(1, 9) i;
         SELECT pgtrickle.create_stream_table('groups', 'SELECT k, count(*) AS n, max(x) AS x FROM t GROUP BY k',
             refresh_mode => 'DIFFERENTIAL');
         ALTER TABLE t ALTER k DROP NOT NULL",
    )
    .await;
    // The session knows the plan that follows from that.
    run(&session, "SELECT pgtrickle.explain_st('groups')").await;
    run(&other, "BEGIN; ALTER TABLE t ALTER k SET NOT NULL").await;
    let refresh = value(
        &session,
        "SELECT action FROM pgtrickle.refresh_stream_table('groups')",
    );
    let comes_back = async {
        until(&other, "SELECT bool_or(NOT granted) FROM pg_locks").await;
        run(&other, "COMMIT").await;
    };
    let (action, ()) = tokio::join!(refresh, comes_back);
    assert_eq!(action, "FULL");
    run(
        &session,
        "UPDATE t SET x = x + 1; DELETE FROM t WHERE id > 7",
    )
    .await;
    let again = "SELECT action FROM pgtrickle.refresh_stream_table('groups')";
    assert_eq!(value(&session, again).await, "DIFFERENTIAL");
    exact(&session, &["groups"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_create_a_stream_table_of_the_same_name_do_so_one_after_the_other() {
    let options = ClusterOptions::new().extension(ExtensionDir::installed().unwrap());
    let cluster = Cluster::start(&options).unwrap();
    let first = connect(&cluster, "postgres").await.unwrap();
    let second = connect(&cluster, "postgres").await.unwrap();
    run(
        &first,
        "CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1)",
    )
    .await;
    for (statement, outcome) in [
        (
            "create_or_replace_stream_table('s', 'SELECT v, id FROM t')",
            "v,id",
        ),
        (
            "create_or_replace_stream_table('s', 'SELECT id, v FROM t')",
            "id,v",
        ),
        (
            "create_or_replace_stream_table('s', 'SELECT v + 1 AS v, id FROM t')",
            "v,id",
        ),
    ] {
        run(
            &first,
            "BEGIN; SELECT pgtrickle.create_or_replace_stream_table('s', 'SELECT id FROM t')",
        )
        .await;
        let statement = format!("SELECT pgtrickle.{statement}");
        let waits = run(&second, &statement);
        let ends = async {
            until(&first, "SELECT bool_or(NOT granted) FROM pg_locks").await;
            run(&first, "COMMIT").await;
        };
        tokio::join!(waits, ends);
        let columns = "SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute
                       WHERE attrelid = 's'::regclass AND attnum > 0 AND NOT attisdropped";
        assert_eq!(value(&second, columns).await, outcome);
        run(&second, "INSERT INTO t SELECT max(id) + 1, 1 FROM t").await;
        run(&second, "SELECT pgtrickle.refresh_stream_table('s')").await;
        exact(&second, &["s"]).await;
    }
    run(
        &first,
        "BEGIN; SELECT pgtrickle.create_stream_table('new', 'SELECT id FROM t')",
    )
    .await;
    let refused = second.execute("SELECT pgtrickle.create_stream_table('new', 'SELECT v FROM t')");
    let ends = async {
        until(&first, "SELECT bool_or(NOT granted) FROM pg_locks").await;
        run(&first, "COMMIT").await;
    };
    let (refused, ()) = tokio::join!(refused, ends);
    let refused = refused.expect_err("the name is taken").to_string();
    assert!(
        refused.contains("relation \"new\" already exists"),
        "{refused}"
    );
}
