//! The server that is measured: durable, warm, and quiet.

use anyhow::{Context, Result, bail};
use harness::client::Session;
use harness::cluster::{Cluster, ClusterOptions, ExtensionDir};
use std::path::PathBuf;
use std::process::Command;

const SETTINGS: &[(&str, &str)] = &[
    ("shared_buffers", "6GB"),
    ("work_mem", "64MB"),
    ("maintenance_work_mem", "512MB"),
    ("max_wal_size", "8GB"),
    ("checkpoint_timeout", "1h"),
    // Vacuum runs between measurements, by hand.
    ("autovacuum", "off"),
    ("jit", "off"),
];

/// Starts a server with the optimised extension.
pub fn start() -> Result<Cluster> {
    start_with(&[])
}

/// Starts a server that refreshes by itself and keeps the times of commits.
pub fn start_scheduled() -> Result<Cluster> {
    start_with(&[
        ("shared_preload_libraries", "pg_trickle"),
        ("max_worker_processes", "32"),
        ("track_commit_timestamp", "on"),
    ])
}

fn start_with(settings: &[(&str, &str)]) -> Result<Cluster> {
    let mut options = ClusterOptions::new().extension(extension()?).durable(true);
    for (name, value) in SETTINGS.iter().chain(settings) {
        options = options.setting(*name, *value);
    }
    Ok(Cluster::start(&options)?)
}

/// Runs a measurement, whose sessions are asynchronous.
pub fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?
        .block_on(work)
}

/// A new database with the extension.
pub async fn database(cluster: &Cluster, name: &str) -> Result<Session> {
    let admin = Session::connect(cluster, "postgres").await?;
    admin.execute(&format!("CREATE DATABASE {name}")).await?;
    let session = Session::connect(cluster, name).await?;
    session.execute("CREATE EXTENSION pg_trickle").await?;
    Ok(session)
}

/// Brings the tables of a database into the state that is measured: vacuumed, analysed, written out, and cached as a
/// whole, so that a large table is not compared with a small one by what happens to be in memory.
pub async fn settle(session: &Session) -> Result<()> {
    session.execute("VACUUM ANALYZE").await?;
    session.execute("CHECKPOINT").await?;
    session
        .execute(
            "CREATE EXTENSION IF NOT EXISTS pg_prewarm;
             SELECT sum(pg_prewarm(oid)) FROM pg_class WHERE relkind IN ('r', 'i') AND oid >= 16384",
        )
        .await?;
    Ok(())
}

/// The optimised build.
pub fn extension() -> Result<ExtensionDir> {
    Ok(ExtensionDir::at(&install()?)?)
}

/// Where the optimised build is laid out; `cargo xtask bench` says so, otherwise it is made here.
fn install() -> Result<PathBuf> {
    if let Some(dir) = std::env::var_os("PGT_INSTALL_DIR") {
        return Ok(dir.into());
    }
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    let output = Command::new(cargo)
        .args(["xtask", "build", "--release", "--print-path"])
        .output()
        .context("could not run cargo xtask build")?;
    if !output.status.success() {
        bail!(
            "cargo xtask build failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8(output.stdout)?.trim().into())
}
