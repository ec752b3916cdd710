//! The server stops, is killed, comes back: with and without a drain, during every kind of wait of a
//! refresh. Afterwards nothing is lost, nothing is left over, and everything goes on by itself.

use std::time::{Duration, Instant};

use harness::client::Session;
use harness::cluster::{Cluster, StopMode};
use harness::insist::{run, until};
use harness::runtime::{GATE, connect, follows, scheduled_cluster, wait_for_gate};
use harness::scenario::orphans;

/// How soon after the server is up again a scheduler has to run.
const BACK_WITHIN: Duration = Duration::from_secs(5);

/// What is running when the server is told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// Nothing.
    Idle,
    /// A refresh that waits in a trigger for longer than it may.
    AtTheGate,
    /// A refresh that waits for a lock which a client holds.
    AtALock,
    /// Refreshes one after the other.
    UnderLoad,
    /// Nothing, after a drain under load.
    Drained,
}

struct Patient {
    cluster: Cluster,
    objects: Vec<String>,
    next_id: u32,
}

impl Patient {
    async fn new() -> Self {
        let cluster = scheduled_cluster(&[
            ("pg_trickle.drain_timeout", "1s"),
            ("synchronous_commit", "on"),
            ("full_page_writes", "on"),
        ])
        .expect("a cluster");
        let session = connect(&cluster, "postgres").await.expect("a session");
        run(
            &session,
            &format!(
                "{GATE};
                 CREATE TABLE t (id int PRIMARY KEY, g int);
                 SELECT pgtrickle.create_stream_table('copied', 'SELECT id, g FROM t');
                 SELECT pgtrickle.create_stream_table('counted', 'SELECT g, count(*) AS n FROM copied GROUP BY g');
                 CREATE TRIGGER gate BEFORE INSERT OR UPDATE ON copied FOR EACH ROW EXECUTE FUNCTION gate()"
            ),
        )
        .await;
        let objects = orphans(&session).await.expect("an inventory");
        Patient {
            cluster,
            objects,
            next_id: 0,
        }
    }

    async fn session(&self) -> Session {
        Session::connect(&self.cluster, "postgres")
            .await
            .expect("the server is up")
    }

    async fn change(&mut self, session: &Session) {
        self.next_id += 1;
        let id = self.next_id;
        run(session, &format!("INSERT INTO t VALUES ({id}, {id} % 7)")).await;
    }

    /// Brings the server into the moment. The sessions returned hold it there.
    async fn reach(&mut self, moment: Moment) -> Vec<Session> {
        let session = self.session().await;
        let holder = self.session().await;
        match moment {
            Moment::Idle => {
                self.change(&session).await;
                follows(&session, "counted").await.expect("it follows");
            }
            Moment::AtTheGate => {
                run(&holder, "SELECT pg_advisory_lock(42)").await;
                self.change(&session).await;
                wait_for_gate(&session).await.expect("a refresh runs");
            }
            Moment::AtALock => {
                run(&holder, "BEGIN; LOCK TABLE copied IN ACCESS EXCLUSIVE MODE").await;
                self.change(&session).await;
                until(
                    &session,
                    "SELECT count(*) > 0 FROM pg_locks l JOIN pg_stat_activity a USING (pid)
                     WHERE NOT l.granted AND a.backend_type = 'pg_trickle worker'",
                )
                .await;
            }
            Moment::UnderLoad | Moment::Drained => {
                for _ in 0..50 {
                    self.change(&session).await;
                }
                if moment == Moment::Drained {
                    until(&session, "SELECT pgtrickle.drain(30)").await;
                    self.change(&session).await;
                }
            }
        }
        vec![session, holder]
    }

    /// Everything is right again, by itself and soon.
    async fn is_well(&mut self, what: &str) {
        let start = Instant::now();
        let session = self.session().await;
        until(&session, "SELECT pgtrickle.scheduler_state() = 'RUNNING'").await;
        assert!(
            start.elapsed() < BACK_WITHIN,
            "{what}: {:?}",
            start.elapsed()
        );
        self.change(&session).await;
        for name in ["copied", "counted"] {
            if let Err(complaint) = follows(&session, name).await {
                panic!("{what}: {complaint}\n{}", self.cluster.log_tail(30));
            }
        }
        assert_eq!(
            orphans(&session).await.expect("an inventory"),
            self.objects,
            "{what}"
        );
        let unfinished = session
            .scalar(
                "SELECT count(*) FROM pgtrickle.pgt_refresh_history
                 WHERE finished_at IS NULL OR status NOT IN ('COMPLETED', 'FAILED')",
            )
            .await
            .expect("a count");
        assert_eq!(unfinished, "0", "{what}");
        // A stop is no failure of a stream table.
        let failing = session
            .scalar("SELECT count(*) FROM pgtrickle.refresh_failures()")
            .await
            .expect("a count");
        assert_eq!(failing, "0", "{what}");
        let state = session
            .scalar("SELECT state FROM pgtrickle.drain_status()")
            .await
            .expect("a state");
        assert_eq!(state, "RUNNING", "{what}: a restart ends a drain");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_stop_is_clean_at_every_moment() {
    let mut patient = Patient::new().await;
    for mode in [
        StopMode::Fast,
        StopMode::Smart,
        StopMode::Immediate,
        StopMode::Kill,
    ] {
        for moment in [
            Moment::Idle,
            Moment::AtTheGate,
            Moment::AtALock,
            Moment::UnderLoad,
            Moment::Drained,
        ] {
            let what = format!("{mode:?} {moment:?}");
            let mark = patient.cluster.log_mark();
            let sessions = patient.reach(moment).await;
            // A smart stop waits for the sessions; what they hold goes with them.
            if mode == StopMode::Smart {
                drop(sessions);
            }
            let start = Instant::now();
            patient.cluster.stop(mode).expect("it stops");
            let took = start.elapsed();
            println!("{what}: {took:?}");
            assert!(took < Duration::from_secs(10), "{what} took {took:?}");
            if matches!(mode, StopMode::Fast | StopMode::Smart) {
                let log = patient.cluster.log_since(mark);
                assert!(
                    log.contains("database system is shut down"),
                    "{what}: {log}"
                );
                let crashes = patient.cluster.crashes_since(mark);
                assert_eq!(crashes, Vec::<String>::new(), "{what}");
            }
            patient.cluster.launch().expect("it starts");
            patient.is_well(&what).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_are_ended_come_back_and_lose_nothing() {
    let mut patient = Patient::new().await;
    let pid_of = |kind: &str| {
        format!("SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_trickle {kind}' LIMIT 1")
    };
    for kind in ["worker", "scheduler", "launcher"] {
        for moment in [Moment::Idle, Moment::AtTheGate, Moment::UnderLoad] {
            let what = format!("terminate {kind} {moment:?}");
            let mark = patient.cluster.log_mark();
            let sessions = patient.reach(moment).await;
            let session = patient.session().await;
            let pid = session.scalar(&pid_of(kind)).await.expect("a process");
            if !pid.is_empty() {
                // Twice: the second signal must not do more than the first.
                for _ in 0..2 {
                    run(&session, &format!("SELECT pg_terminate_backend({pid})")).await;
                }
                until(
                    &session,
                    &format!("SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = {pid}"),
                )
                .await;
            }
            drop(sessions);
            patient.is_well(&what).await;
            assert_eq!(
                patient.cluster.crashes_since(mark),
                Vec::<String>::new(),
                "{what}"
            );
            println!("{what}: well");
        }
    }
    for kind in ["worker", "scheduler", "launcher"] {
        let mark = patient.cluster.log_mark();
        let sessions = patient.reach(Moment::AtTheGate).await;
        let session = patient.session().await;
        let pid = session.scalar(&pid_of(kind)).await.expect("a process");
        patient
            .cluster
            .kill_backend(pid.parse().expect("a pid"))
            .expect("killed");
        for _ in 0..500 {
            if !patient.cluster.crashes_since(mark).is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        drop(sessions);
        patient.cluster.wait_ready().expect("the server recovers");
        patient.is_well(&format!("kill {kind}")).await;
        println!("kill {kind}: well");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_outlives_its_scheduler_serves_the_next_one() {
    let mut patient = Patient::new().await;
    // With one worker, one that is lost is all of them.
    patient
        .cluster
        .configure("pg_trickle.max_refresh_workers", "1")
        .expect("written");
    patient.cluster.restart(StopMode::Fast).expect("it starts");
    for _ in 0..3 {
        let sessions = patient.reach(Moment::AtTheGate).await;
        let session = patient.session().await;
        run(
            &session,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'pg_trickle scheduler'",
        )
        .await;
        until(
            &session,
            "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'pg_trickle scheduler'",
        )
        .await;
        drop(sessions);
        let start = Instant::now();
        patient.is_well("a new scheduler").await;
        // Not only when something else wakes the worker.
        assert!(start.elapsed() < 2 * BACK_WITHIN, "{:?}", start.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_refresh_is_tried_again() {
    let mut patient = Patient::new().await;
    let sessions = patient.reach(Moment::AtTheGate).await;
    let session = patient.session().await;
    run(
        &session,
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE backend_type = 'pg_trickle worker'",
    )
    .await;
    until(
        &session,
        "SELECT count(*) = 1 FROM pgtrickle.refresh_failures() WHERE condition LIKE '57014%'",
    )
    .await;
    drop(sessions);
    patient.is_well("cancel").await;
}
