//! `cargo bench -p benches --bench crossing`: AUTO, deltas and recomputation from 0.1 % to 100 % changed rows.
//! `PGT_BENCH_VIEWS` picks views by their letters.

use anyhow::{Result, bail};
use benches::settings::{Settings, is_trial};
use benches::{crossing, data, gate, server};

fn main() -> Result<()> {
    if is_trial() {
        return Ok(());
    }
    let settings = Settings::from_env();
    let thresholds = gate::thresholds()?;
    let measured = server::block_on(async {
        let cluster = server::start()?;
        let session = server::database(&cluster, "crossing").await?;
        data::create(&session, settings.rows).await?;
        crossing::measure(&session, &settings).await
    })?;
    println!("\n{}", measured.markdown());
    let mut crossed = 0;
    for (name, ratio) in measured.ratios() {
        if let Some(threshold) = thresholds.get(&name)
            && ratio > threshold.limit
        {
            println!("GATE {name}: {ratio:.2}, the gate is {}", threshold.limit);
            crossed += 1;
        }
    }
    if settings.gate && crossed > 0 {
        bail!("{crossed} gates crossed");
    }
    Ok(())
}
