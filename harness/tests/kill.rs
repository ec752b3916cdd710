//! Backends and servers that die between refreshes and in the middle of one.
//!
//! Afterwards the oracle agrees, nothing is left behind, and the next refresh applies exactly what
//! is outstanding: all of it if the refresh died, none of it if it had committed.

use std::time::Duration;

use harness::client::{Session, SqlError};
use harness::cluster::{Cluster, ClusterOptions, ExtensionDir, StopMode};
use harness::oracle;
use harness::random::Random;
use harness::scenario::orphans;

/// Rows per batch: enough that a refresh can be hit in the middle.
const ROWS: i64 = 6000;

/// The stream tables, with whether each changed source row is one changed row.
const TABLES: [(&str, &str); 3] = [
    ("copied", "SELECT id, k, v FROM t"),
    (
        "grouped",
        "SELECT d.name, count(*) AS n, sum(t.v) AS total, max(t.v) AS most \
         FROM t JOIN d ON d.k = t.k GROUP BY d.name",
    ),
    (
        "nested",
        "SELECT n, count(*) AS c FROM (SELECT v, count(*) AS n FROM t GROUP BY v) x GROUP BY n",
    ),
];

/// How something dies.
#[derive(Debug, Clone, Copy)]
enum Death {
    /// SIGKILL to the backend; the server restarts its processes.
    Backend,
    /// Immediate stop of the server.
    Immediate,
    /// SIGKILL to the postmaster.
    Postmaster,
    /// pg_terminate_backend.
    Terminate,
    /// pg_cancel_backend.
    Cancel,
}

/// When.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// No refresh is running.
    Between,
    /// A refresh has been running for so many milliseconds.
    During(u64),
    /// A refresh has finished, its transaction is open.
    BeforeCommit,
}

struct Patient {
    cluster: Cluster,
    next_id: i64,
}

impl Patient {
    async fn session(&self) -> Session {
        Session::connect(&self.cluster, "postgres")
            .await
            .expect("the server is up")
    }

    async fn change(&mut self, session: &Session) -> Result<(), SqlError> {
        let first = self.next_id;
        self.next_id += ROWS;
        session
            .execute(&format!(
                "INSERT INTO t SELECT i, i % 100, i % 977 FROM generate_series({first}, {}) i",
                self.next_id - 1
            ))
            .await
    }

    /// Kills, and brings the server back.
    async fn strike(&self, death: Death, pid: i32) {
        let mark = self.cluster.log_mark();
        match death {
            Death::Backend => {
                // The backend may have finished in between.
                if self.cluster.kill_backend(pid).is_ok() {
                    for _ in 0..500 {
                        if !self.cluster.crashes_since(mark).is_empty() {
                            break;
                        }
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                }
                self.cluster.wait_ready().expect("the server recovers");
            }
            Death::Immediate => self
                .cluster
                .restart(StopMode::Immediate)
                .expect("the server recovers"),
            Death::Postmaster => self
                .cluster
                .restart(StopMode::Kill)
                .expect("the server recovers"),
            Death::Terminate | Death::Cancel => {
                let function = match death {
                    Death::Terminate => "pg_terminate_backend",
                    _ => "pg_cancel_backend",
                };
                let session = self.session().await;
                session
                    .execute(&format!("SELECT {function}({pid})"))
                    .await
                    .expect("sent");
            }
        }
    }
}

/// Refreshes every stream table in one transaction, or leaves it open.
async fn refresh_all(session: &Session, commit: bool) -> Result<(), SqlError> {
    session.execute("BEGIN").await?;
    for (name, _) in TABLES {
        session
            .execute(&format!("SELECT pgtrickle.refresh_stream_table('{name}')"))
            .await?;
    }
    if commit {
        session.execute("COMMIT").await?;
    }
    Ok(())
}

/// What is in the schemas of the extension.
async fn inventory(session: &Session) -> Vec<String> {
    orphans(session).await.expect("an inventory")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_refresh_leaves_nothing_and_loses_nothing() {
    let extension = ExtensionDir::installed().expect("the extension is installed");
    let options = ClusterOptions::new()
        .extension(extension)
        .setting("synchronous_commit", "on")
        .setting("full_page_writes", "on");
    let cluster = Cluster::start(&options).expect("a private cluster starts");
    let mut patient = Patient {
        cluster,
        next_id: 1,
    };
    let session = patient.session().await;
    session
        .execute(
            "CREATE EXTENSION pg_trickle;
             CREATE TABLE t (id bigint PRIMARY KEY, k int, v int);
             CREATE TABLE d (k int PRIMARY KEY, name text);
             INSERT INTO d SELECT i, 'n' || i % 10 FROM generate_series(0, 99) i",
        )
        .await
        .expect("tables");
    for (name, query) in TABLES {
        session
            .execute(&format!(
                "SELECT pgtrickle.create_stream_table('{name}', '{query}', \
                 refresh_mode => 'DIFFERENTIAL')"
            ))
            .await
            .expect("a stream table");
    }
    let objects = inventory(&session).await;
    drop(session);

    let mut random = Random::new(5);
    let mut plan = Vec::new();
    for death in [
        Death::Backend,
        Death::Immediate,
        Death::Postmaster,
        Death::Terminate,
        Death::Cancel,
    ] {
        plan.push((death, Moment::Between));
        plan.push((death, Moment::BeforeCommit));
        for reach in [5, 40, 120, 250] {
            plan.push((death, Moment::During(random.below(reach))));
        }
    }
    let (mut died, mut survived) = (0, 0);
    for (death, moment) in plan {
        println!("{death:?} {moment:?}");
        let session = patient.session().await;
        patient.change(&session).await.expect("a change");
        let victim = patient.session().await;
        let pid = victim.backend_pid().await.expect("a pid");
        let committed = match moment {
            Moment::Between => {
                patient.strike(death, pid).await;
                false
            }
            Moment::BeforeCommit => {
                refresh_all(&victim, false).await.expect("a refresh");
                patient.strike(death, pid).await;
                // Cancelling an idle session does nothing; its end without COMMIT is a rollback.
                drop(victim);
                false
            }
            Moment::During(delay_ms) => {
                let refresh = tokio::spawn(async move { refresh_all(&victim, true).await });
                tokio::time::sleep(Duration::from_millis(delay_ms)).await;
                patient.strike(death, pid).await;
                refresh.await.expect("the task ends").is_ok()
            }
        };
        let session = patient.session().await;
        // The victim's transaction may take a moment to go; its locks go with it.
        let report = session
            .table("SELECT * FROM pgtrickle.refresh_stream_table('copied')")
            .await
            .expect("the next refresh works");
        let applied = report.value(0, "rows_inserted").unwrap_or("").to_owned();
        // A COMMIT whose answer was lost may have happened.
        let expected: &[String] = match (committed, moment) {
            (true, _) => &["0".into()],
            (false, Moment::During(_)) => &[ROWS.to_string(), "0".into()],
            (false, _) => &[ROWS.to_string()],
        };
        assert!(
            expected.contains(&applied),
            "{death:?} {moment:?}: the next refresh applied {applied} rows, expected {expected:?}"
        );
        if applied == "0" {
            survived += 1;
        } else {
            died += 1;
        }
        for (name, _) in TABLES {
            session
                .execute(&format!("SELECT pgtrickle.refresh_stream_table('{name}')"))
                .await
                .expect("a refresh");
            let verdict = oracle::check(&session, name).await.expect("a verdict");
            assert!(
                verdict.is_exact(),
                "{death:?} {moment:?}: {name} is {verdict}"
            );
        }
        assert_eq!(inventory(&session).await, objects, "{death:?} {moment:?}");
        let running = session
            .scalar("SELECT count(*) FROM pgtrickle.pgt_refresh_history WHERE finished_at IS NULL")
            .await
            .expect("a count");
        assert_eq!(running, "0", "{death:?} {moment:?}");
    }
    println!("{died} refreshes died, {survived} had committed");
    assert!(died >= 15, "only {died} refreshes died");
}
