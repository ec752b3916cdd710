//! `cargo bench -p benches --bench wide`: refreshing joins of 4 to 20 tables of which one, half or all changed on the
//! same key. Fails if one of them takes longer than computing the query again, by more than `thresholds.toml` allows.

use anyhow::{Result, bail};
use benches::{gate, server, settings, wide};

fn main() -> Result<()> {
    if settings::is_trial() {
        return Ok(());
    }
    let limit = gate::limit(&gate::thresholds()?, "wide join")?;
    let rows = server::block_on(async {
        let cluster = server::start()?;
        let session = server::database(&cluster, "wide").await?;
        wide::prepare(&session).await?;
        let mut rows = Vec::new();
        for (shape, query) in wide::SHAPES {
            for tables in wide::TABLES {
                let row = wide::measure(&session, shape, &query(tables), tables).await?;
                eprintln!("{row:?}");
                rows.push(row);
            }
        }
        Ok::<_, anyhow::Error>(rows)
    })?;
    println!("\nJoins of many tables\n\n{}", wide::markdown(&rows));
    let slower = rows.iter().filter(|row| row.ratio() > limit).count();
    if slower > 0 {
        bail!("{slower} joins are refreshed more slowly than they are recomputed");
    }
    Ok(())
}
