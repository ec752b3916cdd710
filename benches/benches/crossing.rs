//! `cargo bench -p benches --bench crossing`: AUTO, deltas and recomputation from 0.0001 % to 100 % changed rows, as a
//! table and, in `target/crossing.svg`, as a plot.
//! `PGT_BENCH_VIEWS` picks views by their letters.

use anyhow::Result;
use benches::settings::{Settings, is_trial};
use benches::{crossing, data, gate, server};

fn main() -> Result<()> {
    if is_trial() {
        return Ok(());
    }
    let settings = Settings::from_env();
    let measured = server::block_on(async {
        let cluster = server::start()?;
        let session = server::database(&cluster, "crossing").await?;
        data::create(&session, settings.rows).await?;
        crossing::measure(&session, &settings).await
    })?;
    println!("\n{}", measured.markdown());
    let plot = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/crossing.svg");
    std::fs::write(plot, measured.plot())?;
    gate::settle(&measured.ratios(), settings.gate)
}
