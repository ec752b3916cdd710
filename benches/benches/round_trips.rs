//! `cargo bench -p benches --bench round_trips`: what is saved by asking the server once, or not
//! at all; what IMMEDIATE costs a statement; how long reading and compiling the queries of TPC-H takes.

use anyhow::Result;
use benches::{planning, round_trips, server};

fn main() -> Result<()> {
    // `cargo test --benches` passes this; there is nothing quick to test here.
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let cluster = server::start()?;
        let session = server::database(&cluster, "round_trips").await?;
        println!("{}", round_trips::probe(&session).await?);
        println!("{}", round_trips::watermark(&session).await?);
        println!("{}", round_trips::templates(&cluster, &session).await?);
        println!("{}", planning::queries(&session).await?);
        Ok(())
    })
}
