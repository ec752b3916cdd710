//! Sessions that take turns: every interleaving of short scripts, one step at a time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::client::{Session, SqlError};
use crate::cluster::Cluster;

/// One of the sessions of a permutation.
#[derive(Debug)]
pub struct Actor {
    /// The session.
    pub session: Arc<Session>,
    pid: String,
    steps: VecDeque<String>,
    /// How many of the steps may begin.
    pub due: usize,
    /// The step that waits for another session.
    pub running: Option<JoinHandle<Result<(), SqlError>>>,
    /// Whether the script has begun and not ended.
    pub is_open: bool,
}

impl Actor {
    /// A session without a script.
    pub async fn new(cluster: &Cluster, database: &str) -> Self {
        let session = Session::connect(cluster, database)
            .await
            .expect("a session");
        let pid = session
            .scalar("SELECT pg_backend_pid()")
            .await
            .expect("a pid");
        Actor {
            session: Arc::new(session),
            pid,
            steps: VecDeque::new(),
            due: 0,
            running: None,
            is_open: false,
        }
    }

    /// Begins this script.
    pub fn prepare(&mut self, script: Vec<String>) {
        self.steps = script.into();
        self.due = 0;
    }

    /// Lets steps that are due run, until one waits for the other session. The error that ended it.
    pub async fn advance(&mut self, witness: &Session) -> Option<SqlError> {
        loop {
            if self.running.is_none() {
                if self.due == 0 {
                    return None;
                }
                let step = self.steps.pop_front()?;
                self.due -= 1;
                self.is_open = step != "COMMIT" && !self.steps.is_empty();
                let session = Arc::clone(&self.session);
                self.running = Some(tokio::spawn(async move { session.execute(&step).await }));
            }
            if !self.settles(witness).await {
                return None;
            }
            let done = self.running.take()?.await.expect("not cancelled");
            if let Err(error) = done {
                self.session.execute("ROLLBACK").await.expect("rolled back");
                self.steps.clear();
                self.due = 0;
                self.is_open = false;
                return Some(error);
            }
        }
    }

    /// Waits until the running step has ended (true) or waits for a lock.
    async fn settles(&self, witness: &Session) -> bool {
        let deadline = Instant::now() + Duration::from_secs(20);
        let blocked = format!("SELECT cardinality(pg_blocking_pids({}))", self.pid);
        while Instant::now() < deadline {
            if self.running.as_ref().is_none_or(JoinHandle::is_finished) {
                return true;
            }
            if witness.scalar(&blocked).await.expect("a number") != "0" {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("a step neither ends nor waits");
    }
}

/// All ways to merge scripts of these lengths: whose turn it is.
pub fn interleavings(lengths: &[usize]) -> Vec<Vec<usize>> {
    if lengths.iter().all(|length| *length == 0) {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for turn in (0..lengths.len()).filter(|turn| lengths[*turn] > 0) {
        let mut rest = lengths.to_vec();
        rest[turn] -= 1;
        all.extend(interleavings(&rest).into_iter().map(|mut order| {
            order.insert(0, turn);
            order
        }));
    }
    all
}
