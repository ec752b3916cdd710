//! Every scenario of `scenarios/beside/`, on a server that has the other extensions, with the versions of these.
//!
//! `cargo xtask images beside` brings the server; `PGT_BESIDE` says where it is. `PGT_SCENARIO=part-of-a-name` replays
//! only some.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use harness::client::Session;
use harness::cluster::{Cluster, ClusterOptions, ExtensionDir, SUPERUSER};
use harness::insist::run;
use harness::oracle;
use harness::postgres::Installation;
use harness::runtime::connect;
use harness::scenario::{Scenario, World, load_beside, replay_all};

/// The server with its neighbours; a line that says why there is none.
fn server() -> Option<PathBuf> {
    match env::var_os("PGT_BESIDE") {
        Some(folder) => Some(PathBuf::from(folder)),
        None => {
            let why = env::var("PGT_NO_BESIDE").unwrap_or_else(|_| {
                "PGT_BESIDE names no server (cargo xtask images beside)".into()
            });
            println!("skipped: beside: {why}");
            None
        }
    }
}

/// The versions of the packages.
fn versions(folder: &Path) -> BTreeMap<String, String> {
    let list = fs::read_to_string(folder.join("packages.txt")).expect("a list of packages");
    list.lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, version)| (name.to_owned(), version.to_owned()))
        .collect()
}

fn start(folder: &Path, preload: &[String]) -> Cluster {
    let installation = Installation::from_pg_config(&folder.join("bin/pg_config"))
        .expect("a server with its neighbours");
    let extension = ExtensionDir::installed().expect("the extension is installed");
    let mut libraries = preload.to_vec();
    libraries.push("pg_trickle".into());
    let options = ClusterOptions::new()
        .installation(installation)
        .extension(extension)
        .setting("shared_preload_libraries", libraries.join(","))
        .setting("max_worker_processes", "40")
        .setting("max_locks_per_transaction", "256")
        .setting("wal_level", "logical")
        // Since 18.6 a server loads no other output plugins than these.
        .setting(
            "output_plugin_libraries",
            "pgoutput, pglogical_output, pg_squeeze",
        )
        .setting("timescaledb.telemetry_level", "off")
        .setting("pg_trickle.enabled", "off");
    Cluster::start(&options).expect("a private cluster starts")
}

/// A server with these libraries and a session on it, if there is one.
async fn begin(preload: &[&str]) -> Option<(PathBuf, Cluster, Session)> {
    let folder = server()?;
    let preload: Vec<String> = preload.iter().map(|name| (*name).to_owned()).collect();
    let cluster = start(&folder, &preload);
    let session = connect(&cluster, "postgres").await.expect("a session");
    Some((folder, cluster, session))
}

/// Differences between a stream table and its query, in either direction.
async fn differences(session: &Session, table: &str) -> String {
    let verdict = oracle::check(session, table).await.expect("a verdict");
    if verdict.is_exact() {
        return String::new();
    }
    verdict.to_string()
}

/// Waits until the query returns `true`, half a minute at most.
async fn wait_until(session: &Session, query: &str) {
    let end = Instant::now() + Duration::from_secs(30);
    while session.scalar(query).await.expect("an answer") != "t" {
        assert!(Instant::now() < end, "{query} did not become true");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

const SOURCE: &str = "
CREATE EXTENSION IF NOT EXISTS pg_trickle;
CREATE TABLE t (id int PRIMARY KEY, g int, v int);
INSERT INTO t SELECT i, i % 5, i FROM generate_series(1, 500) i;
SELECT pgtrickle.create_stream_table('d', 'SELECT g, count(*) AS n, sum(v) AS s FROM t GROUP BY g', '1h', 'DIFFERENTIAL');
SELECT pgtrickle.create_stream_table('i', 'SELECT g, count(*) AS n, sum(v) AS s FROM t GROUP BY g', '1h', 'IMMEDIATE');";

/// The action of a refresh of `d`; both stream tables must be exact afterwards.
async fn refresh(session: &Session) -> String {
    let action = session
        .scalar("SELECT action FROM pgtrickle.refresh_stream_table('d')")
        .await
        .expect("a refresh");
    assert_eq!(differences(session, "d").await, "");
    assert_eq!(differences(session, "i").await, "");
    action
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_repack_costs_one_recomputation() {
    let Some((_, cluster, session)) = begin(&[]).await else {
        return;
    };
    run(&session, SOURCE).await;
    run(&session, "CREATE EXTENSION pg_repack").await;
    run(&session, "DELETE FROM t WHERE id % 3 = 0").await;
    let repack = |cluster: &Cluster| {
        let mut repack = cluster.client_command("pg_repack");
        let output = repack
            .args(["--dbname", "postgres", "--table", "t"])
            .output();
        let output = output.expect("pg_repack runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    assert_eq!(refresh(&session).await, "DIFFERENTIAL");
    repack(&cluster);
    assert_eq!(refresh(&session).await, "FULL");
    assert_eq!(refresh(&session).await, "NO_DATA");
    // Changes that wait meanwhile are not lost.
    run(&session, "UPDATE t SET v = v + 1 WHERE g = 1").await;
    repack(&cluster);
    run(&session, "INSERT INTO t VALUES (1000, 1, 1)").await;
    assert_eq!(refresh(&session).await, "FULL");
    run(&session, "DELETE FROM t WHERE g = 2").await;
    assert_eq!(refresh(&session).await, "DIFFERENTIAL");
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_cron_refreshes_stream_tables() {
    let Some((_, _cluster, session)) = begin(&["pg_cron"]).await else {
        return;
    };
    run(&session, SOURCE).await;
    run(&session, "CREATE EXTENSION pg_cron").await;
    run(&session, "UPDATE cron.job SET nodename = ''").await;
    run(&session,
            "SELECT cron.schedule('refresh', '1 seconds', $$SELECT pgtrickle.refresh_stream_table('d')$$);
             UPDATE cron.job SET nodename = split_part(current_setting('unix_socket_directories'), ',', 1);
             UPDATE t SET v = v + 1 WHERE g = 1",
        ).await;
    wait_until(
        &session,
        "SELECT NOT EXISTS (TABLE d EXCEPT ALL SELECT g, count(*), sum(v) FROM t GROUP BY g)",
    )
    .await;
    assert_eq!(differences(&session, "i").await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_pgbouncer_write_and_refresh() {
    let Some((folder, cluster, session)) = begin(&[]).await else {
        return;
    };
    run(&session, SOURCE).await;
    let place = cluster.socket_dir().join("bouncer");
    fs::create_dir(&place).expect("a folder");
    fs::set_permissions(&place, fs::Permissions::from_mode(0o777)).expect("permissions");
    let place = place.display();
    let configuration = cluster.socket_dir().join("bouncer.ini");
    let text = format!(
        "[databases]\npostgres = host={} port={}\n[pgbouncer]\nlisten_port = 6432\nunix_socket_dir = {place}\n\
         auth_type = any\npool_mode = transaction\ndefault_pool_size = 2\nlogfile = {place}/log\n",
        cluster.socket_dir().display(),
        cluster.port(),
    );
    // `auth_type = any` asks the server as the user that the database names.
    let text = text.replace(" port=", &format!(" user={SUPERUSER} port="));
    fs::write(&configuration, text).expect("a configuration");
    let program = folder.join("usr/sbin/pgbouncer");
    let mut bouncer = Command::new(&program);
    cluster.as_server_user(&mut bouncer);
    let mut bouncer = bouncer
        .arg(&configuration)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("pgbouncer starts");
    let ask = |sql: &str| {
        let mut psql = cluster.command("psql");
        psql.env("PGHOST", place.to_string())
            .env("PGPORT", "6432")
            .env("PGUSER", SUPERUSER);
        psql.args(["-X", "-A", "-t", "-q", "-d", "postgres", "-c", sql]);
        let output = psql.output().expect("psql runs");
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        )
    };
    let end = Instant::now() + Duration::from_secs(20);
    while !ask("SELECT 1").0 {
        assert!(Instant::now() < end, "pgbouncer does not answer");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for round in 0..20 {
        assert!(
            ask(&format!(
                "UPDATE t SET v = v + {round} WHERE g = {}",
                round % 5
            ))
            .0
        );
        assert!(ask(&format!("INSERT INTO t VALUES ({}, 1, 1)", 1000 + round)).0);
        let (_, action) = ask("SELECT action FROM pgtrickle.refresh_stream_table('d')");
        assert_eq!(action, "DIFFERENTIAL");
    }
    bouncer.kill().expect("pgbouncer ends");
    bouncer.wait().expect("its end");
    assert_eq!(refresh(&session).await, "NO_DATA");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_pglogical_applies_is_followed() {
    let Some((_, cluster, admin)) = begin(&["pglogical"]).await else {
        return;
    };
    run(&admin, "CREATE DATABASE provider").await;
    let provider = Session::connect(&cluster, "provider").await;
    let provider = provider.expect("a session");
    let dsn = |database: &str| {
        format!(
            "host={} port={} user={SUPERUSER} dbname={database}",
            cluster.socket_dir().display(),
            cluster.port()
        )
    };
    run(
        &provider,
        &format!(
            "CREATE EXTENSION pglogical;
             CREATE TABLE t (id int PRIMARY KEY, g int, v int);
             INSERT INTO t SELECT i, i % 5, i FROM generate_series(1001, 1100) i;
             SELECT pglogical.create_node('provider', '{}');
             SELECT pglogical.replication_set_add_table('default', 't')",
            dsn("provider")
        ),
    )
    .await;
    run(&admin, SOURCE).await;
    run(&admin, "CREATE EXTENSION pglogical").await;
    for sql in [
        format!(
            "SELECT pglogical.create_node('subscriber', '{}')",
            dsn("postgres")
        ),
        format!(
            "SELECT pglogical.create_subscription('sub', '{}', synchronize_structure => false)",
            dsn("provider")
        ),
    ] {
        run(&admin, &sql).await;
    }
    wait_until(&admin, "SELECT count(*) = 600 FROM t").await;
    refresh(&admin).await;
    run(&provider, "INSERT INTO t VALUES (2000, 1, 1); UPDATE t SET v = v + 100 WHERE id = 1001; DELETE FROM t WHERE id = 1002").await;
    wait_until(
        &admin,
        "SELECT bool_or(id = 2000) AND bool_or(id = 1001 AND v = 1101) AND NOT bool_or(id = 1002) FROM t",
    )
    .await;
    assert_eq!(refresh(&admin).await, "DIFFERENTIAL");
    run(&admin, "SELECT pglogical.drop_subscription('sub')").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_scenario_beside_another_extension_is_exact() {
    let Some(folder) = server() else {
        return;
    };
    let versions = versions(&folder);
    let mut scenarios = load_beside(&Scenario::folder()).expect("readable scenarios");
    if let Ok(part) = env::var("PGT_SCENARIO") {
        scenarios.retain(|scenario| scenario.name.contains(&part));
    }
    let mut by_preload: BTreeMap<Vec<String>, Vec<Scenario>> = BTreeMap::new();
    for scenario in scenarios {
        let preload = scenario.beside.clone().map(|beside| beside.preload);
        by_preload
            .entry(preload.unwrap_or_default())
            .or_default()
            .push(scenario);
    }
    let mut wrong = 0;
    for (preload, scenarios) in by_preload {
        let cluster = start(&folder, &preload);
        let world = World::with_extension(&cluster)
            .await
            .expect("the extension can be created");
        let mark = cluster.log_mark();
        for scenario in scenarios {
            let package = scenario.beside.as_ref().map(|beside| &beside.package);
            let package = package.expect("a scenario beside another extension");
            let version = versions.get(package).map_or("not found", String::as_str);
            let (replays, failures) = replay_all(&world, std::slice::from_ref(&scenario)).await;
            println!(
                "{}: {replays} replays, {} failed, beside {package} {version}",
                scenario.name,
                failures.len()
            );
            for failure in &failures {
                println!("{failure}\n");
            }
            wrong += failures.len();
        }
        let crashes = cluster.crashes_since(mark);
        for crash in &crashes {
            println!("{crash}");
        }
        wrong += crashes.len();
    }
    assert_eq!(wrong, 0, "replays failed or servers crashed");
}
