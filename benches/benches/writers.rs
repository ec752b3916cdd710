//! `cargo bench -p benches --bench writers`: what four writers keep of their throughput.
//! `PGT_BENCH_ROWS` and `PGT_BENCH_SECONDS` make it smaller, `PGT_BENCH_VIEWS` picks views by their letters.

use anyhow::Result;
use benches::settings::{Settings, is_trial, seconds};
use benches::writers::{self, Mode};
use benches::{gate, immediate, server};

fn main() -> Result<()> {
    if is_trial() {
        return Ok(());
    }
    let settings = Settings::from_env();
    let measured = server::block_on(async {
        let cluster = server::start_scheduled()?;
        let session = server::database(&cluster, "writers").await?;
        immediate::prepare(&session, settings.rows).await?;
        let mut measured = Vec::new();
        for (mode, letters) in [(Mode::Calculated, "abc"), (Mode::Immediate, "abcd")] {
            let kept =
                writers::measure(&cluster, "writers", settings.rows, mode, letters, seconds());
            measured.extend(kept.await?);
        }
        anyhow::Ok(measured)
    })?;
    println!("\n{}", writers::markdown(&measured));
    gate::settle(&writers::ratios(&measured), settings.gate)
}
