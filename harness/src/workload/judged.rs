//! Concurrent writers, and refreshes that are judged in their own snapshot.
//!
//! Writers run transactions of random length with savepoints, rollbacks and prepared transactions.
//! Refreshers call the function in READ COMMITTED, and in REPEATABLE READ with changes of their own
//! before, between and after; there the oracle sees exactly what the refresh saw. A change that a
//! READ COMMITTED refresh lost or took twice stays wrong, so the next judged refresh of that table
//! reports it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::client::{SERIALIZATION_FAILURE, Session, SqlError, quote_literal};
use crate::cluster::Cluster;
use crate::oracle::{self, Verdict};
use crate::random::Random;

use super::change::account;
use super::sources;

/// With how many accounts a run begins.
const ROWS: u64 = 300;

/// The stream tables: name and query.
pub const STREAM_TABLES: [(&str, &str); 6] = [
    (
        "by_region",
        "SELECT b.region, count(*) AS n, sum(a.v) AS total, max(a.v) AS most, avg(a.n) AS mean \
         FROM account a JOIN branch b ON b.id = a.branch_id GROUP BY b.region",
    ),
    (
        "wide",
        "SELECT a.id, b.region, a.v * b.factor AS weighted FROM account a \
         JOIN branch b ON b.id = a.branch_id WHERE a.v > 10",
    ),
    ("bag", "SELECT note, amount FROM entry"),
    ("kinds", "SELECT DISTINCT t, branch_id FROM account"),
    (
        "nested",
        "SELECT n, count(*) AS branches FROM \
         (SELECT branch_id, count(*) AS n FROM account GROUP BY branch_id) x GROUP BY n",
    ),
    (
        "three",
        "SELECT e.k, sum(e.amount) AS amount, min(a.v) AS least FROM entry e \
         JOIN branch b ON b.id = e.k JOIN account a ON a.branch_id = b.id GROUP BY e.k",
    ),
];

/// What a run counts.
#[derive(Debug, Default)]
pub struct Counters {
    /// Tells everyone to finish.
    pub stop: AtomicBool,
    /// Transactions that writers committed.
    pub committed: AtomicU64,
    /// Prepared transactions that were committed.
    pub prepared: AtomicU64,
    /// Refreshes that the oracle judged in their own snapshot.
    pub judged: AtomicU64,
    /// Refreshes in READ COMMITTED.
    pub plain: AtomicU64,
    /// Serialization failures, which REPEATABLE READ may report.
    pub serialization: AtomicU64,
}

impl Counters {
    fn running(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    fn add(&self, counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Whether a writer may meet this error: a lock or a deadlock with another one, a duplicate.
fn is_contention(error: &SqlError) -> bool {
    [SERIALIZATION_FAILURE, "40P01", "55P03", "23505"].contains(&error.sqlstate.as_str())
}

/// Writes until told to stop.
pub async fn write(
    session: Session,
    name: String,
    counters: Arc<Counters>,
) -> Result<(), SqlError> {
    let mut random = Random::new(name.bytes().map(u64::from).sum());
    session.execute("SET lock_timeout = '300ms'").await?;
    let mut number = 0u64;
    while counters.running() {
        number += 1;
        let transaction = format!("{name}_{number}");
        match write_once(&session, &transaction, &mut random, &counters).await {
            Ok(()) => {}
            Err(error) if is_contention(&error) => session.execute("ROLLBACK").await?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// One transaction.
async fn write_once(
    session: &Session,
    name: &str,
    random: &mut Random,
    counters: &Counters,
) -> Result<(), SqlError> {
    if random.percent(40) {
        session.execute(&account(random, ROWS)).await?;
        counters.add(&counters.committed);
        return Ok(());
    }
    session.execute("BEGIN").await?;
    let longest = if random.percent(10) { 40 } else { 6 };
    for _ in 0..=random.below(longest) {
        session.execute(&account(random, ROWS)).await?;
        if random.percent(20) {
            session.execute("SAVEPOINT s").await?;
            session.execute(&account(random, ROWS)).await?;
            let end = if random.percent(50) {
                "ROLLBACK TO s"
            } else {
                "RELEASE s"
            };
            session.execute(end).await?;
        }
        if random.percent(15) {
            // Stay open while others commit.
            tokio::time::sleep(std::time::Duration::from_millis(random.below(12))).await;
        }
    }
    match random.below(10) {
        0 => session.execute("ROLLBACK").await,
        1 | 2 => {
            let id = quote_literal(name);
            session
                .execute(&format!("PREPARE TRANSACTION {id}"))
                .await?;
            tokio::time::sleep(std::time::Duration::from_millis(random.below(25))).await;
            if random.percent(20) {
                return session.execute(&format!("ROLLBACK PREPARED {id}")).await;
            }
            counters.add(&counters.prepared);
            session.execute(&format!("COMMIT PREPARED {id}")).await
        }
        _ => {
            counters.add(&counters.committed);
            session.execute("COMMIT").await
        }
    }
}

/// What a refresher found wrong.
#[derive(Debug)]
pub enum Complaint {
    /// A statement failed.
    Sql(SqlError),
    /// The oracle said no.
    Wrong(String, Verdict),
}

impl From<SqlError> for Complaint {
    fn from(error: SqlError) -> Self {
        Self::Sql(error)
    }
}

/// Refreshes in REPEATABLE READ and judges, until told to stop.
pub async fn refresh_strictly(
    session: Session,
    seed: u64,
    tables: &'static [(&'static str, &'static str)],
    counters: Arc<Counters>,
) -> Result<(), Complaint> {
    let mut random = Random::new(seed);
    session.execute("SET lock_timeout = '2s'").await?;
    while counters.running() {
        match strict_once(&session, &mut random, tables, &counters).await {
            Ok(()) => {}
            Err(Complaint::Sql(error)) if is_contention(&error) => {
                counters.add(&counters.serialization);
                session.execute("ROLLBACK").await?;
            }
            Err(complaint) => return Err(complaint),
        }
    }
    Ok(())
}

/// One transaction: refreshes of some tables, with own changes around them in one of three.
async fn strict_once(
    session: &Session,
    random: &mut Random,
    tables: &[(&str, &str)],
    counters: &Counters,
) -> Result<(), Complaint> {
    session
        .execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        .await?;
    let own_changes = random.percent(33);
    let rounds = if own_changes { 1 + random.below(3) } else { 1 };
    for _ in 0..rounds {
        if own_changes {
            session.execute(&account(random, ROWS)).await?;
        }
        for (name, _) in tables.iter().filter(|_| random.percent(60)) {
            refresh(session, name).await?;
            let verdict = oracle::check(session, name).await?;
            counters.add(&counters.judged);
            if !verdict.is_exact() {
                return Err(Complaint::Wrong((*name).to_owned(), verdict));
            }
        }
    }
    if own_changes && random.percent(50) {
        session.execute(&account(random, ROWS)).await?;
    }
    let end = if random.percent(10) {
        "ROLLBACK"
    } else {
        "COMMIT"
    };
    Ok(session.execute(end).await?)
}

/// Refreshes in READ COMMITTED until told to stop, with own changes around it in some cases.
pub async fn refresh_plainly(
    session: Session,
    seed: u64,
    tables: &'static [(&'static str, &'static str)],
    counters: Arc<Counters>,
) -> Result<(), Complaint> {
    let mut random = Random::new(seed);
    session.execute("SET lock_timeout = '2s'").await?;
    while counters.running() {
        let (name, _) = tables[usize::try_from(random.below(tables.len() as u64)).unwrap_or(0)];
        let result = if random.percent(30) {
            around(&session, name, &mut random).await
        } else {
            refresh(&session, name).await
        };
        match result {
            Ok(()) => counters.add(&counters.plain),
            Err(error) if is_contention(&error) => session.execute("ROLLBACK").await?,
            Err(error) => return Err(error.into()),
        }
        let pause = random.below(8);
        tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
    }
    Ok(())
}

/// DML, refresh, DML, refresh, DML in one READ COMMITTED transaction.
async fn around(session: &Session, name: &str, random: &mut Random) -> Result<(), SqlError> {
    session.execute("BEGIN").await?;
    session.execute(&account(random, ROWS)).await?;
    refresh(session, name).await?;
    session.execute(&account(random, ROWS)).await?;
    refresh(session, name).await?;
    session.execute(&account(random, ROWS)).await?;
    session.execute("COMMIT").await
}

/// Refreshes one stream table.
pub async fn refresh(session: &Session, name: &str) -> Result<(), SqlError> {
    session
        .execute(&format!(
            "SELECT pgtrickle.refresh_stream_table({})",
            quote_literal(name)
        ))
        .await
}

/// Creates the tables and the stream tables.
pub async fn set_up(session: &Session) -> Result<(), SqlError> {
    session.execute(&sources::sql(ROWS)).await?;
    for (name, query) in STREAM_TABLES {
        session
            .execute(&format!(
                "SELECT pgtrickle.create_stream_table({}, {}, refresh_mode => 'DIFFERENTIAL')",
                quote_literal(name),
                quote_literal(query)
            ))
            .await?;
    }
    Ok(())
}

/// Four sessions of writers and three of refreshers on one database.
pub async fn run(
    cluster: &Cluster,
    database: &str,
    counters: &Arc<Counters>,
    judged: u64,
    deadline: std::time::Duration,
) -> Result<(), Complaint> {
    let end = std::time::Instant::now() + deadline;
    let mut writers = tokio::task::JoinSet::new();
    let mut refreshers = tokio::task::JoinSet::new();
    for writer in 0..4 {
        let session = Session::connect(cluster, database).await?;
        writers.spawn(write(session, format!("w{writer}"), Arc::clone(counters)));
    }
    // The halves overlap, so that refreshes of one table meet.
    for (seed, tables) in [(1, &STREAM_TABLES[..4]), (2, &STREAM_TABLES[2..])] {
        let session = Session::connect(cluster, database).await?;
        refreshers.spawn(refresh_strictly(
            session,
            seed,
            tables,
            Arc::clone(counters),
        ));
    }
    let session = Session::connect(cluster, database).await?;
    refreshers.spawn(refresh_plainly(
        session,
        3,
        &STREAM_TABLES,
        Arc::clone(counters),
    ));
    let mut complaint = None;
    while complaint.is_none()
        && counters.judged.load(Ordering::Relaxed) < judged
        && std::time::Instant::now() < end
    {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        if let Some(Ok(Err(other))) = refreshers.try_join_next() {
            complaint = Some(other);
        }
        if let Some(Ok(Err(other))) = writers.try_join_next() {
            complaint = Some(Complaint::Sql(other));
        }
    }
    counters.stop.store(true, Ordering::Relaxed);
    while let Some(joined) = refreshers.join_next().await {
        if let Ok(Err(other)) = joined {
            complaint.get_or_insert(other);
        }
    }
    while let Some(joined) = writers.join_next().await {
        if let Ok(Err(other)) = joined {
            complaint.get_or_insert(Complaint::Sql(other));
        }
    }
    match complaint {
        Some(complaint) => Err(complaint),
        None => Ok(()),
    }
}
