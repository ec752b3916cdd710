//! `cargo bench -p benches --bench tpcds`: refreshing the 99 queries of TPC-DS against computing them again.
//! `PGT_BENCH_DS_SCALE` is the scale factor.

use anyhow::Result;
use benches::{queries, settings, tpcds::Tpcds};

const DATABASE: &str = "tpcds";

fn main() -> Result<()> {
    if settings::is_trial() {
        return Ok(());
    }
    let scale = settings::tpcds_scale();
    let title = format!("TPC-DS at scale factor {scale}");
    queries::report(DATABASE, &title, |cluster| {
        Tpcds::new(cluster, DATABASE, scale)
    })
}
