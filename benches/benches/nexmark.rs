//! `cargo bench -p benches --bench nexmark`: refreshing the queries of Nexmark against computing them again.
//! `PGT_BENCH_EVENTS` is how many events there were before.

use anyhow::Result;
use benches::{nexmark::Nexmark, queries, settings};

fn main() -> Result<()> {
    if settings::is_trial() {
        return Ok(());
    }
    let events = settings::nexmark_events();
    let title = format!("Nexmark after {events} events");
    queries::report("nexmark", &title, |_| Ok(Nexmark::new(events)))
}
