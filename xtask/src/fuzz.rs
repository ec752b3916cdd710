//! `cargo xtask fuzz`: the generator, for longer than the tests run it.

use crate::build;
use crate::command;
use crate::report::results;
use crate::setup;
use crate::ui;
use anyhow::Result;
use std::process::ExitCode;

/// Options of `cargo xtask fuzz`.
#[derive(clap::Args)]
pub struct Options {
    /// How long to go on
    #[arg(long, default_value_t = 10)]
    minutes: u32,
    /// Run only the case of this seed, which a finding prints
    #[arg(long)]
    seed: Option<u64>,
}

/// Runs the generator on until the time is up.
pub fn run(options: &Options) -> Result<ExitCode> {
    let machine = setup::ensure()?;
    let install = build::run(&machine, &build::Options::default())?;
    let mut cargo = machine.cargo("run");
    cargo
        .args(["--package", "harness", "--bin", "fuzz", "--", "--minutes"])
        .arg(options.minutes.to_string())
        .env("PGT_INSTALL_DIR", install);
    if let Some(seed) = options.seed {
        cargo.env("PGT_FUZZ_SEED", seed.to_string());
    }
    let (printed, passed) = command::pass_through(cargo)?;
    let summary = printed.lines().last().unwrap_or_default().to_owned();
    results::record("fuzz", results::Fuzz { summary, passed });
    Ok(ui::exit(passed))
}
