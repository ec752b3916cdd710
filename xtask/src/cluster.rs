//! The private cluster of `psql`, `demo` and `docs`: the extension as just built, created.

use crate::build;
use crate::setup::{self, Machine};
use crate::ui;
use anyhow::{Context, Result, bail};
use harness::cluster::{Cluster, ClusterOptions, ExtensionDir};
use std::process::ExitCode;

/// The database in which the extension is created.
pub const DATABASE: &str = "postgres";

/// Options of `cargo xtask psql`.
#[derive(clap::Args)]
pub struct PsqlOptions {
    #[command(flatten)]
    build: build::Options,
    /// Arguments for psql itself, after `--`
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// Builds the extension and starts a server that has it; it goes when the value goes.
pub fn start(
    machine: &Machine,
    build: &build::Options,
    settings: &[(&str, &str)],
) -> Result<Cluster> {
    let install = build::run(machine, build)?;
    let mut options = ClusterOptions::new()
        .installation(machine.postgres.clone())
        .extension(ExtensionDir::at(&install)?);
    for (name, value) in settings {
        options = options.setting(*name, *value);
    }
    let cluster = Cluster::start(&options)?;
    let created = cluster
        .client_command("psql")
        .args(["-X", "-q", "-d", DATABASE, "-v", "ON_ERROR_STOP=1"])
        .args(["-c", "CREATE EXTENSION pg_trickle"])
        .status()?;
    if !created.success() {
        bail!("the extension cannot be created");
    }
    Ok(cluster)
}

/// `cargo xtask psql`: a session on a private cluster that ends with it.
pub fn psql(options: &PsqlOptions) -> Result<ExitCode> {
    let machine = setup::ensure()?;
    let cluster = start(&machine, &options.build, &[])?;
    eprintln!(
        "pg_trickle is created in this private cluster; it ends with the session (log: {})",
        cluster.log_path().display()
    );
    // Ctrl-C is for psql, which cancels a query with it; this process must live on to clean up.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.spawn(async { while tokio::signal::ctrl_c().await.is_ok() {} });
    let status = cluster
        .client_command("psql")
        .args(["-d", DATABASE])
        .args(&options.arguments)
        .status()
        .context("could not run psql")?;
    Ok(ui::exit(status.success()))
}
