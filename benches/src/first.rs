//! The first refresh of a new session against one in a session that has refreshed before: what a worker that has just
//! started pays for. In processor time, beside the same by hand, whose functions are planned anew in each session, too.

use crate::data;
use crate::processor::Clocked;
use crate::refresh::tidy_up;
use crate::stats::median;
use crate::views::{VIEWS, View};
use anyhow::Result;
use harness::client::Session;
use harness::cluster::Cluster;
use std::fmt::Write;

/// New sessions of each kind.
const ROUNDS: usize = 9;
/// Unmeasured refreshes of the session that is compared with.
const WARM_UP: usize = 6;

/// Medians of one view, in milliseconds of processor time, commit included.
#[derive(Debug, Clone)]
pub struct First {
    pub letter: char,
    pub first_ms: f64,
    pub warm_ms: f64,
    pub first_by_hand_ms: f64,
    pub warm_by_hand_ms: f64,
}

impl First {
    pub fn ratio(&self) -> f64 {
        self.first_ms / self.warm_ms
    }
}

/// Measures the views that exist twice: as stream table and by hand.
pub async fn measure(cluster: &Cluster, database: &str, writer: &Session) -> Result<Vec<First>> {
    let mut measured = Vec::new();
    for view in VIEWS {
        let first = of(cluster, database, writer, view).await?;
        eprintln!("{first:?}");
        measured.push(first);
    }
    Ok(measured)
}

async fn of(cluster: &Cluster, database: &str, writer: &Session, view: &View) -> Result<First> {
    let sides = [view.refresh(), view.refresh_by_hand()];
    let used = Clocked::connect(cluster, database).await?;
    let (mut first, mut warm) = ([const { Vec::new() }; 2], [const { Vec::new() }; 2]);
    for round in 0..WARM_UP + ROUNDS {
        writer.execute(&data::change(100, round)).await?;
        for (sql, times) in sides.iter().zip(&mut warm) {
            let took = used.milliseconds(sql).await?;
            if round >= WARM_UP {
                times.push(took);
            }
        }
        if round < WARM_UP {
            continue;
        }
        writer.execute(&data::change(100, round)).await?;
        for (sql, times) in sides.iter().zip(&mut first) {
            let new = Clocked::connect(cluster, database).await?;
            times.push(new.milliseconds(sql).await?);
        }
    }
    // The other views have to follow, or their logs would grow.
    for other in VIEWS {
        writer.execute(&other.refresh()).await?;
        writer.execute(&other.refresh_by_hand()).await?;
    }
    tidy_up(writer).await?;
    let [first_ms, first_by_hand_ms] = first.map(|times| median(&times));
    let [warm_ms, warm_by_hand_ms] = warm.map(|times| median(&times));
    Ok(First {
        letter: view.letter,
        first_ms,
        warm_ms,
        first_by_hand_ms,
        warm_by_hand_ms,
    })
}

/// The table.
pub fn markdown(measured: &[First]) -> String {
    let mut text = String::from(
        "| 100 changed rows | first, ms | warm, ms | factor | by hand: first, ms | warm, ms | factor |\n|---|---:|---:|---:|---:|---:|---:|\n",
    );
    for m in measured {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| ({}) | {:.2} | {:.2} | {:.1} | {:.2} | {:.2} | {:.1} |",
            m.letter,
            m.first_ms,
            m.warm_ms,
            m.ratio(),
            m.first_by_hand_ms,
            m.warm_by_hand_ms,
            m.first_by_hand_ms / m.warm_by_hand_ms
        );
    }
    text
}

/// The ratios, by the name of the case.
pub fn ratios(measured: &[First]) -> Vec<(String, f64)> {
    let named = |first: &First| (format!("first refresh {}", first.letter), first.ratio());
    measured.iter().map(named).collect()
}
