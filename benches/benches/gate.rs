//! `cargo xtask bench --gate`: judges ratios to in-run baselines, and fails if one is beyond its threshold.

use anyhow::{Result, bail};
use benches::gate::{self, Verdict};
use benches::{gate_cases, server};

fn main() -> Result<()> {
    // `cargo bench` as a whole prints figures; the gate runs when it is asked for.
    if !std::env::args().any(|argument| argument == "--gate") {
        println!("the gate runs by `cargo xtask bench --gate`");
        return Ok(());
    }
    let thresholds = gate::thresholds()?;
    let beyond = server::block_on(async {
        let cluster = server::start()?;
        let session = server::database(&cluster, "gate").await?;
        gate_cases::prepare(&session).await?;
        println!("| case | ratio | noise | limit | |\n|---|---|---|---|---|");
        let mut beyond = 0;
        for case in gate_cases::all() {
            let name = case.name();
            let judged = gate::check(&name, &thresholds, || case.measure(&session)).await?;
            beyond += usize::from(judged.verdict == Verdict::Beyond);
            println!(
                "| {name} | {} | {} | {:.2} | {} |",
                judged.ratio, judged.noise, thresholds[&name].limit, judged.verdict
            );
        }
        Ok::<_, anyhow::Error>(beyond)
    })?;
    if beyond > 0 {
        bail!("{beyond} cases are beyond their threshold, twice");
    }
    Ok(())
}
