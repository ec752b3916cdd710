//! A writer's session: transactions one after the other, and a new session when one is lost.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use harness::client::{Session, SqlError, quote_literal};
use harness::random::Random;
use harness::workload::{change, sources};

use super::ledger::Fate;
use crate::arena::{Arena, is_contention};
use crate::sometimes::Event;

/// A prepared transaction that is older than this has lost its session.
const ORPHANED: &str = "10 seconds";

/// Writes to all sources until told to stop. A writer's number is its own over all resumptions.
pub async fn write(arena: Arc<Arena>, writer: u64) {
    let who = format!("writer {writer}");
    let mut random = Random::new(arena.seed ^ writer.wrapping_mul(0x9E37_79B9));
    let mut number = 0;
    while arena.writers_run() {
        let Some(session) = arena.connect(&who).await else {
            return;
        };
        while arena.writers_run() {
            number += 1;
            let started = Instant::now();
            let transaction = Transaction {
                arena: &arena,
                session: &session,
                writer,
                number,
            };
            let result = transaction.run(&mut random).await;
            if !finished(&arena, &session, &who, result, started).await {
                break;
            }
            // Bursts: at times nobody rests.
            let in_burst = (arena.journal.now_s() as u64 / 7).is_multiple_of(5);
            if !in_burst {
                arena
                    .rest(
                        arena
                            .profile
                            .pause()
                            .mul_f64(random.below(200) as f64 / 100.0),
                    )
                    .await;
            }
        }
    }
}

/// Changes the chain until told to stop: mostly one table, often all at once.
pub async fn write_chain(arena: Arc<Arena>) {
    let who = "writer of the chain";
    let mut random = Random::new(arena.seed ^ 0xC4A1);
    while arena.writers_run() {
        let Some(session) = arena.connect(who).await else {
            return;
        };
        while arena.writers_run() {
            let started = Instant::now();
            let whole = random.percent(40);
            let sql = if whole {
                change::whole_chain(&mut random)
            } else {
                let number = 1 + random.below(sources::CHAIN as u64) as usize;
                change::link(&mut random, number)
            };
            let result = session.execute(&format!("BEGIN; {sql}; COMMIT")).await;
            if result.is_ok() && whole {
                arena.saw(Event::WholeChainChanged);
            }
            if result.is_ok() {
                arena.committed.fetch_add(1, Ordering::Relaxed);
            }
            if !finished(&arena, &session, who, result, started).await {
                break;
            }
            arena.rest(arena.profile.pause() * 2).await;
        }
    }
}

/// Writes the time twice a second.
pub async fn beat(arena: Arc<Arena>) {
    let who = "heartbeat";
    while arena.is_running() {
        let Some(session) = arena.connect(who).await else {
            return;
        };
        while arena.is_running() {
            let result = session
                .execute("UPDATE beat SET at = clock_timestamp() WHERE id = 1")
                .await;
            if let Err(error) = result {
                arena.report(who, &error);
                break;
            }
            arena.rest(Duration::from_millis(500)).await;
        }
    }
}

/// Ends prepared transactions whose session was lost, one way or the other.
pub async fn resolve_prepared(arena: Arc<Arena>) {
    let who = "resolver";
    let mut random = Random::new(arena.seed ^ 0x2FC);
    while let Some(session) = arena.connect(who).await {
        loop {
            if !arena.is_running() {
                return;
            }
            if let Err(error) = resolve(&session, ORPHANED, &mut random).await {
                arena.report(who, &error);
                break;
            }
            arena.rest(Duration::from_secs(2)).await;
        }
    }
}

/// Ends every prepared transaction, where none can have a session.
pub async fn resolve_all_prepared(session: &Session, random: &mut Random) -> Result<(), SqlError> {
    resolve(session, "0 seconds", random).await
}

/// Ends the prepared transactions that are older than this.
async fn resolve(session: &Session, age: &str, random: &mut Random) -> Result<(), SqlError> {
    let orphans = session
        .rows(&format!(
            "SELECT gid FROM pg_prepared_xacts WHERE prepared < clock_timestamp() - interval '{age}'"
        ))
        .await?;
    for gid in orphans.into_iter().flatten().flatten() {
        let end = if random.percent(50) {
            "COMMIT"
        } else {
            "ROLLBACK"
        };
        let ended = session
            .execute(&format!("{end} PREPARED {}", quote_literal(&gid)))
            .await;
        match ended {
            // Its own session was quicker.
            Err(error) if error.sqlstate == "42704" => {}
            other => other?,
        }
    }
    Ok(())
}

/// Reports how a transaction ended. Whether the session can go on.
async fn finished(
    arena: &Arena,
    session: &Session,
    who: &str,
    result: Result<(), SqlError>,
    started: Instant,
) -> bool {
    match result {
        Ok(()) => {
            if let Ok(mut times) = arena.commits_ms.lock() {
                times.push(started.elapsed().as_secs_f64() * 1000.0);
            }
            true
        }
        Err(error) => {
            arena.report(who, &error);
            is_contention(&error) && session.execute("ROLLBACK").await.is_ok()
        }
    }
}

struct Transaction<'a> {
    arena: &'a Arena,
    session: &'a Session,
    writer: u64,
    number: u64,
}

impl Transaction<'_> {
    /// One transaction with its row in the ledger.
    async fn run(&self, random: &mut Random) -> Result<(), SqlError> {
        let mut is_ending = false;
        let result = self.steps(random, &mut is_ending).await;
        let fate = match &result {
            Ok(fate) => *fate,
            // An error of the server rolls back; a connection lost at the end may mean anything.
            Err(error) if is_ending && !is_contention(error) => Fate::Unknown,
            Err(_) => Fate::RolledBack,
        };
        if fate == Fate::Committed {
            self.arena.committed.fetch_add(1, Ordering::Relaxed);
        }
        self.arena.ledger.note(self.writer, self.number, fate);
        result.map(|_| ())
    }

    async fn steps(&self, random: &mut Random, is_ending: &mut bool) -> Result<Fate, SqlError> {
        let rows = self.arena.profile.rows();
        let entry = format!(
            "INSERT INTO ledger VALUES ({}, {})",
            self.writer, self.number
        );
        if random.percent(30) {
            *is_ending = true;
            let sql = format!("BEGIN; {entry}; {}; COMMIT", change::any(random, rows));
            self.session.execute(&sql).await?;
            return Ok(Fate::Committed);
        }
        self.session.execute(&format!("BEGIN; {entry}")).await?;
        let is_long = random.percent(5);
        for _ in 0..=random.below(if is_long { 30 } else { 5 }) {
            self.session.execute(&change::any(random, rows)).await?;
            if random.percent(15) {
                self.savepoint(random, rows).await?;
            }
            if is_long || random.percent(10) {
                // Stay open while others commit.
                let pause = random.below(if is_long { 120 } else { 15 });
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
        }
        match random.below(12) {
            0 => {
                self.session.execute("ROLLBACK").await?;
                Ok(Fate::RolledBack)
            }
            1 => self.two_phases(random, is_ending).await,
            _ => {
                *is_ending = true;
                self.session.execute("COMMIT").await?;
                Ok(Fate::Committed)
            }
        }
    }

    async fn savepoint(&self, random: &mut Random, rows: u64) -> Result<(), SqlError> {
        self.session.execute("SAVEPOINT s").await?;
        self.session.execute(&change::any(random, rows)).await?;
        if random.percent(50) {
            self.session.execute("ROLLBACK TO s").await?;
            self.arena.saw(Event::SavepointRollback);
            Ok(())
        } else {
            self.session.execute("RELEASE s").await
        }
    }

    async fn two_phases(
        &self,
        random: &mut Random,
        is_ending: &mut bool,
    ) -> Result<Fate, SqlError> {
        let id = quote_literal(&format!("soak_{}_{}", self.writer, self.number));
        *is_ending = true;
        self.session
            .execute(&format!("PREPARE TRANSACTION {id}"))
            .await?;
        tokio::time::sleep(Duration::from_millis(random.below(60))).await;
        let (end, fate) = if random.percent(20) {
            ("ROLLBACK", Fate::RolledBack)
        } else {
            ("COMMIT", Fate::Committed)
        };
        match self.session.execute(&format!("{end} PREPARED {id}")).await {
            Ok(()) if fate == Fate::Committed => self.arena.saw(Event::PreparedCommit),
            // The resolver took it for an orphan.
            Err(error) if error.sqlstate == "42704" => return Ok(Fate::Unknown),
            other => other?,
        }
        Ok(fate)
    }
}
