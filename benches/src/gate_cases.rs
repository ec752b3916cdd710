//! What the gate measures: refreshes against SQL written by hand, and writes with capture against
//! writes without.

use crate::data;
use crate::gate::{PAIRS_MIN, Turn};
use crate::refresh::{prepare_pairs, tidy_up};
use crate::server;
use crate::stats::{median, time_ms};
use crate::views::{VIEWS, View};
use anyhow::Result;
use harness::client::Session;

/// Rows of the large table: enough that nothing is a matter of its size.
const ROWS: u64 = 200_000;
/// Turns of a case.
const TURNS: usize = PAIRS_MIN;
/// Single-row writes are timed in groups, since one is too short.
const WRITES: usize = 20;

/// A case.
pub enum Case {
    /// A refresh of this view after so many changed rows.
    Refresh(&'static View, u64),
    /// A single-row write, captured natively.
    Capture(Write),
}

/// A single-row write.
#[derive(Debug, Clone, Copy)]
pub enum Write {
    Update,
    Insert,
}

/// All cases, in the order of the report.
pub fn all() -> Vec<Case> {
    let refreshes = VIEWS
        .iter()
        .flat_map(|view| [Case::Refresh(view, 1), Case::Refresh(view, 100)]);
    refreshes
        .chain([Case::Capture(Write::Update), Case::Capture(Write::Insert)])
        .collect()
}

/// The tables of all cases.
pub async fn prepare(session: &Session) -> Result<()> {
    data::create(session, ROWS).await?;
    prepare_pairs(session).await?;
    for table in ["plain", "captured"] {
        session
            .execute(&format!(
                "CREATE TABLE {table} AS SELECT i AS id, i % 10 AS g, i AS v, 'note ' || i AS note
                     FROM generate_series(1, {ROWS}) i;
                 ALTER TABLE {table} ADD PRIMARY KEY (id)"
            ))
            .await?;
    }
    session
        .execute(
            "SELECT pgtrickle.create_stream_table('summary',
                 'SELECT g, count(*) AS n, sum(v) AS total FROM captured GROUP BY g')",
        )
        .await?;
    server::settle(session).await?;
    Ok(())
}

impl Case {
    /// Its name in `thresholds.toml`.
    pub fn name(&self) -> String {
        match self {
            Case::Refresh(view, changed) => format!("refresh {} {changed}", view.letter),
            Case::Capture(Write::Update) => "capture of UPDATE of one row".into(),
            Case::Capture(Write::Insert) => "capture of INSERT of one row".into(),
        }
    }

    /// One run.
    pub async fn measure(&self, session: &Session) -> Result<Vec<Turn>> {
        let turns = match self {
            Case::Refresh(view, changed) => refreshes(session, view, *changed).await?,
            Case::Capture(write) => writes(session, *write).await?,
        };
        tidy_up(session).await?;
        Ok(turns)
    }
}

/// Two changes per turn, and both refreshes after each.
async fn refreshes(session: &Session, view: &View, changed: u64) -> Result<Vec<Turn>> {
    let (ours, by_hand) = (view.refresh(), view.refresh_by_hand());
    let mut turns = Vec::new();
    // The first turns warm up plans.
    for turn in 0..TURNS + 3 {
        session.execute(&data::change(changed, 2 * turn)).await?;
        let a1 = time_ms(session, &by_hand).await?;
        let b1 = time_ms(session, &ours).await?;
        session.execute(&data::change(changed, 2 * turn)).await?;
        let b2 = time_ms(session, &ours).await?;
        let a2 = time_ms(session, &by_hand).await?;
        turns.push(Turn([a1, b1, b2, a2]));
    }
    // The other views have to follow, or their logs would grow.
    for other in VIEWS {
        session.execute(&other.refresh()).await?;
        session.execute(&other.refresh_by_hand()).await?;
    }
    Ok(turns.split_off(3))
}

/// Groups of writes to the table without capture and to the one with.
async fn writes(session: &Session, write: Write) -> Result<Vec<Turn>> {
    session.execute("SET synchronous_commit = off").await?;
    let next: u64 = session
        .scalar("SELECT greatest(max(p.id), max(c.id)) + 1 FROM plain p FULL JOIN captured c USING (id)")
        .await?
        .parse()?;
    let mut turns = Vec::new();
    for turn in 0..TURNS + 1 {
        let mut times = [0.0; 4];
        for (at, table) in ["plain", "captured", "captured", "plain"]
            .iter()
            .enumerate()
        {
            let mut group = Vec::new();
            for number in 0..WRITES {
                let row = ((turn * 4 + at) * WRITES + number) as u64;
                let sql = match write {
                    Write::Update => format!(
                        "UPDATE {table} SET v = v + 1 WHERE id = {}",
                        1 + row * 7_919 % ROWS
                    ),
                    Write::Insert => {
                        format!("INSERT INTO {table} VALUES ({}, 1, 1, 'new')", next + row)
                    }
                };
                group.push(time_ms(session, &sql).await?);
            }
            times[at] = median(&group);
        }
        turns.push(Turn(times));
    }
    session.execute("RESET synchronous_commit").await?;
    session
        .execute("SELECT * FROM pgtrickle.refresh_stream_table('summary')")
        .await?;
    Ok(turns.split_off(1))
}
