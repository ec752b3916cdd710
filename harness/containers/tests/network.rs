//! The network between a primary and its standby is cut under load: both sides go on with what they have, the standby
//! catches up when it is mended, and takes over when it is not.

mod load;

use containers::{ContainerServer, Options, Wire, engine_for};
use harness::client::Session;
use harness::insist::{run, until, value};
use harness::oracle;
use harness::runtime::follows;
use load::{Load, ROWS, STREAM_TABLES, TABLES, is_well, session, start};

/// Waits until the standby shows all that the primary has committed.
async fn catches_up(primary: &Session, standby: &Session) {
    let reached = value(primary, "SELECT pg_current_wal_lsn()").await;
    let condition = format!("SELECT pg_last_wal_replay_lsn() >= '{reached}'");
    until(standby, &condition).await;
}

/// The standby shows what the primary shows, and that is exact.
async fn agree(primary: &Session, standby: &Session, what: &str) {
    for name in STREAM_TABLES {
        follows(primary, name)
            .await
            .unwrap_or_else(|error| panic!("{what}: {error}"));
    }
    catches_up(primary, standby).await;
    for name in STREAM_TABLES {
        let verdict = oracle::check(standby, name)
            .await
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(
            verdict.is_exact(),
            "{what}: on the standby {name} is {verdict}"
        );
    }
}

/// A session that only looks: a standby takes nothing else.
async fn reader(server: &ContainerServer) -> Session {
    Session::connect(server, "postgres")
        .await
        .unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_cut_off_catches_up_or_takes_over() {
    let Some(engine) = engine_for("a_standby_cut_off_catches_up_or_takes_over").await else {
        return;
    };
    let volume = tempfile::tempdir().expect("a folder");
    let options = Options::default()
        .data(volume.path())
        .setting("wal_keep_size", "256MB")
        .setting("wal_sender_timeout", "1s");
    let primary = start(&engine, &options).await;
    let on_primary = session(&primary).await;
    run(&on_primary, TABLES).await;
    let wire = Wire::to(&primary).unwrap_or_else(|error| panic!("{error}"));
    let of_standby = Options::default()
        .setting("wal_receiver_timeout", "1s")
        .setting("wal_retrieve_retry_interval", "100ms");
    let standby = primary
        .standby(&engine, volume.path(), &wire, of_standby)
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    let on_standby = reader(&standby).await;
    let load = Load::begin(&primary).await;
    until(
        &on_primary,
        "SELECT count(*) = 1 FROM pg_stat_replication WHERE state = 'streaming'",
    )
    .await;
    catches_up(&on_primary, &on_standby).await;
    let scheduler = "SELECT pgtrickle.scheduler_state()";
    assert_eq!(value(&on_standby, scheduler).await, "STANDBY");

    wire.cut();
    until(
        &on_primary,
        "SELECT count(*) = 0 FROM pg_stat_replication WHERE state = 'streaming'",
    )
    .await;
    until(
        &on_standby,
        "SELECT pg_last_wal_receive_lsn() <= pg_last_wal_replay_lsn()",
    )
    .await;
    let seen = value(&on_standby, "SELECT count(*) FROM t").await;
    let mut at_least = ROWS + load.end().await;
    is_well(&primary, at_least, "the primary, cut off").await;
    assert_eq!(value(&on_standby, "SELECT count(*) FROM t").await, seen);
    assert_ne!(value(&on_primary, "SELECT count(*) FROM t").await, seen);

    let load = Load::begin(&primary).await;
    wire.mend();
    catches_up(&on_primary, &on_standby).await;
    at_least += load.end().await;
    agree(&on_primary, &on_standby, "mended").await;

    wire.cut();
    let lost = Load::begin(&primary).await;
    primary
        .kill("SIGKILL")
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    lost.end().await;
    assert_eq!(value(&on_standby, "SELECT pg_promote()").await, "t");
    until(
        &on_standby,
        "SELECT pgtrickle.scheduler_state() = 'RUNNING'",
    )
    .await;
    is_well(&standby, at_least, "promoted").await;
    let load = Load::begin(&standby).await;
    at_least += load.end().await;
    is_well(&standby, at_least, "the new primary").await;
}
