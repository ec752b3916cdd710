//! `cargo bench -p benches --bench tpch`: refreshing the 22 queries of TPC-H against computing them again.
//! `PGT_BENCH_SCALE` is the scale factor.

use anyhow::Result;
use benches::queries::{markdown, measure};
use benches::{server, settings, tpch::Tpch};

fn main() -> Result<()> {
    // `cargo test --benches` passes this; there is nothing quick to test here.
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(());
    }
    let scale = settings::tpch_scale();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let rows = runtime.block_on(async {
        let cluster = server::start()?;
        let session = server::database(&cluster, "tpch").await?;
        measure(&session, &mut Tpch::new(&cluster, "tpch", scale)).await
    })?;
    println!("\nTPC-H at scale factor {scale}\n\n{}", markdown(&rows));
    Ok(())
}
