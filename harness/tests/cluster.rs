//! The cluster and the oracle, without the extension.

use harness::client::Session;
use harness::cluster::{Cluster, ClusterOptions, StopMode};
use harness::oracle::Question;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn cluster() -> Cluster {
    Cluster::start(&ClusterOptions::new().setting("log_statement", "none"))
        .expect("a private cluster starts")
}

/// The processes of a data directory.
fn processes_in(dir: &std::path::Path) -> usize {
    std::fs::read_dir("/proc")
        .expect("/proc is readable")
        .flatten()
        .filter(|entry| std::fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == dir))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_survives_every_way_to_stop_and_is_gone_after_drop() -> Outcome {
    let cluster = cluster();
    let root = cluster.socket_dir().to_owned();
    let data = cluster.data_dir().to_owned();
    let session = Session::connect(&cluster, "postgres").await?;
    session.execute("CREATE TABLE t AS SELECT 1 AS a").await?;
    drop(session);
    for mode in [
        StopMode::Smart,
        StopMode::Fast,
        StopMode::Immediate,
        StopMode::Kill,
    ] {
        cluster.restart(mode)?;
        let session = Session::connect(&cluster, "postgres").await?;
        assert_eq!(session.scalar("SELECT a FROM t").await?, "1", "{mode:?}");
    }
    assert!(processes_in(&data) > 0);
    drop(cluster);
    assert_eq!(processes_in(&data), 0);
    assert!(!root.exists());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_backend_shows_as_a_crash_and_the_server_comes_back() -> Outcome {
    let cluster = cluster();
    let session = Session::connect(&cluster, "postgres").await?;
    let mark = cluster.log_mark();
    assert!(cluster.crashes_since(mark).is_empty());
    cluster.kill_backend(session.backend_pid().await?)?;
    let error = session
        .execute("SELECT pg_sleep(60)")
        .await
        .expect_err("the backend is dead");
    assert!(error.is_connection_loss(), "{error}");
    // The postmaster needs a moment to notice.
    while cluster.crashes_since(mark).is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    cluster.wait_ready()?;
    Session::connect(&cluster, "postgres").await?;
    Ok(())
}

#[test]
fn a_panic_takes_the_cluster_with_it() {
    let (send, receive) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let cluster = cluster();
        send.send(cluster.socket_dir().to_owned()).expect("sent");
        panic!("on purpose");
    });
    let root = receive.recv().expect("the cluster started");
    assert!(thread.join().is_err());
    assert!(!root.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oracle_compares_images_and_counts_duplicates() -> Outcome {
    let cluster = cluster();
    let session = Session::connect(&cluster, "postgres").await?;
    // Column r must not be mistaken for the row.
    session
        .execute(
            "CREATE TABLE have (r numeric, t text, f float8, d text);
             ALTER TABLE have DROP COLUMN d;
             CREATE TABLE want (LIKE have);",
        )
        .await?;
    let question = Question::query("have", "SELECT * FROM want;");
    for (want, have, exact) in [
        ("(1.0, 'a', 0)", "(1.0, 'a', 0)", true),
        ("(1.0, 'a', 0)", "(1.00, 'a', 0)", false),
        ("(NULL, NULL, 0)", "(NULL, NULL, 0)", true),
        ("(NULL, NULL, 0)", "(NULL, '', 0)", false),
        ("(1, 'a', 0)", "(1, 'a', '-0')", false),
        ("(1, 'a', 0), (1, 'a', 0)", "(1, 'a', 0)", false),
        ("(1, 'a', 0)", "(1, 'a', 0), (1, 'a', 0)", false),
        ("(1, 'a', 'nan')", "(1, 'a', 'nan')", true),
    ] {
        session
            .execute(&format!(
                "TRUNCATE want, have; INSERT INTO want VALUES {want}; INSERT INTO have VALUES {have}"
            ))
            .await?;
        let verdict = question.ask(&session).await?;
        assert_eq!(verdict.is_exact(), exact, "{want} / {have}: {verdict}");
    }
    session
        .execute("TRUNCATE want, have; INSERT INTO want VALUES (1.0, 'x', 2), (1.0, 'x', 2)")
        .await?;
    session
        .execute("INSERT INTO have VALUES (1.00, 'x', 2)")
        .await?;
    assert_eq!(
        question.ask(&session).await?.to_string(),
        "wrong: the query has 2 rows, the stream table 1; 2 missing, 1 surplus\
         \n  missing (1.0,x,2)\n  missing (1.0,x,2)\n  surplus (1.00,x,2)"
    );
    Ok(())
}
