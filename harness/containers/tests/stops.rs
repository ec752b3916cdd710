//! A container is stopped under load as engines and Kubernetes do, with and without a drain before; is killed; is
//! replaced over the same volume; has a root that it cannot write to, and little memory. Afterwards nothing is lost,
//! and everything goes on by itself.

mod load;

use std::time::{Duration, Instant};

use containers::{ContainerServer, Options, engine_for};
use harness::cluster::crash_lines;
use harness::insist::{run, value};
use load::{Load, ROWS, TABLES, is_well, session, start};

/// The manifest whose preStop hook is run.
const MANIFEST: &str = include_str!("../../../cnpg/statefulset.yaml");
/// More than any of these stops may take.
const GRACE_S: i32 = 60;

/// What is done about refreshes before, or while, the server is told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Drain {
    /// Nothing.
    Not,
    /// The hook runs to its end first, as Kubernetes has it.
    Before,
    /// The hook begins at the time of the signal.
    Meanwhile,
}

/// The command of the manifest's preStop hook, verbatim.
fn hook() -> &'static str {
    MANIFEST
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- "))
        .find(|item| item.starts_with("psql "))
        .expect("the manifest has a hook")
}

async fn run_hook(server: &ContainerServer, what: &str) {
    server
        .exec(&["sh", "-c", hook()])
        .await
        .unwrap_or_else(|error| panic!("{what}: {error}"));
}

/// Stops under load, which has to be clean; returns how many rows the writers have committed.
async fn stop_under_load(server: &ContainerServer, signal: &str, drain: Drain, what: &str) -> u64 {
    let load = Load::begin(server).await;
    if drain == Drain::Before {
        run_hook(server, what).await;
        let state = "SELECT state FROM pgtrickle.drain_status()";
        let session = session(server).await;
        assert_eq!(value(&session, state).await, "DRAINED", "{what}");
    }
    let begun = Instant::now();
    let (stopped, committed) = tokio::join!(server.stop(signal, GRACE_S), async {
        if drain == Drain::Meanwhile {
            run_hook(server, what).await;
        }
        // A fast shutdown throws clients out; a smart one waits until they leave.
        load.end().await
    });
    let code = stopped.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(code, Some(0), "{what}");
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(30), "{what}: {took:?}");
    committed
}

async fn log_is_clean(server: &ContainerServer, what: &str) {
    let log = server.log().await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(crash_lines(&log), Vec::<String>::new(), "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_under_load_is_clean_with_and_without_a_drain() {
    let Some(engine) = engine_for("a_stop_under_load_is_clean_with_and_without_a_drain").await
    else {
        return;
    };
    let server = start(&engine, &Options::default()).await;
    run(&session(&server).await, TABLES).await;
    let mut at_least = ROWS;
    for (signal, drain) in [
        ("SIGINT", Drain::Not),
        ("SIGINT", Drain::Before),
        ("SIGTERM", Drain::Not),
        ("SIGTERM", Drain::Before),
        ("SIGTERM", Drain::Meanwhile),
    ] {
        let what = format!("{signal}, drain: {drain:?}");
        at_least += stop_under_load(&server, signal, drain, &what).await;
        let log = server.log().await.unwrap_or_else(|error| panic!("{error}"));
        let end = "database system is shut down";
        assert!(log.trim_end().ends_with(end), "{what}: {log}");
        log_is_clean(&server, &what).await;
        server
            .start_again()
            .await
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        is_well(&server, at_least, &what).await;
        println!("{what}: well, {at_least} rows");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_container_comes_back_and_loses_nothing() {
    let Some(engine) = engine_for("a_killed_container_comes_back_and_loses_nothing").await else {
        return;
    };
    let server = start(&engine, &Options::default()).await;
    run(&session(&server).await, TABLES).await;
    let mut at_least = ROWS;
    for round in 0..2 {
        let load = Load::begin(&server).await;
        server
            .kill("SIGKILL")
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        at_least += load.end().await;
        let code = server.ended().await.unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(code, Some(137), "round {round}");
        server
            .start_again()
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        is_well(&server, at_least, &format!("killed, round {round}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_container_goes_on_with_the_volume() {
    let Some(engine) = engine_for("another_container_goes_on_with_the_volume").await else {
        return;
    };
    let volume = tempfile::tempdir().expect("a folder");
    let options = Options::default().data(volume.path());
    let server = start(&engine, &options).await;
    run(&session(&server).await, TABLES).await;
    let what = "the next container";
    let at_least = ROWS + stop_under_load(&server, "SIGINT", Drain::Not, what).await;
    drop(server);
    let server = start(&engine, &options).await;
    is_well(&server, at_least, what).await;
    let more = stop_under_load(&server, "SIGINT", Drain::Not, what).await;
    drop(server);
    let server = start(&engine, &options).await;
    is_well(&server, at_least + more, "the one after it").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_runs_with_a_root_that_cannot_be_written_and_with_little_memory() {
    let Some(engine) =
        engine_for("it_runs_with_a_root_that_cannot_be_written_and_with_little_memory").await
    else {
        return;
    };
    let volume = tempfile::tempdir().expect("a folder");
    let limit = 384 << 20;
    let options = Options::default()
        .data(volume.path())
        .read_only()
        .memory_bytes(limit)
        .setting("shared_buffers", "64MB");
    let server = start(&engine, &options).await;
    let refused = server.exec(&["touch", "/usr/local/file"]).await;
    assert!(refused.is_err(), "the root can be written");
    let session = session(&server).await;
    run(&session, TABLES).await;
    // A change far larger than what the work memory holds, and a recomputation of all of it.
    run(
        &session,
        "INSERT INTO t (g, v) SELECT i % 1000, i FROM generate_series(1, 300000) i; UPDATE t SET v = v + 1",
    )
    .await;
    run(
        &session,
        "SELECT pgtrickle.refresh_stream_table('counted', force_full => true)",
    )
    .await;
    is_well(&server, ROWS + 300_000, "little memory").await;
    let ran_out = server
        .ran_out_of_memory()
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    assert!(!ran_out, "the kernel has killed a process");
    log_is_clean(&server, "little memory").await;
    // What does not fit is killed, and the server recovers from that.
    let hog =
        "SELECT length(string_agg(repeat(md5(i::text), 32), '')) FROM generate_series(1, 900000) i";
    let killed = session.execute(hog).await;
    assert!(
        killed.as_ref().is_err_and(|e| e.is_connection_loss()),
        "{limit} bytes were enough: {killed:?}"
    );
    server
        .wait_ready()
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    is_well(&server, ROWS + 300_001, "out of memory").await;
}
