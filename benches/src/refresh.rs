//! A refresh of each view after 1, 100, 10,000 and no changed rows, against its rivals.

use crate::data;
use crate::server;
use crate::settings::Settings;
use crate::stats::{median, paired_ratio, time_ms};
use crate::views::{VIEWS, View};
use anyhow::{Result, ensure};
use harness::client::Session;

/// The sizes of the published table.
pub const SIZES: [u64; 3] = [1, 100, 10_000];

/// Unmeasured rounds that warm caches and plans.
const WARM_UP: usize = 6;

/// How often the slow rivals are measured per size.
const MATERIALIZED_REPEAT: usize = 3;

/// One view after changes of one size.
#[derive(Debug, Clone)]
pub struct Cell {
    pub letter: char,
    pub changed: u64,
    /// Medians in milliseconds, commit included.
    pub refresh_ms: f64,
    pub by_hand_ms: f64,
    /// The median of the ratios of the pairs.
    pub ratio: f64,
    pub materialized_ms: f64,
    pub concurrently_ms: f64,
}

/// A refresh when nothing changed.
#[derive(Debug, Clone)]
pub struct Idle {
    pub letter: char,
    pub refresh_ms: f64,
    /// Bytes of write-ahead log, the least of all repetitions: others write some too.
    pub wal_bytes: u64,
}

/// Creates every view three times over: stream table, by hand, materialized view.
pub async fn prepare(session: &Session) -> Result<()> {
    prepare_pairs(session).await?;
    for view in VIEWS {
        session.execute(&view.create_materialized_view()).await?;
    }
    server::settle(session).await?;
    Ok(())
}

/// Creates every view twice: stream table and by hand.
pub async fn prepare_pairs(session: &Session) -> Result<()> {
    for view in VIEWS {
        session.execute(&view.create_by_hand()).await?;
        session.execute(&view.create_stream_table()).await?;
    }
    Ok(())
}

/// Measures one size of change for all views.
pub async fn measure(session: &Session, settings: &Settings, changed: u64) -> Result<Vec<Cell>> {
    let repeat = settings.repeat_for(changed);
    let mut ours = vec![Vec::new(); VIEWS.len()];
    let mut hand = vec![Vec::new(); VIEWS.len()];
    for repetition in 0..WARM_UP + repeat {
        session.execute(&data::change(changed, repetition)).await?;
        let measured = repetition >= WARM_UP;
        for (index, view) in VIEWS.iter().enumerate() {
            let (our_ms, hand_ms) = pair(session, view, repetition % 2 == 0).await?;
            if measured {
                ours[index].push(our_ms);
                hand[index].push(hand_ms);
            }
        }
        if changed > 1_000 || repetition % 20 == 0 {
            tidy_up(session).await?;
        }
    }
    verify(session).await?;

    let mut cells = Vec::new();
    for (index, view) in VIEWS.iter().enumerate() {
        let (mut plain, mut concurrently) = (Vec::new(), Vec::new());
        for repetition in 0..MATERIALIZED_REPEAT {
            session.execute(&data::change(changed, repetition)).await?;
            concurrently.push(time_ms(session, &view.refresh_materialized_view(true)).await?);
            plain.push(time_ms(session, &view.refresh_materialized_view(false)).await?);
        }
        cells.push(Cell {
            letter: view.letter,
            changed,
            refresh_ms: median(&ours[index]),
            by_hand_ms: median(&hand[index]),
            ratio: paired_ratio(&ours[index], &hand[index]),
            materialized_ms: median(&plain),
            concurrently_ms: median(&concurrently),
        });
    }
    // What the slow rivals were given is still outstanding for the others.
    for view in VIEWS {
        pair(session, view, true).await?;
    }
    tidy_up(session).await?;
    Ok(cells)
}

/// Both refreshes of a view, in this order or the other.
async fn pair(session: &Session, view: &View, ours_first: bool) -> Result<(f64, f64)> {
    if ours_first {
        let ours = time_ms(session, &view.refresh()).await?;
        Ok((ours, time_ms(session, &view.refresh_by_hand()).await?))
    } else {
        let hand = time_ms(session, &view.refresh_by_hand()).await?;
        Ok((time_ms(session, &view.refresh()).await?, hand))
    }
}

/// Measures refreshes that find nothing to do.
pub async fn measure_idle(session: &Session, settings: &Settings) -> Result<Vec<Idle>> {
    let mut idle = Vec::new();
    for view in VIEWS {
        session.execute(&view.refresh()).await?;
        let (mut times, mut least) = (Vec::new(), u64::MAX);
        for _ in 0..settings.repeat {
            let before = session.scalar("SELECT pg_current_wal_insert_lsn()").await?;
            times.push(time_ms(session, &view.refresh()).await?);
            let written = format!("SELECT pg_current_wal_insert_lsn() - '{before}'::pg_lsn");
            least = least.min(session.scalar(&written).await?.parse::<f64>()? as u64);
        }
        idle.push(Idle {
            letter: view.letter,
            refresh_ms: median(&times),
            wal_bytes: least,
        });
    }
    Ok(idle)
}

/// Dead rows slow down both sides alike, and vacuum would not run by itself here.
pub async fn tidy_up(session: &Session) -> Result<()> {
    let tables = session
        .rows(
            "SELECT oid::regclass::text FROM pg_class
             WHERE relkind = 'r' AND (relnamespace IN ('public'::regnamespace,
                   'pgtrickle_changes'::regnamespace, 'pgtrickle_state'::regnamespace,
                   'pgtrickle'::regnamespace)) AND relname NOT IN ('small', 'parameters')",
        )
        .await?;
    for table in tables.iter().filter_map(|row| row.first()?.as_deref()) {
        session.execute(&format!("VACUUM {table}")).await?;
    }
    Ok(())
}

/// A number is only worth something if both sides are right.
async fn verify(session: &Session) -> Result<()> {
    for view in VIEWS {
        for table in [view.stream_table(), format!("hand_{}", view.letter)] {
            let differences = session.scalar(&view.differences(&table)).await?;
            ensure!(
                differences == "0",
                "{table} differs from its query in {differences} rows"
            );
        }
    }
    Ok(())
}
