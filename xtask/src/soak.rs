//! `cargo xtask soak`: builds the extension and hands over to the program that soaks it.

use crate::build;
use crate::images::{self, Engine};
use crate::setup::{self, Machine};
use anyhow::{Result, bail};
use std::process::{Command, ExitCode};

/// Options of `cargo xtask soak`.
#[derive(clap::Args)]
pub struct Options {
    /// How long, at least; every kind of fault strikes once in any case
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// From which everything random follows; by default the time
    #[arg(long)]
    seed: Option<u64>,
    /// How hard
    #[arg(long, default_value = "light", value_parser = ["light", "standard", "brutal"])]
    profile: String,
    /// Where the server runs
    #[arg(long, default_value = "embedded", value_parser = ["embedded", "container"])]
    backend: String,
    /// Go on with the run of --seed, or with the latest one that was interrupted
    #[arg(long)]
    resume: bool,
    /// Soak the optimised build
    #[arg(long)]
    release: bool,
}

/// Runs it. The exit status says whether it passed.
pub fn run(options: &Options) -> Result<ExitCode> {
    let machine = setup::ensure()?;
    let build = build::Options {
        release: options.release,
        ..build::Options::default()
    };
    let mut cargo = command(&machine, &build)?;
    // Until the end of the run.
    let _engine = match options.backend.as_str() {
        "container" => Some(engine(&machine, &build, &mut cargo)?),
        _ => None,
    };
    cargo
        .args(["--minutes", &options.minutes.to_string()])
        .args(["--profile", &options.profile, "--backend", &options.backend]);
    if let Some(seed) = options.seed {
        cargo.args(["--seed", &seed.to_string()]);
    }
    if options.resume {
        cargo.arg("--resume");
    }
    Ok(if cargo.status()?.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// An engine with the image, which the program is told of.
fn engine(machine: &Machine, build: &build::Options, program: &mut Command) -> Result<Engine> {
    let engine = Engine::ensure()?;
    images::local(machine, build, &engine)?;
    engine.tell(program);
    Ok(engine)
}

/// A minute with every kind of fault, as part of the tests.
pub fn smoke(machine: &Machine) -> Result<()> {
    let mut cargo = command(machine, &build::Options::default())?;
    if !cargo.args(["--minutes", "1"]).status()?.success() {
        bail!("the soak did not pass");
    }
    Ok(())
}

fn command(machine: &Machine, build: &build::Options) -> Result<Command> {
    let install = build::run(machine, build)?;
    let mut cargo = machine.cargo("run");
    cargo
        .args(["--quiet", "--package", "soak", "--"])
        .env("PGT_INSTALL_DIR", install);
    Ok(cargo)
}
