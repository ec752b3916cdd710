//! `cargo bench -p benches --bench round_trips`: what is saved by asking the server once, or not
//! at all; what IMMEDIATE costs a statement; how long reading and compiling the queries of TPC-H takes.

use anyhow::Result;
use benches::settings::is_trial;
use benches::{planning, round_trips, server};

fn main() -> Result<()> {
    if is_trial() {
        return Ok(());
    }
    server::block_on(async {
        let cluster = server::start()?;
        let session = server::database(&cluster, "round_trips").await?;
        println!("{}", round_trips::probe(&session).await?);
        println!("{}", round_trips::watermark(&session).await?);
        println!("{}", round_trips::templates(&cluster, &session).await?);
        println!("{}", planning::queries(&session).await?);
        Ok(())
    })
}
