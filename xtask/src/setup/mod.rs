//! Set-up: what a fresh Debian or Ubuntu machine needs, found first and installed only if missing.
//!
//! Every step is idempotent. A step that may not install (no root) names the command to run.

pub mod apt;
mod cargo_install;
mod dbt;
pub mod gungraun;
pub mod packages;
pub mod postgres;
pub mod server_user;
pub mod source_build;
pub mod unpacked;

use crate::paths;
use crate::ui::Steps;
use anyhow::{Context, Result};
use harness::postgres::{self as server, Installation};
use std::fs::File;
use std::path::PathBuf;
use std::process::Command;

/// A machine that is ready.
pub struct Machine {
    /// The PostgreSQL installation to build against and to run.
    pub postgres: Installation,
}

impl Machine {
    /// What cargo and the harness need to know of this machine.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let pg_config = self.postgres.pg_config.display().to_string();
        vec![
            ("PGRX_PG_CONFIG_PATH", pg_config.clone()),
            ("PG_CONFIG", pg_config),
            (server::VARIABLE, self.postgres.major.to_string()),
        ]
    }

    /// What cargo is to be told to build the extension for this server, and with more features of it.
    pub fn features(&self, more: &str) -> Vec<String> {
        let mut arguments = Vec::new();
        let mut features = Vec::new();
        if self.postgres.major != server::MAJOR {
            arguments.push("--no-default-features".to_owned());
            features.push(format!("pg{}", self.postgres.major));
        }
        features.extend((!more.is_empty()).then(|| more.to_owned()));
        if !features.is_empty() {
            arguments.extend(["--features".to_owned(), features.join(",")]);
        }
        arguments
    }

    /// A `cargo` command that compiles, in the checkout with that environment. Pgrx declares a newer Rust than
    /// it needs (`.cargo/config.toml`).
    pub fn cargo(&self, task: &str) -> Command {
        let mut command = cargo_without_server(task);
        command.envs(self.environment());
        command
    }
}

/// The same for what needs no server.
pub fn cargo_without_server(task: &str) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    command
        .args([task, "--ignore-rust-version"])
        .current_dir(paths::repository());
    command
}

/// One of our commands on another major version, in a process of its own: a process knows one server.
pub fn on_version(major: u32, task: &str) -> Result<Command> {
    let mut own = Command::new(std::env::current_exe()?);
    own.args(["--pg", &major.to_string(), task]);
    // What cargo and the environment say of a server is of another one.
    for variable in ["PG_CONFIG", "PGRX_PG_CONFIG_PATH", server::VARIABLE] {
        own.env_remove(variable);
    }
    Ok(own)
}

/// Runs every step and says so.
pub fn run() -> Result<Machine> {
    let cache = paths::cache();
    std::fs::create_dir_all(&cache)
        .with_context(|| format!("could not create the cache folder {}", cache.display()))?;
    // Two set-ups at once would build the same things into the same folders.
    let lock = File::create(cache.join("setup.lock"))?;
    lock.lock()?;

    let mut steps = Steps::new(3);
    steps.step("system packages for building", |progress| {
        packages::ensure(packages::BUILD, progress).map(|said| ((), said))
    })?;
    let postgres = steps.step("PostgreSQL", |progress| {
        let found = postgres::ensure(progress)?;
        let said = format!("{} at {}", found.version, found.bin_dir.display());
        Ok((found, said))
    })?;
    steps.step("a user for the server", |_| {
        server_user::ensure().map(|said| ((), said))
    })?;
    eprintln!("machine ready in {}", steps.elapsed());
    Ok(Machine { postgres })
}

/// What some tests need, installed if it may be; otherwise the command is named, and those tests are skipped.
pub fn ensure_test_tools() {
    if packages::missing(packages::TESTS).is_empty() {
        return;
    }
    let mut steps = Steps::new(1);
    let found = steps.step("system packages for tests", |progress| {
        packages::ensure(packages::TESTS, progress).map(|said| ((), said))
    });
    if let Err(why) = found {
        eprintln!("some tests will be skipped: {why:#}");
    }
}

/// The dbt that a test runs, or why there is none.
pub fn ensure_dbt() -> Result<PathBuf> {
    Steps::new(1).step("dbt", dbt::ensure)
}

/// The machine as it is if nothing is missing; otherwise the set-up, in full view.
pub fn ensure() -> Result<Machine> {
    match present() {
        Some(machine) => Ok(machine),
        None => run(),
    }
}

/// The machine, if nothing is missing.
pub fn present() -> Option<Machine> {
    let ready = packages::missing(packages::BUILD).is_empty() && server_user::find().is_some();
    let postgres = ready.then(postgres::find)?.found?;
    Some(Machine { postgres })
}
