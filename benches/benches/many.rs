//! `cargo bench -p benches --bench many`: many stream tables. Fails if a ratio is beyond `thresholds.toml`.

use anyhow::{Result, bail};
use benches::{gate, many, server, settings};

fn main() -> Result<()> {
    if settings::is_trial() {
        return Ok(());
    }
    let thresholds = gate::thresholds()?;
    let figures = server::block_on(async {
        let cluster = server::start_scheduled()?;
        many::measure(&cluster).await
    })?;
    println!("\nMany stream tables\n\n{}", many::markdown(&figures));
    let mut beyond = Vec::new();
    for figure in &figures {
        let limit = gate::limit(&thresholds, figure.name)?;
        if figure.ratio() > limit {
            beyond.push(format!(
                "{}: {:.2}, not {limit}",
                figure.name,
                figure.ratio()
            ));
        }
    }
    if !beyond.is_empty() {
        bail!("{}", beyond.join("; "));
    }
    Ok(())
}
