//! `cargo xtask soak`: builds the extension and hands over to the program that soaks it.

use crate::build;
use crate::images::{self, Engine};
use crate::setup::{self, Machine};
use crate::ui;
use anyhow::{Result, bail};
use soak::server::Place;
use std::process::{Command, ExitCode};

/// Options of `cargo xtask soak`.
#[derive(clap::Args)]
// The options of the run are a group of the same name.
#[group(skip)]
pub struct Options {
    /// Soak the optimised build
    #[arg(long)]
    release: bool,
    #[command(flatten)]
    run: soak::options::Options,
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
    let _engine = match options.run.backend {
        Place::Container => Some(engine(&machine, &build, &mut cargo)?),
        Place::Embedded => None,
    };
    cargo.args(options.run.arguments());
    Ok(ui::exit(cargo.status()?.success()))
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
