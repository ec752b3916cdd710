//! `cargo xtask digests`: what container images are pinned to.
//!
//! `update` asks the registries, in a program of its own, since nothing else needs a client for them. `check`
//! works offline; tidy does the same.

use crate::paths;
use crate::setup::Machine;
use ::images::check::{Finding, findings};
use anyhow::{Result, bail};
use std::process::ExitCode;

/// What to do about digests.
#[derive(clap::Subcommand)]
pub enum Task {
    /// Resolve every image, pin every reference, and write the record: all of it or nothing
    Update,
    /// Whether everything is pinned and nothing differs from the record; needs no network
    Check,
}

/// Does it.
pub fn run(task: &Task, machine: impl FnOnce() -> Result<Machine>) -> Result<ExitCode> {
    match task {
        Task::Update => {
            let mut cargo = machine()?.cargo("run");
            cargo.args(["--quiet", "--package", "images", "--features", "registry"]);
            if !cargo.status()?.success() {
                bail!("digests: nothing was written");
            }
            Ok(ExitCode::SUCCESS)
        }
        Task::Check => {
            let found = all()?;
            for Finding { path, line, what } in &found {
                println!("{path}:{line}: {what}");
            }
            if found.is_empty() {
                println!("digests: everything is pinned, as the record says");
                Ok(ExitCode::SUCCESS)
            } else {
                println!(
                    "digests: {} to put right: run cargo xtask digests update",
                    found.len()
                );
                Ok(ExitCode::FAILURE)
            }
        }
    }
}

/// What is to be said of the checkout.
pub fn all() -> Result<Vec<Finding>> {
    let root = paths::repository();
    let files = ::images::files_of(&root)?;
    let texts = files
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()));
    Ok(findings(&::images::Record::read(&root)?, texts))
}
