//! Stream tables that the nodes of a cluster of Citus keep, each its own shards.
//!
//! Without Citus the tests are reported as skipped, with the reason, which fails where `PGT_REQUIRE_CITUS` is set.

use harness::citus::is_missing;
use harness::citus::tables::{
    CHANGES, GROUPED, LOCAL, SPLIT, create, move_shard, nothing_is_left, refreshed, right, start,
};
use harness::cluster::StopMode;
use harness::insist::{exact, run, until, value};

#[tokio::test(flavor = "multi_thread")]
async fn nodes_keep_what_is_local_to_their_shards() {
    if is_missing("nodes_keep_what_is_local_to_their_shards") {
        return;
    }
    let (citus, session) = start().await;
    for (name, query) in LOCAL {
        create(&session, name, query).await;
        // It is filled when it has been created.
        right(&session, name, query).await;
        let code = format!(
            "SELECT refresh_mode || ' ' || mode_code FROM pgtrickle.pgt_status() WHERE name = '{name}'"
        );
        assert_eq!(
            value(&session, &code).await,
            "DIFFERENTIAL CITUS_SHARD_LOCAL"
        );
        let beside = format!(
            "SELECT count(DISTINCT colocationid) FROM pg_dist_partition WHERE logicalrelid IN ('d'::regclass, '{name}'::regclass)"
        );
        assert_eq!(value(&session, &beside).await, "1");
    }
    for (name, _) in LOCAL {
        refreshed(&session, name).await;
    }
    for (step, changes) in CHANGES.into_iter().enumerate() {
        run(&session, changes).await;
        for (name, query) in LOCAL {
            let action = refreshed(&session, name).await;
            let is_emptied = changes.starts_with("TRUNCATE");
            assert!(
                ["NO_DATA", "DIFFERENTIAL"].contains(&action.as_str()) || is_emptied,
                "{name}, step {step}: {action}"
            );
            right(&session, name, query).await;
        }
    }
    // A view that is replaced is noticed.
    run(&session, "CREATE OR REPLACE VIEW named AS SELECT d.id, upper(r.name) AS name FROM d JOIN r USING (g) WHERE d.id > 3").await;
    refreshed(&session, "of_view").await;
    right(&session, "of_view", LOCAL[14].1).await;

    for statement in [
        "INSERT INTO projected VALUES (1, 1, 'x')",
        "DELETE FROM grouped",
        "TRUNCATE joined",
    ] {
        let error = session.execute(statement).await.unwrap_err();
        assert!(
            error.to_string().contains("directly"),
            "{statement}: {error}"
        );
    }
    for (name, _) in LOCAL {
        run(
            &session,
            &format!("SELECT pgtrickle.drop_stream_table('{name}')"),
        )
        .await;
    }
    nothing_is_left(&citus).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_taken_from_beside_the_others_is_told_of() {
    if is_missing("a_source_that_is_taken_from_beside_the_others_is_told_of") {
        return;
    }
    let (_citus, session) = start().await;
    for (name, query) in [LOCAL[2], GROUPED[1]] {
        create(&session, name, query).await;
        refreshed(&session, name).await;
        right(&session, name, query).await;
    }
    run(
        &session,
        "SELECT update_distributed_table_colocation('e', colocate_with => 'none'); INSERT INTO e VALUES (3, 4000)",
    )
    .await;
    for (name, _) in [LOCAL[2], GROUPED[1]] {
        let refresh = format!("SELECT pgtrickle.refresh_stream_table('{name}')");
        let error = session.execute(&refresh).await.unwrap_err();
        assert_eq!(error.sqlstate, "55000", "{error}");
        let text = error.to_string();
        assert!(text.contains("\"e\" is no longer co-located"), "{text}");
    }
    for (name, query) in [LOCAL[2], GROUPED[1]] {
        run(
            &session,
            &format!("SELECT pgtrickle.drop_stream_table('{name}')"),
        )
        .await;
        if name == LOCAL[2].0 {
            run(
                &session,
                "SELECT update_distributed_table_colocation('e', colocate_with => 'd')",
            )
            .await;
        }
        create(&session, name, query).await;
        refreshed(&session, name).await;
        right(&session, name, query).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_follow_by_their_own_schedulers() {
    if is_missing("workers_follow_by_their_own_schedulers") {
        return;
    }
    let (_citus, session) = start().await;
    run(&session, "SELECT pgtrickle.create_stream_table('at_once', 'SELECT id, count(*) AS n, sum(w) AS w FROM e GROUP BY id')").await;
    run(
        &session,
        "SELECT pgtrickle.create_stream_table('upon_it', 'SELECT id, n FROM at_once WHERE n > 2')",
    )
    .await;
    until(
        &session,
        "SELECT bool_and(is_populated) FROM pgtrickle.pgt_stream_tables",
    )
    .await;
    for changes in CHANGES {
        run(&session, changes).await;
        exact(&session, &["at_once", "upon_it"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_that_move_and_split_are_computed_where_they_come_to() {
    if is_missing("shards_that_move_and_split_are_computed_where_they_come_to") {
        return;
    }
    let (citus, session) = start().await;
    let name = "joined";
    let query = LOCAL[2].1;
    create(&session, name, query).await;
    refreshed(&session, name).await;
    for (step, statement) in [
        move_shard(&citus, 0, 1, "block_writes"),
        "ALTER TABLE d ADD COLUMN more int DEFAULT 1, DROP COLUMN v".to_owned(),
        move_shard(&citus, 1, 0, "force_logical"),
        SPLIT.to_owned(),
        "SELECT rebalance_table_shards(shard_transfer_mode => 'block_writes')".to_owned(),
    ]
    .into_iter()
    .enumerate()
    {
        run(&session, &statement).await;
        // Written before the node knows that it has them, and afterwards.
        for round in 0..2 {
            let first = 10_000 + step * 1000 + round * 200;
            run(&session, &format!(
                "INSERT INTO d (id, g) SELECT i, i % 5 FROM generate_series({first}, {first} + 150) i;
                 INSERT INTO e SELECT i, i FROM generate_series({first}, {first} + 150) i; UPDATE r SET name = name || '.'; DELETE FROM e WHERE w % 11 = {step}"
            )).await;
            let action = refreshed(&session, name).await;
            let has_moved =
                round == 0 && !statement.starts_with("ALTER") && !statement.contains("rebalance");
            assert!(
                !has_moved || action == "FULL SHARD_MOVED",
                "{statement}: {action}"
            );
            assert!(
                round == 0 || action == "DIFFERENTIAL",
                "{statement}: {action}"
            );
            right(&session, name, query).await;
        }
    }
    run(
        &session,
        &format!("SELECT pgtrickle.drop_stream_table('{name}')"),
    )
    .await;
    run(&session, "CALL citus_cleanup_orphaned_resources()").await;
    nothing_is_left(&citus).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_gone_is_told_of_and_comes_back() {
    if is_missing("a_node_that_is_gone_is_told_of_and_comes_back") {
        return;
    }
    let (citus, session) = start().await;
    let (name, query) = LOCAL[1];
    create(&session, name, query).await;
    refreshed(&session, name).await;
    let status = "SELECT string_agg(concat_ws(' ', shards, is_populated, pending_rows > 0, error IS NOT NULL), ', ' ORDER BY shards NULLS LAST)
        FROM pgtrickle.node_status() WHERE name ~ 'grouped'";
    assert_eq!(value(&session, status).await, "2 t f f, 2 t f f");
    run(&session, CHANGES[1]).await;
    assert_eq!(value(&session, status).await, "2 t t f, 2 t t f");
    citus.workers()[1].stop(StopMode::Immediate).unwrap();
    // The node that is there may have followed the change by its own scheduler meanwhile.
    let which = status.replace("pending_rows > 0, ", "");
    assert_eq!(value(&session, &which).await, "2 t f, t");
    let refresh = format!("SELECT action FROM pgtrickle.refresh_stream_table('{name}')");
    let error = session.execute(&refresh).await.unwrap_err();
    assert_eq!(error.sqlstate, "08006", "{error}");
    let port = citus.workers()[1].port().to_string();
    assert!(error.to_string().contains(&port), "{error}");
    citus.workers()[1].restart(StopMode::Immediate).unwrap();
    refreshed(&session, name).await;
    right(&session, name, query).await;
    assert_eq!(value(&session, status).await, "2 t f f, 2 t f f");
}
