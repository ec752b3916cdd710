//! `cargo bench -p benches --bench processor`: processor time of refreshes and of their rivals by hand.
//! `PGT_BENCH_ROWS` and `PGT_BENCH_REPEAT` make it smaller.

use anyhow::Result;
use benches::settings::Settings;
use benches::{data, processor, refresh, server};

fn main() -> Result<()> {
    // `cargo test --benches` passes this; there is nothing quick to test here.
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(());
    }
    let settings = Settings::from_env();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let cluster = server::start()?;
        let session = server::database(&cluster, "processor").await?;
        data::create(&session, settings.rows).await?;
        refresh::prepare_pairs(&session).await?;
        let table = processor::measure(&cluster, "processor", &session, settings.repeat).await?;
        println!("\n{table}");
        Ok(())
    })
}
