//! `cargo bench -p benches --bench processor`: processor time of refreshes and of their rivals by hand, and of the first
//! refresh in a session.
//! `PGT_BENCH_ROWS` and `PGT_BENCH_REPEAT` make it smaller.

use anyhow::Result;
use benches::settings::{Settings, is_trial};
use benches::{data, first, gate, processor, refresh, server};

fn main() -> Result<()> {
    if is_trial() {
        return Ok(());
    }
    let settings = Settings::from_env();
    server::block_on(async {
        let cluster = server::start()?;
        let session = server::database(&cluster, "processor").await?;
        data::create(&session, settings.rows).await?;
        refresh::prepare_pairs(&session).await?;
        let table = processor::measure(&cluster, "processor", &session, settings.repeat).await?;
        println!("\n{table}");
        let firsts = first::measure(&cluster, "processor", &session).await?;
        println!("{}", first::markdown(&firsts));
        gate::settle(&first::ratios(&firsts), settings.gate)
    })
}
