//! `cargo bench -p benches --bench tpch`: refreshing the 22 queries of TPC-H against computing them again.
//! `PGT_BENCH_SCALE` is the scale factor.

use anyhow::Result;
use benches::{queries, settings, tpch::Tpch};

const DATABASE: &str = "tpch";

fn main() -> Result<()> {
    if settings::is_trial() {
        return Ok(());
    }
    let scale = settings::tpch_scale();
    let title = format!("TPC-H at scale factor {scale}");
    queries::report(DATABASE, &title, |cluster| {
        Ok(Tpch::new(cluster, DATABASE, scale))
    })
}
