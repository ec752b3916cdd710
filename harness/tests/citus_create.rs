//! Creating stream tables that the nodes of a cluster of Citus keep: what is refused, what is left, what nodes are told.
//!
//! Without Citus the tests are reported as skipped, with the reason, which fails where `PGT_REQUIRE_CITUS` is set.

use std::io::Write;

use harness::citus::is_missing;
use harness::citus::tables::{CHANGES, LOCAL, create, nothing_is_left, refreshed, right, start};
use harness::client::{Session, quote_literal};
use harness::insist::{run, until, value};

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_leaves_nothing_on_any_node() {
    if is_missing("what_fails_leaves_nothing_on_any_node") {
        return;
    }
    let (citus, session) = start().await;
    let make = "SELECT pgtrickle.create_stream_table('s', 'SELECT id, count(*) AS n FROM e GROUP BY id', '1h')";
    // It is taken back after it was filled; its content cannot be computed; a name is taken.
    run(&session, &format!("BEGIN; {make}")).await;
    run(&session, "ROLLBACK").await;
    for (failing, state) in [
        (
            "SELECT pgtrickle.create_stream_table('s', 'SELECT id, 1 / (id - 3) AS x FROM d')",
            "22012",
        ),
        (
            "SELECT pgtrickle.create_stream_table('d', 'SELECT id, g FROM d')",
            "42P07",
        ),
        (
            "SELECT pgtrickle.create_stream_table('s', 'SELECT id, g FROM d', output_distribution_column => 'g')",
            "0A000",
        ),
        (
            "SELECT pgtrickle.create_stream_table('s', 'SELECT g FROM d', output_distribution_column => 'g')",
            "0A000",
        ),
        (
            "SELECT pgtrickle.create_stream_table('s', 'SELECT g FROM r', output_distribution_column => 'g')",
            "0A000",
        ),
    ] {
        let error = session.execute(failing).await.unwrap_err();
        assert_eq!(error.sqlstate, state, "{failing}: {error}");
    }
    nothing_is_left(&citus).await;
    let gone = "SELECT string_agg(result, '') FROM run_command_on_workers($$SELECT count(*) FROM pg_class WHERE relname = 's' OR relname ~ '^s_'$$)";
    assert_eq!(value(&session, gone).await, "00");

    // A refresh in a transaction that could hold locks against itself is refused.
    run(&session, make).await;
    run(&session, "BEGIN; INSERT INTO e VALUES (1, 9999)").await;
    let error = session
        .execute("SELECT pgtrickle.refresh_stream_table('s')")
        .await
        .unwrap_err();
    assert_eq!(error.sqlstate, "25001", "{error}");
    run(&session, "ROLLBACK").await;
    refreshed(&session, "s").await;

    // Schedule and status reach the nodes; what cannot is refused.
    run(
        &session,
        "SELECT pgtrickle.alter_stream_table('s', schedule => '2h', status => 'SUSPENDED')",
    )
    .await;
    let told = "SELECT string_agg(DISTINCT result, '') FROM run_command_on_workers('SELECT string_agg(DISTINCT schedule || status, $$,$$) FROM pgtrickle.pgt_stream_tables')";
    assert_eq!(value(&session, told).await, "2hSUSPENDED");
    for change in [
        "query => 'SELECT id FROM d'",
        "refresh_mode => 'FULL'",
        "settings => ARRAY['TimeZone=UTC']",
    ] {
        let alter = format!("SELECT pgtrickle.alter_stream_table('s', {change})");
        let error = session.execute(&alter).await.unwrap_err();
        assert_eq!(error.sqlstate, "0A000", "{error}");
    }
    run(&session, "DROP TABLE e CASCADE").await;
    nothing_is_left(&citus).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_crosses_shards_is_told_how() {
    if is_missing("what_crosses_shards_is_told_how") {
        return;
    }
    let (_citus, session) = start().await;
    for (query, how) in [
        (
            "SELECT g, count(*) FROM d GROUP BY g",
            "rows of several shards are grouped together",
        ),
        (
            "SELECT count(*) FROM d",
            "rows of several shards are grouped together",
        ),
        (
            "SELECT d.id FROM d JOIN x USING (id)",
            "a join is not on the distribution columns of both sides",
        ),
        ("SELECT g FROM d", "no distribution column is in its result"),
        (
            "SELECT r.g, d.id FROM r LEFT JOIN d USING (g)",
            "an outer join or a subquery must ask all shards whether a row exists",
        ),
        (
            "SELECT d.id, apart.id AS other FROM d, apart",
            "its tables are not co-located",
        ),
        (
            "SELECT id FROM d UNION ALL SELECT g FROM r",
            "a set operation has an arm without a distributed table",
        ),
        (
            "SELECT id, rank() OVER (ORDER BY v) FROM d",
            "a window or a limit is over rows of several shards",
        ),
        (
            "SELECT id, v FROM d ORDER BY v LIMIT 3",
            "a window or a limit is over rows of several shards",
        ),
    ] {
        let create = format!(
            "SELECT pgtrickle.create_stream_table('no', {}, output_distribution_column => 'id')",
            quote_literal(query)
        );
        let error = session.execute(&create).await.unwrap_err();
        assert_eq!(error.sqlstate, "0A000", "{error}");
        let text = error.to_string();
        assert!(text.contains(how), "{query}: {error}");
    }
    for mode in ["DIFFERENTIAL", "AUTO"] {
        run(&session, &format!("SELECT pgtrickle.create_stream_table('st_{mode}', 'SELECT d.id AS one, e.w, e.id AS other FROM d JOIN e USING (id)', refresh_mode => '{mode}', output_distribution_column => 'other')")).await;
        let column = format!(
            "SELECT column_to_column_name(logicalrelid, partkey) FROM pg_dist_partition WHERE logicalrelid = 'st_{mode}'::regclass"
        );
        assert_eq!(value(&session, &column).await, "other");
    }
    let told = "SELECT string_agg(DISTINCT code || ' ' || maintained, ',' ORDER BY code || ' ' || maintained) FROM pgtrickle.explain_capabilities($1) WHERE code ~ 'CITUS'";
    for (query, codes) in [
        (
            "SELECT id, count(*) FROM e GROUP BY id",
            "CITUS_SHARD_LOCAL DIFFERENTIAL",
        ),
        (
            "SELECT g, count(*) FROM d GROUP BY g",
            "CITUS_TWO_STEPS DIFFERENTIAL",
        ),
        (
            "SELECT d.id FROM d JOIN x ON x.id = d.g",
            "CITUS_IMAGES FULL",
        ),
        (
            "SELECT id, rank() OVER (ORDER BY v) FROM d",
            "CITUS_DISTRIBUTED_TABLE FULL",
        ),
        ("SELECT g FROM r", "CITUS_LOCAL_SHARD DIFFERENTIAL"),
    ] {
        assert_eq!(
            value(&session, &told.replace("$1", &quote_literal(query))).await,
            codes
        );
    }
}

/// Texts that are to arrive as they are.
const ODD: [&str; 8] = [
    "plain",
    "it's \"quoted\"",
    r"back\slash \' \\ E'\'",
    "new\nline\ttab",
    "host=elsewhere port=1",
    "$$ $1 $x$ ; SELECT 1; --",
    "ünï→码🐘",
    "{a,b} NULL 'NULL'",
];

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_told_names_and_queries_as_they_are() {
    if is_missing("nodes_are_told_names_and_queries_as_they_are") {
        return;
    }
    let (citus, session) = start().await;
    let ident = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    for (number, odd) in ODD.iter().enumerate() {
        let schema = ident(&format!("s {odd}"));
        let (table, stream) = (
            format!("{schema}.{}", ident(odd)),
            format!("{schema}.{}", ident(&format!("of {odd}"))),
        );
        let column = ident(&format!("c {odd}"));
        run(&session, &format!("CREATE SCHEMA {schema}; CREATE TABLE {table} ({column} text PRIMARY KEY, n int); SELECT create_distributed_table({}, {})",
            quote_literal(&table), quote_literal(&format!("c {odd}")))).await;
        let literal = quote_literal(odd);
        let query = format!(
            "SELECT {column}, n, {literal} AS {} FROM {table} WHERE {column} <> {literal} OR n > {number}",
            ident(&format!("l {odd}"))
        );
        run(
            &session,
            &format!(
                "SELECT pgtrickle.create_stream_table({}, {}, '1h', 'DIFFERENTIAL')",
                quote_literal(&stream),
                quote_literal(&query)
            ),
        )
        .await;
        refreshed(&session, &stream).await;
        run(&session, &format!("INSERT INTO {table} SELECT {literal} || i, i FROM generate_series(1, 40) i; INSERT INTO {table} VALUES ({literal}, {number})")).await;
        refreshed(&session, &stream).await;
        right(&session, &stream, &query).await;
        let nodes =
            "SELECT count(DISTINCT query) || ' ' || min(query) FROM pgtrickle.pgt_stream_tables";
        let told = [&citus.workers()[0], &citus.workers()[1]];
        let mut texts = Vec::new();
        for worker in told {
            let worker = Session::connect(worker, "postgres").await.unwrap();
            texts.push(value(&worker, nodes).await);
        }
        assert_eq!(texts[0], texts[1]);
        assert!(texts[0].starts_with("1 "), "{}", texts[0]);
        run(
            &session,
            &format!(
                "SELECT pgtrickle.drop_stream_table({})",
                quote_literal(&stream)
            ),
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_owner_says_what_is_computed() {
    if is_missing("only_the_owner_says_what_is_computed") {
        return;
    }
    let (citus, session) = start().await;
    run(&session, "CREATE ROLE owner LOGIN; CREATE ROLE keeper LOGIN; GRANT CREATE ON SCHEMA public TO owner; GRANT SELECT, TRIGGER ON d, e, r TO owner").await;
    run(&session, "SET ROLE owner").await;
    create(&session, "owned", LOCAL[2].1).await;
    run(
        &session,
        "GRANT SELECT, MAINTAIN ON owned TO keeper; RESET ROLE",
    )
    .await;
    until(
        &session,
        "SELECT bool_and(is_populated) FROM pgtrickle.pgt_stream_tables",
    )
    .await;
    run(&session, CHANGES[1]).await;
    run(&session, "SET ROLE keeper").await;
    refreshed(&session, "owned").await;
    run(&session, "RESET ROLE").await;
    right(&session, "owned", LOCAL[2].1).await;

    let worker = Session::connect(&citus.workers()[0], "postgres")
        .await
        .unwrap();
    for (role, query, state) in [
        (
            "keeper",
            "SELECT 1 AS id, ''secret'' AS name, 1::int8 AS n, 1::int8 AS w",
            "42501",
        ),
        ("pg_monitor", "SELECT 1", "42501"),
    ] {
        run(&worker, &format!("SET ROLE {role}")).await;
        let call = format!(
            "SELECT pgtrickle.maintain_shards('owned', '{query}', '1h', 'ACTIVE', '{{}}', 'REFRESH')"
        );
        let error = worker.execute(&call).await.unwrap_err();
        assert_eq!(error.sqlstate, state, "{error}");
        run(&worker, "RESET ROLE").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_of_the_coordinator_is_that_of_ordinary_tables() {
    if is_missing("a_dump_of_the_coordinator_is_that_of_ordinary_tables") {
        return;
    }
    let (citus, session) = start().await;
    let (name, query) = LOCAL[2];
    create(&session, name, query).await;
    create(
        &session,
        "of_one_shard",
        "SELECT g, name FROM r WHERE g > 1",
    )
    .await;
    refreshed(&session, name).await;
    let dump = citus
        .coordinator()
        .client_command("pg_dump")
        .arg("postgres")
        .output();
    let dump = String::from_utf8(dump.unwrap().stdout).unwrap();
    assert!(dump.contains("CREATE TABLE public.joined"), "{dump}");

    // A node by itself takes it in, in another database.
    let alone = &citus.workers()[0];
    let elsewhere = Session::connect(alone, "postgres").await.unwrap();
    run(&elsewhere, "CREATE DATABASE restored").await;
    let mut psql = alone.client_command("psql");
    psql.args(["-q", "-X", "-v", "ON_ERROR_STOP=1", "restored"]);
    psql.stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null());
    let mut running = psql.spawn().unwrap();
    running
        .stdin
        .take()
        .unwrap()
        .write_all(dump.as_bytes())
        .unwrap();
    assert!(running.wait().unwrap().success());
    let restored = Session::connect(alone, "restored").await.unwrap();
    assert_eq!(
        value(&restored, "SELECT pgtrickle.restore_stream_tables()").await,
        "2"
    );
    run(&restored, CHANGES[1]).await;
    run(&restored, "UPDATE r SET name = name || '!' WHERE g = 3").await;
    for (name, query) in [
        (name, query),
        ("of_one_shard", "SELECT g, name FROM r WHERE g > 1"),
    ] {
        let mode = format!(
            "SELECT concat_ws(' ', refresh_mode, mode_code) FROM pgtrickle.pgt_status() WHERE name = '{name}'"
        );
        assert_eq!(value(&restored, &mode).await, "DIFFERENTIAL");
        refreshed(&restored, name).await;
        right(&restored, name, query).await;
    }
}
