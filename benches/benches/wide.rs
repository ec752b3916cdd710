//! `cargo bench -p benches --bench wide`: refreshing joins of 4 to 20 tables of which one, half or all changed on the
//! same key, as a table and, in `target/wide.svg`, as a plot. Fails if one of them takes longer than computing the query
//! again, or more for each table than in a small join, by more than `thresholds.toml` allows.

use anyhow::{Result, bail};
use benches::processor::Clocked;
use benches::{gate, server, settings, wide};

fn main() -> Result<()> {
    if settings::is_trial() {
        return Ok(());
    }
    let thresholds = gate::thresholds()?;
    let limit = gate::limit(&thresholds, "wide join")?;
    let growth_limit = gate::limit(&thresholds, "wide join growth")?;
    let rows = server::block_on(async {
        let cluster = server::start()?;
        let session = server::database(&cluster, "wide").await?;
        wide::prepare(&session).await?;
        let clocked = Clocked::connect(&cluster, "wide").await?;
        let mut rows = Vec::new();
        for (shape, query) in wide::SHAPES {
            for tables in wide::TABLES {
                let row = wide::measure(&clocked, shape, &query(tables), tables).await?;
                eprintln!("{row:?}");
                rows.push(row);
            }
        }
        Ok::<_, anyhow::Error>(rows)
    })?;
    println!("\nJoins of many tables\n\n{}", wide::markdown(&rows));
    let plot = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/wide.svg");
    std::fs::write(plot, wide::plot(&rows))?;
    let growth = wide::growth(&rows);
    println!("A table more costs {growth:.2} times as much in joins of 20 as in joins of 4.");
    if growth > growth_limit {
        bail!("what a table costs grows by {growth:.2} with the tables, not {growth_limit}");
    }
    let slower = rows.iter().filter(|row| row.ratio() > limit).count();
    if slower > 0 {
        bail!("{slower} joins are refreshed more slowly than they are recomputed");
    }
    Ok(())
}
