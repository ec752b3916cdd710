//! Ordinary roles on a cluster of Citus: none here is a superuser but where it says so.
//!
//! Without Citus the tests are reported as skipped, with the reason, which fails where `PGT_REQUIRE_CITUS` is set.

use harness::citus::tables::{
    CHANGES, GROUPED, LOCAL, OF_ROWS, TABLES, create, move_shard, nothing_is_left, refreshed, right,
};
use harness::citus::{Citus, is_missing};
use harness::client::Session;
use harness::insist::{exact, run, value};
use harness::runtime::connect;

/// A cluster with roles: one that owns the tables, one that may only insert into them, one that reads results, one that
/// may refresh, one that inherits, one that may do nothing. Sessions of a superuser and of the owner.
async fn start() -> (Citus, Session, Session) {
    let citus = Citus::start().await.unwrap();
    let root = connect(&citus, "postgres").await.unwrap();
    run(&root, "CREATE ROLE owner LOGIN; CREATE ROLE writer LOGIN; CREATE ROLE reader LOGIN; CREATE ROLE keeper LOGIN;
        CREATE ROLE heir LOGIN; CREATE ROLE stranger LOGIN; GRANT CREATE ON SCHEMA public TO owner, heir").await;
    let owner = session(&citus, "owner").await;
    run(&owner, "SET citus.enable_repartition_joins = on").await;
    run(&owner, TABLES).await;
    run(
        &owner,
        "GRANT INSERT ON d, e TO writer; GRANT SELECT, TRIGGER ON d, e, r TO heir",
    )
    .await;
    (citus, root, owner)
}

async fn session(citus: &Citus, role: &str) -> Session {
    Session::connect_as(citus, "postgres", role).await.unwrap()
}

/// Stream tables that nodes keep, and in two steps, of groups and of tables.
const OURS: [(&str, &str); 5] = [LOCAL[2], LOCAL[11], GROUPED[0], GROUPED[3], OF_ROWS[0]];

/// Stream tables over a table that gets policies afterwards.
const BEFORE: [(&str, &str); 2] = [
    ("before", "SELECT id, t FROM d WHERE v > 3"),
    (
        "groups_before",
        "SELECT v % 3 AS k, count(*) AS n FROM d GROUP BY 1",
    ),
];

/// Fails with this SQLSTATE. A refresh by the scheduler that takes the same locks may come in between.
async fn fails(session: &Session, sql: &str, state: &str) {
    let mut error = session.execute(sql).await.expect_err(sql);
    for _ in 0..5 {
        if error.sqlstate == "40P01" {
            error = session.execute(sql).await.expect_err(sql);
        }
    }
    assert_eq!(error.sqlstate, state, "{sql}: {error}");
}

/// What a role may read of all that is kept for stream tables, on all nodes.
async fn readable(citus: &Citus, role: &str) -> String {
    let mut all = String::new();
    let nodes = std::iter::once(citus.coordinator()).chain(citus.workers());
    for node in nodes {
        let session = Session::connect(node, "postgres").await.unwrap();
        run(&session, "SET citus.override_table_visibility = off").await;
        let readable = format!(
            "SELECT coalesce(string_agg(c.oid::regclass::text, ' '), '') FROM pg_class c
             WHERE c.relkind IN ('r', 'v', 'p') AND has_table_privilege('{role}', c.oid, 'SELECT')
               AND (c.relnamespace::regnamespace::text ~ '^pgtrickle_(state|changes|part)'
                    OR c.relnamespace = 'public'::regnamespace AND c.relname !~ '^(pg|citus)_')"
        );
        all.push_str(&value(&session, &readable).await);
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ordinary_owner_creates_refreshes_and_drops() {
    if is_missing("an_ordinary_owner_creates_refreshes_and_drops") {
        return;
    }
    let (citus, root, owner) = start().await;
    for (name, query) in OURS {
        create(&owner, name, query).await;
        refreshed(&owner, name).await;
        right(&owner, name, query).await;
    }
    let writer = session(&citus, "writer").await;
    for (step, changes) in CHANGES.into_iter().enumerate() {
        run(&owner, changes).await;
        let first = 50_000 + step * 100;
        run(&writer, &format!("INSERT INTO d (id, g, v) SELECT i, i % 5, i FROM generate_series({first}, {first} + 50) i;
            INSERT INTO e VALUES ({first}, 1)")).await;
        for (name, query) in OURS {
            refreshed(&owner, name).await;
            right(&owner, name, query).await;
            assert_eq!(refreshed(&owner, name).await, "NO_DATA", "{name}");
        }
    }
    fails(&writer, "SELECT FROM d", "42501").await;

    // Nodes by their schedulers.
    run(
        &owner,
        "SELECT pgtrickle.alter_stream_table(name, schedule => '1s') FROM pgtrickle.pgt_status()",
    )
    .await;
    run(
        &writer,
        "INSERT INTO d (id, g, v) VALUES (90001, 3, 3); INSERT INTO e VALUES (90001, 7)",
    )
    .await;
    let ours = OURS.map(|(name, _)| name);
    exact(&owner, &[LOCAL[2].0, LOCAL[11].0]).await;

    // Nothing of it shows to those who have no rights to it, and they do nothing to it.
    assert_eq!(readable(&citus, "stranger").await, "");
    let stranger = session(&citus, "stranger").await;
    assert_eq!(
        value(&stranger, "SELECT count(*) FROM pgtrickle.pgt_status()").await,
        "0"
    );
    for name in ours {
        for statement in [
            format!("SELECT pgtrickle.refresh_stream_table('{name}')"),
            format!("SELECT pgtrickle.drop_stream_table('{name}')"),
            format!("SELECT pgtrickle.explain_st('{name}')"),
            format!("SELECT FROM {name}"),
        ] {
            fails(&stranger, &statement, "42501").await;
        }
    }
    let anchors = "SELECT logicalrelid::text FROM pg_dist_partition WHERE logicalrelid::text ~ '^pgtrickle_part'";
    let anchors = root.rows(anchors).await.unwrap();
    for anchor in anchors.into_iter().flatten().flatten() {
        for worker in citus.workers() {
            let there = Session::connect_as(worker, "postgres", "stranger").await;
            let ask = format!(
                "SELECT pgtrickle.take_part('{anchor}', 'SELECT 1', '1h', 'ACTIVE', '{{}}', 'REFRESH', '{{}}')"
            );
            fails(&there.unwrap(), &ask, "42501").await;
        }
    }
    for name in ours {
        run(
            &owner,
            &format!("SELECT pgtrickle.drop_stream_table('{name}')"),
        )
        .await;
    }
    nothing_is_left(&citus).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_coordinator_follows_for_an_ordinary_owner_by_its_schedule() {
    if is_missing("the_coordinator_follows_for_an_ordinary_owner_by_its_schedule") {
        return;
    }
    let (_citus, root, owner) = start().await;
    let (name, query) = GROUPED[0];
    create(&owner, name, query).await;
    refreshed(&owner, name).await;
    right(&owner, name, query).await;
    // Not even the owner writes to what is kept of parts.
    let kept = "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'pgtrickle_state'::regnamespace
         AND relkind = 'r' AND relname ~ '^(image|taken)_'";
    let kept = root.rows(kept).await.unwrap();
    assert!(!kept.is_empty());
    for table in kept.into_iter().flatten().flatten() {
        fails(&owner, &format!("DELETE FROM {table}"), "42809").await;
        fails(&owner, &format!("TRUNCATE {table}"), "42809").await;
    }

    let alter = format!("SELECT pgtrickle.alter_stream_table('{name}', schedule => '1s')");
    run(&owner, &alter).await;
    run(&owner, "INSERT INTO d (id, g, v) VALUES (90001, 3, 3)").await;
    exact(&owner, &[name]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_may_refresh_need_no_rights_on_nodes() {
    if is_missing("those_who_may_refresh_need_no_rights_on_nodes") {
        return;
    }
    let (citus, root, owner) = start().await;
    let keeper = session(&citus, "keeper").await;
    for (name, query) in OURS {
        create(&owner, name, query).await;
        refreshed(&owner, name).await;
        run(&owner, &format!("GRANT MAINTAIN ON {name} TO keeper")).await;
        refreshed(&keeper, name).await;
    }
    for statement in [
        CHANGES[1].to_owned(),
        move_shard(&citus, 0, 1, "block_writes"),
    ] {
        run(&root, &statement).await;
        run(&owner, CHANGES[0].replace("5001", "5002").as_str()).await;
        for (name, query) in OURS {
            refreshed(&keeper, name).await;
            right(&owner, name, query).await;
        }
        run(&owner, "DELETE FROM d WHERE id = 5002").await;
    }
    fails(&keeper, "SELECT FROM joined", "42501").await;

    // Another owner has all of it.
    for (name, _) in OURS {
        run(&root, &format!("ALTER TABLE {name} OWNER TO heir")).await;
    }
    run(&owner, "GRANT SELECT, TRIGGER ON x TO heir").await;
    run(&owner, CHANGES[3].replace("ROLLBACK", "COMMIT").as_str()).await;
    let heir = session(&citus, "heir").await;
    run(&heir, "SET citus.enable_repartition_joins = on").await;
    for (name, query) in OURS {
        let refresh = format!("SELECT pgtrickle.refresh_stream_table('{name}')");
        fails(&owner, &refresh, "42501").await;
        refreshed(&heir, name).await;
        right(&heir, name, query).await;
    }
    run(&owner, CHANGES[4]).await;
    for (name, query) in OURS {
        let action = refreshed(&heir, name).await;
        assert!(
            ["DIFFERENTIAL", "NO_DATA"].contains(&action.as_str()),
            "{name}: {action}"
        );
        right(&heir, name, query).await;
        run(
            &heir,
            &format!("SELECT pgtrickle.drop_stream_table('{name}')"),
        )
        .await;
    }
    run(&root, "CALL citus_cleanup_orphaned_resources()").await;
    nothing_is_left(&citus).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_of_others_are_dropped_after_what_reads_them() {
    if is_missing("sources_of_others_are_dropped_after_what_reads_them") {
        return;
    }
    let (citus, root, owner) = start().await;
    let heir = session(&citus, "heir").await;
    // Citus itself refuses it of spread ones.
    for (name, query) in [LOCAL[2], GROUPED[0]] {
        create(&heir, name, query).await;
        refreshed(&heir, name).await;
        fails(&owner, "DROP TABLE d CASCADE", "42501").await;
        right(&heir, name, query).await;
        let drop = format!("SELECT pgtrickle.drop_stream_table('{name}')");
        run(&heir, &drop).await;
        nothing_is_left(&citus).await;
    }
    for (name, query) in [LOCAL[2], GROUPED[0]] {
        create(&heir, name, query).await;
        refreshed(&heir, name).await;
    }
    run(&root, "DROP TABLE d CASCADE").await;
    nothing_is_left(&citus).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_security_of_readers_and_of_sources_holds() {
    if is_missing("row_security_of_readers_and_of_sources_holds") {
        return;
    }
    let (citus, _root, owner) = start().await;
    // What a reader sees of a stream table.
    let seen = [
        ("joined", LOCAL[2].1, "id < 20"),
        ("by_group", GROUPED[0].1, "g < 3"),
    ];
    for (name, query, policy) in seen {
        create(&owner, name, query).await;
        for statement in [
            format!("GRANT SELECT ON {name} TO reader"),
            format!("ALTER TABLE {name} ENABLE ROW LEVEL SECURITY"),
            format!("CREATE POLICY part ON {name} FOR SELECT TO reader USING ({policy})"),
        ] {
            run(&owner, &statement).await;
        }
    }
    let reader = session(&citus, "reader").await;
    for changes in ["SELECT", CHANGES[1], CHANGES[0]] {
        run(&owner, changes).await;
        for (name, query, policy) in seen {
            refreshed(&owner, name).await;
            right(&owner, name, query).await;
            let (all, some) = (
                value(
                    &owner,
                    &format!("SELECT count(*) FROM {name} WHERE {policy}"),
                )
                .await,
                value(&reader, &format!("SELECT count(*) FROM {name}")).await,
            );
            assert_eq!(all, some, "{name}");
        }
    }
    // What an owner of a stream table sees of its sources: recomputed, by the policies that hold for that role. So it is
    // with those that are there before the policies.
    let heir = session(&citus, "heir").await;
    for (name, query) in BEFORE {
        create(&heir, name, query).await;
        refreshed(&heir, name).await;
        right(&heir, name, query).await;
    }
    for statement in [
        "ALTER TABLE d ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY part ON d FOR SELECT TO heir USING (g = 1)",
    ] {
        run(&owner, statement).await;
    }
    for (name, query) in [
        ("own", "SELECT id, v FROM d"),
        ("own_groups", "SELECT g, count(*) AS n FROM d GROUP BY g"),
    ] {
        let create = |mode| {
            format!("SELECT pgtrickle.create_stream_table('{name}', '{query}', '1h', '{mode}')")
        };
        fails(&heir, &create("DIFFERENTIAL"), "0A000").await;
        run(&heir, &create("AUTO")).await;
        for change in [3, 4, 5] {
            run(
                &owner,
                &format!("UPDATE d SET g = {change} % 2 WHERE id % 5 = {change}"),
            )
            .await;
            refreshed(&heir, name).await;
            right(&heir, name, query).await;
        }
    }
    assert_eq!(
        value(&heir, "SELECT count(*) FROM own_groups WHERE g <> 1").await,
        "0"
    );
    for (name, query) in BEFORE {
        refreshed(&heir, name).await;
        right(&heir, name, query).await;
    }
}
