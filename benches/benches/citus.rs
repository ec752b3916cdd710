//! `cargo bench -p benches --bench citus`: stream tables on a Citus coordinator with two workers, where the server has
//! Citus. `PGT_BENCH_ROWS` and `PGT_BENCH_REPEAT` make it smaller.

use anyhow::Result;
use benches::settings::{Settings, is_trial};
use benches::{citus, gate, server};

fn main() -> Result<()> {
    if is_trial() || harness::citus::is_missing("citus") {
        return Ok(());
    }
    let settings = Settings::from_env();
    let figures = server::block_on(async {
        let citus = citus::start(&server::extension()?).await?;
        citus::measure(&citus, &settings).await
    })?;
    println!("\nCitus\n\n{}", citus::markdown(&figures));
    gate::settle(&citus::ratios(&figures), settings.gate)
}
