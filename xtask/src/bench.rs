//! `cargo xtask bench`: the speed table, and its gates.

use crate::build;
use crate::command;
use crate::report::results;
use crate::setup;
use crate::ui::{self, Steps};
use anyhow::Result;
use std::process::ExitCode;

/// Options of `cargo xtask bench`.
#[derive(clap::Args)]
pub struct Options {
    /// Only judge the ratios to in-run baselines, and fail if one is beyond its threshold
    #[arg(long)]
    gate: bool,
}

/// Builds what users get and measures it.
pub fn run(options: &Options) -> Result<ExitCode> {
    let machine = setup::ensure()?;
    let install = build::run(&machine, &build::Options::release())?;
    let mut cargo = machine.cargo("bench");
    cargo
        .args(["--package", "benches"])
        .env("PGT_INSTALL_DIR", install);
    if options.gate {
        cargo.args(["--bench", "gate", "--", "--gate"]);
    } else {
        // A crossed gate fails a benchmark, not those after it.
        cargo.arg("--no-fail-fast");
        let found = Steps::new(1).step("gungraun-runner", |progress| {
            let found = setup::gungraun::ensure(progress)?;
            let said = if found.is_some() {
                "found"
            } else {
                "no valgrind, no counts"
            };
            Ok((found, said.to_owned()))
        });
        // Without it the benchmark says that it counts nothing.
        if let Ok(Some(runner)) = found {
            cargo.env("GUNGRAUN_RUNNER", runner);
        }
    }
    let (printed, succeeded) = command::pass_through(cargo)?;
    results::record("bench", printed);
    Ok(ui::exit(succeeded))
}
