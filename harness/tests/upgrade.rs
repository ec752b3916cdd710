//! `ALTER EXTENSION … UPDATE`: from every version whose objects are kept in `upgrade/` it makes the objects of CREATE
//! EXTENSION; a server of the previous version is updated, and users notice nothing of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use harness::client::Session;
use harness::cluster::{Cluster, ClusterOptions, ExtensionDir, StopMode, crash_lines};
use harness::previous;
use harness::runtime::wait_for;

/// Everything about the extension's objects.
const MEMBERS: &str = include_str!("upgrade/members.sql");

fn options() -> ClusterOptions {
    ClusterOptions::new().extension(ExtensionDir::installed().unwrap())
}

/// Lets the server make the objects of the versions that can be updated, and returns these.
fn install_former_versions(cluster: &Cluster) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/upgrade");
    let mut versions = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if let Some(version) = name.strip_prefix("pg_trickle--") {
            let file = path.file_name().unwrap();
            fs::copy(&path, cluster.extension_folder().join(file)).unwrap();
            versions.push(version.to_owned());
        }
    }
    versions
}

/// A database of this name in which these statements have been run.
async fn database(cluster: &Cluster, name: &str, sql: &[&str]) -> Session {
    let admin = Session::connect(cluster, "postgres").await.unwrap();
    let create = format!("CREATE DATABASE \"{name}\"");
    admin.execute(&create).await.unwrap();
    let session = Session::connect(cluster, name).await.unwrap();
    for statement in sql {
        let outcome = session.execute(statement).await;
        outcome.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    session
}

async fn members(session: &Session) -> BTreeSet<String> {
    let rows = session.rows(MEMBERS).await.unwrap();
    let line = |row: Vec<Option<String>>| {
        let values = row.into_iter().map(Option::unwrap_or_default);
        values.collect::<Vec<_>>().join(" | ")
    };
    rows.into_iter().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_updated_catalog_is_that_of_a_new_installation() {
    let cluster = Cluster::start(&options()).unwrap();
    let versions = install_former_versions(&cluster);
    assert!(!versions.is_empty(), "no version can be updated");
    let fresh = members(&database(&cluster, "fresh", &["CREATE EXTENSION pg_trickle"]).await).await;
    assert!(fresh.len() > 500, "{} properties", fresh.len());
    for version in versions {
        let create = format!("CREATE EXTENSION pg_trickle VERSION '{version}'");
        let session = database(&cluster, &version, &[&create]).await;
        assert_ne!(
            members(&session).await,
            fresh,
            "{version} is no other version"
        );
        session
            .execute("ALTER EXTENSION pg_trickle UPDATE")
            .await
            .unwrap();
        let updated = members(&session).await;
        let differ = |these: &BTreeSet<String>, those: &BTreeSet<String>| {
            let only: Vec<&str> = these.difference(those).map(String::as_str).collect();
            only.join("\n  ")
        };
        assert!(
            updated == fresh,
            "from {version}; the update script has to follow the install script\n\
             only in a new installation:\n  {}\nonly after the update:\n  {}",
            differ(&fresh, &updated),
            differ(&updated, &fresh)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_notices_an_update_whenever_it_comes() {
    let cluster = Cluster::start(&options().scheduled()).unwrap();
    install_former_versions(&cluster);
    let create = format!(
        "CREATE EXTENSION pg_trickle VERSION '{}'",
        previous::VERSION
    );
    for number in 0..8 {
        // Its scheduler looks meanwhile.
        let session = database(&cluster, &format!("d{number}"), &[&create]).await;
        tokio::time::sleep(Duration::from_millis(number)).await;
        session
            .execute("ALTER EXTENSION pg_trickle UPDATE")
            .await
            .unwrap();
        let is_there = "SELECT pgtrickle.scheduler_state() = 'RUNNING'";
        wait_for(&session, is_there).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_told_that_the_catalog_has_another_version() {
    let cluster = Cluster::start(&options()).unwrap();
    let session = database(&cluster, "d", &["CREATE EXTENSION pg_trickle"]).await;
    let call = "SELECT pgtrickle.stale_stream_tables()";
    session.execute(call).await.unwrap();
    let other = Session::connect(&cluster, "d").await.unwrap();
    let set_version = "UPDATE pg_extension SET extversion = '99' WHERE extname = 'pg_trickle';";
    let script = fs::read_dir(cluster.extension_folder()).unwrap().flatten();
    let update = script
        .map(|file| file.path())
        .find(|path| path.to_string_lossy().contains("0.1.0--"));
    let update = fs::read_to_string(update.unwrap()).unwrap();
    let tells = update.trim_end().lines().last().unwrap();
    other
        .execute(&format!("{set_version} {tells}"))
        .await
        .unwrap();
    let refused = session.execute(call).await.unwrap_err();
    assert_eq!(refused.sqlstate, "55000", "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_the_previous_version_is_updated() {
    let test = "a_server_of_the_previous_version_is_updated";
    let Some(files) = previous::installed_for(test) else {
        return;
    };
    let options = ClusterOptions::new()
        .extension(files)
        .scheduled()
        .setting("pg_trickle.enabled", "off");
    let cluster = Cluster::start(&options).unwrap();
    let session = Session::connect(&cluster, "postgres").await.unwrap();
    previous::before(&session).await.unwrap();

    cluster
        .install(&ExtensionDir::installed().unwrap())
        .unwrap();
    // Who still runs the former library goes on.
    let version = "SELECT pgtrickle.version()";
    assert_eq!(session.scalar(version).await.unwrap(), previous::VERSION);
    cluster.configure("pg_trickle.enabled", "on").unwrap();
    cluster.stop(StopMode::Fast).unwrap();
    let mark = cluster.log_mark();
    cluster.launch().unwrap();

    let session = Session::connect(&cluster, "postgres").await.unwrap();
    let has_gone = "SELECT pgtrickle.scheduler_state() = 'NO_SCHEDULER'";
    wait_for(&session, has_gone).await.unwrap();
    previous::between(&session).await.unwrap();
    let log = cluster.log_since(mark);
    assert_eq!(log.matches(previous::COMPLAINT).count(), 1, "{log}");
    previous::update(&session).await.unwrap();
    let log = cluster.log_since(mark);
    assert_eq!(log.matches(previous::COMPLAINT).count(), 1, "{log}");
    assert_eq!(crash_lines(&log), Vec::<String>::new());
}
