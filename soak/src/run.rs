//! A run from its beginning to its verdict.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use harness::client::Session;
use tokio::task::JoinSet;

use crate::arena::{Arena, DATABASE};
use crate::folder::{self, Folder, Request};
use crate::journal::{Event, Journal};
use crate::server::{self, Place, Server};
use crate::sometimes;
use crate::{check, ddl, nemesis, progress, sample, schema, writer};

/// How long stream tables may take to come to rest: longer than the scheduler's backstop.
const PATIENCE: Duration = Duration::from_secs(90);

/// A run that is at least so long has to have judged the memory of some processes.
const MEMORY_AFTER: Duration = Duration::from_secs(300);

/// What came out.
#[derive(Debug)]
pub struct Verdict {
    /// The first violations, with what was never seen among them.
    pub violations: Vec<String>,
    /// Transactions committed.
    pub committed: u64,
    /// Refreshes judged.
    pub judged: u64,
}

/// Runs.
pub async fn run(folder: &Folder, request: &Request) -> Result<Verdict> {
    let profile = folder::profile(&request.profile)?;
    let is_resumed = request.attempt > 0;
    let place = server::place(&request.backend)?;
    let server = tokio::task::block_in_place(|| start(place, folder))?;
    let journal = Journal::open(&folder.journal())?;
    let session = Session::connect(&*server, DATABASE).await?;
    if is_resumed {
        session.execute("SELECT pgtrickle.resume()").await?;
    } else {
        schema::create(&session, profile).await?;
    }
    let length = Duration::from_secs_f64(request.minutes * 60.0);
    let left = length.saturating_sub(Duration::from_secs_f64(journal.now_s()));
    let arena = Arc::new(Arena::new(server, journal, profile, request.seed));
    arena.journal.write(Event::Start {
        seed: request.seed,
        profile: request.profile.clone(),
        minutes: request.minutes,
        stream_tables: schema::stream_tables().len(),
        resumed: is_resumed,
    });
    drop(session);
    let lives = Arc::new(check::memory::Lives::default());
    let watchers = spawn_watchers(&arena, &lives, length);
    let writers = spawn_writers(&arena, request.attempt);
    let started = Instant::now();
    let interrupted = {
        let haunting = async {
            nemesis::haunt(Arc::clone(&arena), left).await;
            arena.rest(left.saturating_sub(started.elapsed())).await;
        };
        tokio::select! {
            () = haunting => false,
            _ = tokio::signal::ctrl_c() => true,
        }
    };
    arena.stop_writers();
    writers.join_all().await;
    if !interrupted {
        come_to_rest(&arena).await;
    }
    arena.stop();
    watchers.join_all().await;
    if interrupted {
        anyhow::bail!(
            "interrupted after {:.0} s; --resume goes on with it",
            arena.journal.now_s()
        );
    }
    let judged = check::memory::judge(&arena, &lives);
    if left >= MEMORY_AFTER && judged == 0 {
        arena.violation("memory", "no process lived long enough to be judged");
    }
    Ok(conclude(&arena, is_resumed))
}

/// The server of a run.
fn start(place: Place, folder: &Folder) -> Result<Box<dyn Server>> {
    let ring = nemesis::RING_CAPACITY.to_string();
    let settings = [
        ("log_line_prefix", check::log::PREFIX),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("checkpoint_timeout", "60s"),
        ("max_connections", "100"),
        ("max_prepared_transactions", "50"),
        ("deadlock_timeout", "300ms"),
        ("pg_trickle.invalidation_ring_capacity", ring.as_str()),
        ("pg_trickle.min_refresh_interval_ms", "50"),
        ("pg_trickle.full_refresh_interval", "5s"),
        ("pg_trickle.history_rows", "200"),
        ("pg_trickle.drain_timeout", "2s"),
        ("pg_trickle.max_consecutive_errors", "20"),
    ];
    place.start(folder, &settings)
}

fn spawn_watchers(
    arena: &Arc<Arena>,
    lives: &Arc<check::memory::Lives>,
    length: Duration,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    tasks.spawn(check::oracle::watch(Arc::clone(arena)));
    tasks.spawn(check::ledger::watch(Arc::clone(arena)));
    tasks.spawn(check::frontier::watch(Arc::clone(arena)));
    tasks.spawn(check::history::watch(Arc::clone(arena)));
    tasks.spawn(check::staleness::watch(Arc::clone(arena)));
    tasks.spawn(check::storage::watch(Arc::clone(arena)));
    tasks.spawn(check::memory::watch(Arc::clone(arena), Arc::clone(lives)));
    tasks.spawn(check::log::watch(Arc::clone(arena)));
    tasks.spawn(sample::watch(Arc::clone(arena)));
    tasks.spawn(writer::beat(Arc::clone(arena)));
    tasks.spawn(writer::resolve_prepared(Arc::clone(arena)));
    tasks.spawn(progress::show(Arc::clone(arena), length));
    tasks
}

fn spawn_writers(arena: &Arc<Arena>, attempt: u64) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for writer in 0..arena.profile.writers() {
        tasks.spawn(writer::write(Arc::clone(arena), attempt * 1000 + writer));
    }
    tasks.spawn(writer::write_chain(Arc::clone(arena)));
    tasks.spawn(ddl::change_definitions(Arc::clone(arena)));
    tasks
}

/// Nobody writes any more: everything that was committed arrives, and every stream table becomes exact by itself.
async fn come_to_rest(arena: &Arc<Arena>) {
    let who = "end";
    let Some(session) = arena.connect(who).await else {
        return;
    };
    let mut random = harness::random::Random::new(arena.seed);
    let results = [
        writer::resolve_all_prepared(&session, &mut random).await,
        check::oracle::settle(arena, &session, PATIENCE).await,
        check::ledger::check(arena, &session).await,
    ];
    for result in results {
        if let Err(error) = result {
            arena.report(who, &error);
        }
    }
}

/// The verdict; a resumed run may have seen before what it has to see.
fn conclude(arena: &Arena, is_resumed: bool) -> Verdict {
    if !is_resumed {
        for event in arena.sometimes.missing() {
            arena.violation("sometimes", &format!("the run never saw {}", event.name()));
        }
    }
    let verdict = Verdict {
        violations: arena.violations(),
        committed: arena.committed.load(Ordering::Relaxed),
        judged: arena.judged.load(Ordering::Relaxed),
    };
    arena.journal.write(Event::End {
        passed: verdict.violations.is_empty(),
        committed: verdict.committed,
        judged: verdict.judged,
        seen: sometimes::Event::ALL
            .iter()
            .map(|event| (event.name().to_owned(), arena.sometimes.count(*event)))
            .collect(),
    });
    verdict
}

/// Begins a run, or goes on with one.
pub async fn begin_or_resume(folder: &Folder, request: Option<Request>) -> Result<Verdict> {
    let request = match request {
        Some(request) => {
            folder.begin(&request)?;
            request
        }
        None => folder.resume()?,
    };
    let verdict = run(folder, &request).await.with_context(|| {
        format!(
            "seed {}, journal {}",
            request.seed,
            folder.journal().display()
        )
    })?;
    if verdict.violations.is_empty() {
        folder.finish();
    }
    Ok(verdict)
}
