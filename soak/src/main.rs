//! The program that `cargo xtask soak` runs. The exit status says whether it passed.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use clap::Parser;
use soak::folder::{self, Folder, Request};
use soak::nemesis;
use soak::options::Options;
use soak::run::{self, Verdict};

/// Writers, faults and checkers on one server.
#[derive(Parser)]
#[command(name = "soak")]
struct Program {
    #[command(flatten)]
    options: Options,
}

fn main() -> ExitCode {
    match start(&Program::parse().options) {
        Ok(verdict) if verdict.violations.is_empty() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(options: &Options) -> Result<Verdict> {
    if !options.minutes.is_finite() || options.minutes <= 0.0 {
        bail!("--minutes must be a number above 0");
    }
    if let Err(error) = nemesis::own_mounts() {
        eprintln!("no disk will run full here: {error:#}");
    }
    let runs = Folder::runs();
    let (folder, request) = if options.resume {
        let seed = options.seed.map_or_else(|| folder::latest(&runs), Ok)?;
        (Folder::of(&runs, seed), None)
    } else {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let request = Request {
            seed: options.seed.unwrap_or(now),
            minutes: options.minutes,
            profile: options.profile.name().to_owned(),
            backend: options.backend.name().to_owned(),
            attempt: 0,
        };
        (Folder::of(&runs, request.seed), Some(request))
    };
    println!("journal: {}", folder.journal().display());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(6)
        .enable_all()
        .build()?;
    let verdict = runtime.block_on(run::begin_or_resume(&folder, request))?;
    show(&folder, &verdict);
    Ok(verdict)
}

fn show(folder: &Folder, verdict: &Verdict) {
    for violation in &verdict.violations {
        println!("violation: {violation}");
    }
    println!(
        "soak {}: {} commits, {} refreshes judged, {} violations",
        if verdict.violations.is_empty() {
            "passed"
        } else {
            "FAILED"
        },
        verdict.committed,
        verdict.judged,
        verdict.violations.len()
    );
    if !verdict.violations.is_empty() {
        println!("its server's data is kept in {}", folder.data.display());
    }
}
