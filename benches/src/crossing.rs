//! Where deltas end and recomputation begins: refreshes against `REFRESH MATERIALIZED VIEW`, from one in a
//! million of the rows changed to all of them.

use crate::plot::{Line, log_log};
use crate::refresh::tidy_up;
use crate::server;
use crate::settings::{Settings, is_wanted};
use crate::stats::{median, paired_ratio, time_ms};
use crate::views::{VIEWS, View};
use anyhow::{Result, ensure};
use harness::client::Session;
use std::fmt::Write;

/// Changed rows, per million of all.
pub const SIZES_PPM: [u64; 9] = [
    1, 10, 100, 1_000, 10_000, 20_000, 50_000, 100_000, 1_000_000,
];
/// Smaller changes are a matter of milliseconds, and of noise: they have no threshold here.
const GATED_PPM: u64 = 10_000;
/// After smaller ones there is nothing to tidy up, and one recomputation is enough to compare with.
const FEW_PPM: u64 = 1_000;
/// Rounds in which AUTO learns, and caches get warm.
const WARM_UP: usize = 1;

/// A view after changes of one size; medians in milliseconds, commit included.
#[derive(Debug, Clone)]
pub struct Point {
    pub letter: char,
    pub ppm: u64,
    pub auto_ms: f64,
    /// What AUTO did in each round, the first included: D for deltas, F for recomputation.
    pub actions: String,
    pub deltas_ms: f64,
    pub materialized_ms: f64,
    pub auto_ratio: f64,
    pub deltas_ratio: f64,
    /// The ratio of the first refresh after so many changes, which has not learnt from others.
    pub first_ratio: f64,
}

impl Point {
    fn percent(&self) -> f64 {
        self.ppm as f64 / 1e4
    }
}

/// A recomputation of unchanged content.
#[derive(Debug, Clone)]
pub struct Recomputation {
    pub letter: char,
    pub forced_ms: f64,
    pub materialized_ms: f64,
    pub ratio: f64,
}

/// What was measured.
#[derive(Debug, Clone, Default)]
pub struct Crossing {
    pub points: Vec<Point>,
    pub recomputations: Vec<Recomputation>,
}

/// Measures all views, one at a time, so that none pays for the others' changes.
pub async fn measure(session: &Session, settings: &Settings) -> Result<Crossing> {
    let mut crossing = Crossing::default();
    for view in VIEWS.iter().filter(|view| is_wanted(view.letter)) {
        create(session, view).await?;
        let repeat = settings.repeat_for(10_000).min(3);
        crossing
            .recomputations
            .push(recomputation(session, view, repeat).await?);
        for ppm in SIZES_PPM {
            let point = point(session, view, ppm, repeat).await?;
            eprintln!("{point:?}");
            crossing.points.push(point);
        }
        for table in ["auto", "deltas"] {
            let differences = session.scalar(&view.differences(table)).await?;
            ensure!(
                differences == "0",
                "{table} differs from its query in {differences} rows"
            );
            session
                .execute(&format!("SELECT pgtrickle.drop_stream_table('{table}')"))
                .await?;
        }
        session.execute(&drop_materialized(view)).await?;
    }
    Ok(crossing)
}

async fn create(session: &Session, view: &View) -> Result<()> {
    for (table, mode) in [("auto", "AUTO"), ("deltas", "DIFFERENTIAL")] {
        session
            .execute(&format!(
                "SELECT pgtrickle.create_stream_table('{table}', $q${}$q$, refresh_mode => '{mode}')",
                view.query
            ))
            .await?;
    }
    session.execute(&view.create_materialized_view()).await?;
    server::settle(session).await
}

fn drop_materialized(view: &View) -> String {
    format!("DROP MATERIALIZED VIEW matview_{}", view.letter)
}

async fn recomputation(session: &Session, view: &View, repeat: usize) -> Result<Recomputation> {
    let forced = "SELECT pgtrickle.refresh_stream_table('auto', force_full => true)";
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..repeat.max(3) {
        ours.push(time_ms(session, forced).await?);
        theirs.push(time_ms(session, &view.refresh_materialized_view(false)).await?);
    }
    Ok(Recomputation {
        letter: view.letter,
        forced_ms: median(&ours),
        materialized_ms: median(&theirs),
        ratio: paired_ratio(&ours, &theirs),
    })
}

async fn point(session: &Session, view: &View, ppm: u64, repeat: usize) -> Result<Point> {
    let (mut auto, mut deltas, mut materialized) = (Vec::new(), Vec::new(), Vec::new());
    let mut actions = String::new();
    for round in 0..WARM_UP + repeat {
        session.execute(&change(ppm, round)).await?;
        // Whoever reads changed rows first marks them as committed and prunes their pages; that is not the refresh's.
        session.execute("SELECT sum(score) FROM big").await?;
        auto.push(time_ms(session, &refresh("auto")).await?);
        deltas.push(time_ms(session, &refresh("deltas")).await?);
        let are_few = ppm < FEW_PPM;
        let again = match materialized.last() {
            Some(once) if are_few => *once,
            _ => time_ms(session, &view.refresh_materialized_view(false)).await?,
        };
        materialized.push(again);
        let action = session
            .scalar("SELECT left(action, 1) FROM pgtrickle.get_refresh_history('auto', 1)")
            .await?;
        actions.push_str(&action);
        if !are_few || round == repeat {
            tidy_up(session).await?;
        }
    }
    let first_ratio = auto[0] / materialized[0];
    for times in [&mut auto, &mut deltas, &mut materialized] {
        times.drain(..WARM_UP);
    }
    Ok(Point {
        letter: view.letter,
        ppm,
        auto_ms: median(&auto),
        actions,
        deltas_ms: median(&deltas),
        materialized_ms: median(&materialized),
        auto_ratio: paired_ratio(&auto, &materialized),
        deltas_ratio: paired_ratio(&deltas, &materialized),
        first_ratio,
    })
}

fn refresh(table: &str) -> String {
    format!("SELECT pgtrickle.refresh_stream_table('{table}')")
}

/// Updates this share of the rows, other ones each round, in all columns that a view shows.
fn change(ppm: u64, round: usize) -> String {
    format!(
        "UPDATE big SET amount = amount + 7, score = (score + 13) % 10000
         WHERE (id * 7919 + {round} * 131) % 1000000 < {ppm}"
    )
}

impl Crossing {
    /// The tables.
    pub fn markdown(&self) -> String {
        let mut text = String::from(
            "| view | changed | AUTO ms | did | deltas ms | matview ms | AUTO ÷ matview | at first | deltas ÷ matview |\n|---|---|---|---|---|---|---|---|---|\n",
        );
        for p in &self.points {
            let _ = writeln!(
                text,
                "| {} | {} % | {:.1} | {} | {:.1} | {:.1} | {:.2} | {:.2} | {:.2} |",
                p.letter,
                p.percent(),
                p.auto_ms,
                p.actions,
                p.deltas_ms,
                p.materialized_ms,
                p.auto_ratio,
                p.first_ratio,
                p.deltas_ratio
            );
        }
        text.push_str(
            "\n| view | force_full ms | matview ms | force_full ÷ matview |\n|---|---|---|---|\n",
        );
        for r in &self.recomputations {
            let _ = writeln!(
                text,
                "| {} | {:.1} | {:.1} | {:.2} |",
                r.letter, r.forced_ms, r.materialized_ms, r.ratio
            );
        }
        text
    }

    /// Refreshes and recomputations against the share of the rows that changed.
    pub fn plot(&self) -> String {
        let mut lines = Vec::new();
        for (colour, view) in VIEWS.iter().enumerate() {
            let of_view = || self.points.iter().filter(|p| p.letter == view.letter);
            let line = |name: String, is_dashed, ms: fn(&Point) -> f64| Line {
                name,
                colour,
                is_dashed,
                points: of_view().map(|p| (p.percent(), ms(p))).collect(),
            };
            if of_view().next().is_some() {
                lines.push(line(format!("({}) AUTO", view.letter), false, |p| {
                    p.auto_ms
                }));
                lines.push(line(format!("({}) recomputed", view.letter), true, |p| {
                    p.materialized_ms
                }));
            }
        }
        log_log("% of the rows changed", "ms", &lines)
    }

    /// The ratios that have a threshold, by the name of the case.
    pub fn ratios(&self) -> Vec<(String, f64)> {
        let points = self.points.iter().filter(|p| p.ppm >= GATED_PPM);
        let points = points.map(|p| (format!("auto {} {} %", p.letter, p.percent()), p.auto_ratio));
        let forced = self
            .recomputations
            .iter()
            .map(|r| (format!("recomputation {}", r.letter), r.ratio));
        points.chain(forced).collect()
    }
}
