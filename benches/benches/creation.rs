//! `cargo bench -p benches --bench creation`: creating and recomputing against a materialized view.
//! `PGT_BENCH_ROWS` makes it smaller.

use anyhow::Result;
use benches::settings::{Settings, is_trial};
use benches::{creation, data, gate, server};

fn main() -> Result<()> {
    if is_trial() {
        return Ok(());
    }
    let settings = Settings::from_env();
    let measured = server::block_on(async {
        let cluster = server::start()?;
        let session = server::database(&cluster, "creation").await?;
        data::create(&session, settings.rows).await?;
        creation::measure(&session).await
    })?;
    println!("\n{}", creation::markdown(&measured));
    gate::settle(&creation::ratios(&measured), settings.gate)
}
