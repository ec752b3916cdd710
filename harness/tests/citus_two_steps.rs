//! Stream tables in two steps on a cluster of Citus: nodes keep what is local to their shards, the coordinator the rest.
//!
//! Without Citus the tests are reported as skipped, with the reason, which fails where `PGT_REQUIRE_CITUS` is set.

use harness::citus::is_missing;
use harness::citus::tables::{
    CHANGES, GROUPED, OF_ROWS, SPLIT, begin, create, move_shard, nothing_is_left, refreshed, right,
};
use harness::client::Session;
use harness::cluster::StopMode;
use harness::insist::{run, value};

async fn code(session: &Session, name: &str) -> String {
    let code = format!(
        "SELECT refresh_mode || ' ' || mode_code FROM pgtrickle.pgt_status() WHERE name = '{name}'"
    );
    value(session, &code).await
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_and_joins_across_shards_follow() {
    if is_missing("groups_and_joins_across_shards_follow") {
        return;
    }
    let (citus, session) = begin().await;
    run(
        &session,
        "INSERT INTO l SELECT i FROM generate_series(1, 10) i",
    )
    .await;
    let all = || GROUPED.into_iter().chain(OF_ROWS);
    for (name, query) in all() {
        create(&session, name, query).await;
        assert_eq!(code(&session, name).await, "DIFFERENTIAL CITUS_TWO_STEPS");
        let populated =
            format!("SELECT is_populated FROM pgtrickle.pgt_status() WHERE name = '{name}'");
        assert!(["f", "t"].contains(&value(&session, &populated).await.as_str()));
    }
    for (name, query) in all() {
        refreshed(&session, name).await;
        right(&session, name, query).await;
    }
    for (step, changes) in CHANGES.into_iter().enumerate() {
        run(&session, changes).await;
        run(&session, "UPDATE l SET id = id + 20 WHERE id % 4 = 0").await;
        for (name, query) in all() {
            let action = refreshed(&session, name).await;
            assert!(
                ["NO_DATA", "DIFFERENTIAL"].contains(&action.as_str()),
                "{name}, step {step}: {action}"
            );
            right(&session, name, query).await;
            assert_eq!(refreshed(&session, name).await, "NO_DATA", "{name}");
        }
    }
    run(
        &session,
        "ALTER TABLE d ADD COLUMN more int DEFAULT 1; INSERT INTO d VALUES (9000, 2, 7, 'x', 1)",
    )
    .await;
    for (name, query) in all() {
        refreshed(&session, name).await;
        right(&session, name, query).await;
    }
    let forced =
        "SELECT action FROM pgtrickle.refresh_stream_table('by_group', force_full => true)";
    assert_eq!(value(&session, forced).await, "FULL");
    right(&session, "by_group", GROUPED[0].1).await;
    for (name, _) in all() {
        let drop = format!("SELECT pgtrickle.drop_stream_table('{name}')");
        run(&session, &drop).await;
    }
    nothing_is_left(&citus).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn automatic_ones_have_no_images_of_tables() {
    if is_missing("automatic_ones_have_no_images_of_tables") {
        return;
    }
    let (citus, session) = begin().await;
    for (name, query, wanted) in [
        ("grouped", GROUPED[0].1, "DIFFERENTIAL CITUS_TWO_STEPS"),
        ("counted", OF_ROWS[3].1, "FULL CITUS_IMAGES"),
    ] {
        let make = format!("SELECT pgtrickle.create_stream_table('{name}', '{query}', '1h')");
        run(&session, &make).await;
        assert_eq!(code(&session, name).await, wanted);
    }
    // It is refreshed and changed outside of transactions, and taken back whole.
    let error = session
        .execute("BEGIN; SELECT pgtrickle.refresh_stream_table('grouped')")
        .await
        .unwrap_err();
    assert_eq!(error.sqlstate, "25001", "{error}");
    run(&session, "ROLLBACK").await;
    let error = session
        .execute("SELECT pgtrickle.alter_stream_table('grouped', refresh_mode => 'FULL')")
        .await
        .unwrap_err();
    assert_eq!(error.sqlstate, "0A000", "{error}");
    let again = GROUPED[1].1;
    run(
        &session,
        &format!("BEGIN; SELECT pgtrickle.create_stream_table('again', '{again}')"),
    )
    .await;
    run(&session, "ROLLBACK").await;
    run(&session, "DROP TABLE d CASCADE").await;
    run(
        &session,
        "SELECT pgtrickle.drop_stream_table(name) FROM pgtrickle.pgt_status()",
    )
    .await;
    nothing_is_left(&citus).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_that_move_and_split_are_taken_whole() {
    if is_missing("shards_that_move_and_split_are_taken_whole") {
        return;
    }
    let (citus, session) = begin().await;
    let ours = [GROUPED[0], GROUPED[3], OF_ROWS[0]];
    for (name, query) in ours {
        create(&session, name, query).await;
        refreshed(&session, name).await;
    }
    for (step, statement) in [
        move_shard(&citus, 0, 1, "block_writes"),
        move_shard(&citus, 1, 0, "force_logical"),
        SPLIT.to_owned(),
        "SELECT rebalance_table_shards(shard_transfer_mode => 'block_writes')".to_owned(),
    ]
    .into_iter()
    .enumerate()
    {
        run(
            &session,
            "DELETE FROM d WHERE id % 7 = 3; UPDATE d SET v = v + 1",
        )
        .await;
        run(&session, &statement).await;
        for round in 0..2 {
            let first = 10_000 + step * 1000 + round * 200;
            run(&session, &format!(
                "INSERT INTO d (id, g, v) SELECT i, i % 5, i FROM generate_series({first}, {first} + 150) i;
                 UPDATE r SET name = name || '.'; DELETE FROM e WHERE w % 11 = {step}"
            )).await;
            for (name, query) in ours {
                let action = refreshed(&session, name).await;
                assert_eq!(action, "DIFFERENTIAL", "{name}: {statement}");
                right(&session, name, query).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_fails_is_repeated_without_loss() {
    if is_missing("a_refresh_that_fails_is_repeated_without_loss") {
        return;
    }
    let (citus, session) = begin().await;
    let (name, query) = GROUPED[0];
    create(&session, name, query).await;
    refreshed(&session, name).await;
    // The coordinator fails after the nodes have told of their changes.
    run(&session, &format!(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not now'; END $$;
         CREATE TRIGGER fail AFTER INSERT OR UPDATE OR DELETE ON {name} FOR EACH STATEMENT EXECUTE FUNCTION fail()"
    )).await;
    let before = format!("SELECT md5(string_agg(s::text, ',' ORDER BY g)) FROM {name} s");
    let content = value(&session, &before).await;
    let refresh = format!("SELECT action FROM pgtrickle.refresh_stream_table('{name}')");
    for changes in [CHANGES[0], CHANGES[4]] {
        run(&session, changes).await;
        let error = session.execute(&refresh).await.unwrap_err();
        assert!(error.to_string().contains("not now"), "{error}");
        assert_eq!(value(&session, &before).await, content);
    }
    run(&session, &format!("DROP TRIGGER fail ON {name}")).await;
    // A node is gone, with what it has told, and comes back.
    run(&session, "UPDATE d SET v = v * 2 WHERE g = 1").await;
    citus.workers()[1].stop(StopMode::Immediate).unwrap();
    let error = session.execute(&refresh).await.unwrap_err();
    assert_eq!(error.sqlstate, "08006", "{error}");
    citus.workers()[1].restart(StopMode::Immediate).unwrap();
    assert_eq!(refreshed(&session, name).await, "DIFFERENTIAL");
    right(&session, name, query).await;
    // The coordinator is gone after its refresh.
    run(&session, CHANGES[5]).await;
    refreshed(&session, name).await;
    citus.coordinator().restart(StopMode::Immediate).unwrap();
    let session = harness::runtime::connect(&citus, "postgres").await.unwrap();
    right(&session, name, query).await;
    assert_eq!(refreshed(&session, name).await, "NO_DATA");
    run(
        &session,
        CHANGES[4].replace("6000, 6400", "7000, 7400").as_str(),
    )
    .await;
    assert_eq!(refreshed(&session, name).await, "DIFFERENTIAL");
    right(&session, name, query).await;
}
