//! Runs made-up cases until the time is over: `fuzz --minutes N`.
//!
//! `PGT_FUZZ_SEED=S` runs the one case of that seed. Findings are in `target/fuzz/`; the exit
//! status is 1 if there are any.

use std::env;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use harness::cluster::{Cluster, ClusterOptions, ExtensionDir};
use harness::generator::Search;
use harness::scenario::World;

/// The number after an option.
fn option(name: &str) -> Option<f64> {
    let arguments: Vec<String> = env::args().collect();
    let position = arguments.iter().position(|argument| argument == name)?;
    arguments.get(position + 1)?.parse().ok()
}

#[tokio::main]
async fn main() -> ExitCode {
    match search().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether nothing was found.
async fn search() -> Result<bool, Box<dyn std::error::Error>> {
    let cluster = Cluster::start(&ClusterOptions::new().extension(ExtensionDir::installed()?))?;
    let world = World::with_extension(&cluster).await?;
    let one = env::var("PGT_FUZZ_SEED").ok().and_then(|s| s.parse().ok());
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let first_seed = one.unwrap_or(now << 20);
    let end = Instant::now() + Duration::from_secs_f64(option("--minutes").unwrap_or(1.0) * 60.0);
    let search = Search {
        first_seed,
        shrink_runs: 400,
        max_findings: 20,
        write: true,
    };
    println!("seeds from {first_seed}");
    let report = search
        .run(&world, &[], |cases| {
            if cases > 0 && cases.is_multiple_of(100) {
                println!("{cases} cases");
            }
            match one {
                Some(_) => cases == 0,
                None => Instant::now() < end,
            }
        })
        .await?;
    for (seed, finding, folder) in &report.findings {
        println!("seed {seed}: {finding}");
        if let Some(folder) = folder {
            println!("  written to {}", folder.display());
        }
    }
    println!(
        "{} cases ({} void), {} judgements, {} refreshes changed rows, {} findings",
        report.cases,
        report.void,
        report.judged,
        report.applied,
        report.findings.len()
    );
    Ok(report.findings.is_empty())
}
