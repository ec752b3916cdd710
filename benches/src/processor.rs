//! What refreshes and their rivals by hand take of the processor. Unlike elapsed time it hardly depends on
//! what else the machine does, and it leaves out the wait for the disk, which both sides have alike.

use crate::data;
use crate::refresh::tidy_up;
use crate::stats::{median, paired_ratio};
use crate::views::VIEWS;
use anyhow::Result;
use harness::client::Session;
use harness::cluster::Cluster;
use nix::time::{ClockId, clock_getcpuclockid};
use nix::unistd::Pid;
use std::fmt::Write;

/// Sizes of a change.
const SIZES: [u64; 2] = [1, 100];
/// Unmeasured rounds that warm caches and plans.
const WARM_UP: usize = 10;

/// A session whose processor time is read.
pub struct Clocked {
    pub session: Session,
    clock: ClockId,
}

impl Clocked {
    pub async fn connect(cluster: &Cluster, database: &str) -> Result<Self> {
        let session = Session::connect(cluster, database).await?;
        session.execute("SET synchronous_commit = off").await?;
        let clock = clock_getcpuclockid(Pid::from_raw(session.backend_pid().await?))?;
        Ok(Clocked { session, clock })
    }

    /// Milliseconds that the statement takes, commit included.
    pub async fn milliseconds(&self, sql: &str) -> Result<f64> {
        let before = self.clock.now()?;
        self.session.execute(sql).await?;
        let spent = self.clock.now()? - before;
        Ok(std::time::Duration::from(spent).as_secs_f64() * 1e3)
    }
}

/// The table, as Markdown. Changes are made by another session than the one that is measured.
pub async fn measure(
    cluster: &Cluster,
    database: &str,
    writer: &Session,
    repeat: usize,
) -> Result<String> {
    let clocked = Clocked::connect(cluster, database).await?;
    let mut text = String::from("| after |");
    for view in VIEWS {
        write!(text, " ({}) ours | by hand | factor |", view.letter)?;
    }
    writeln!(text, "\n|---|{}", "---:|---:|---:|".repeat(VIEWS.len()))?;
    for size in SIZES {
        let mut ours = vec![Vec::new(); VIEWS.len()];
        let mut hand = vec![Vec::new(); VIEWS.len()];
        for round in 0..WARM_UP + repeat {
            writer.execute(&data::change(size, round)).await?;
            for (index, view) in VIEWS.iter().enumerate() {
                // Who comes first has to fetch what the writer left in another processor's cache.
                let mut sides = [
                    (view.refresh(), &mut ours[index]),
                    (view.refresh_by_hand(), &mut hand[index]),
                ];
                if round % 2 == 1 {
                    sides.reverse();
                }
                for (sql, times) in sides {
                    let took = clocked.milliseconds(&sql).await?;
                    if round >= WARM_UP {
                        times.push(took);
                    }
                }
            }
            if round % 20 == 0 {
                tidy_up(writer).await?;
            }
        }
        write!(text, "| {size} changed |")?;
        for (ours, hand) in ours.iter().zip(&hand) {
            let ratio = paired_ratio(ours, hand);
            write!(
                text,
                " {:.2} | {:.2} | {ratio:.2} |",
                median(ours),
                median(hand)
            )?;
        }
        writeln!(text)?;
    }
    write!(text, "| nothing |")?;
    for view in VIEWS {
        let mut idle = Vec::new();
        for _ in 0..repeat {
            idle.push(clocked.milliseconds(&view.refresh()).await?);
        }
        write!(text, " {:.2} | | |", median(&idle))?;
    }
    writeln!(text)?;
    Ok(text)
}
