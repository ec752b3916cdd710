//! `cargo bench -p benches --bench nexmark`: refreshing the queries of Nexmark against computing them again.
//! `PGT_BENCH_EVENTS` is how many events there were before.

use anyhow::Result;
use benches::queries::{markdown, measure};
use benches::{nexmark::Nexmark, server, settings};

fn main() -> Result<()> {
    // `cargo test --benches` passes this; there is nothing quick to test here.
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(());
    }
    let events = settings::nexmark_events();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let rows = runtime.block_on(async {
        let cluster = server::start()?;
        let session = server::database(&cluster, "nexmark").await?;
        measure(&session, &mut Nexmark::new(events)).await
    })?;
    println!("\nNexmark after {events} events\n\n{}", markdown(&rows));
    Ok(())
}
