//! A coordinator of Citus and its workers, as one more [`Backend`]: what is asked of it, is asked of the coordinator.
//!
//! It takes a server that has Citus, which nothing here brings. Where there is none, tests say so by [`is_missing`].

pub mod scenarios;
pub mod tables;

use std::path::Path;

use crate::backend::Backend;
use crate::client::{Session, SqlError};
use crate::cluster::{Cluster, ClusterError, ClusterOptions, ExtensionDir};
use crate::postgres;
use crate::runtime::connect;

/// What makes a missing Citus a failure.
pub const REQUIRED: &str = "PGT_REQUIRE_CITUS";

/// A cluster of nodes.
#[derive(Debug)]
pub struct Citus {
    coordinator: Cluster,
    workers: Vec<Cluster>,
    extension: ExtensionDir,
}

/// Why a cluster could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CitusError {
    /// A server did not start.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A statement on one failed.
    #[error(transparent)]
    Sql(#[from] SqlError),
}

/// Where the server that the tests use has Citus; otherwise what is missing.
///
/// # Errors
/// The missing file, or why no server was found.
pub fn found() -> Result<String, String> {
    let server = postgres::locate(postgres::major()).map_err(|error| error.to_string())?;
    let control = server.share_dir.join("extension/citus.control");
    let library = server.package_lib_dir.join("citus.so");
    match [&control, &library]
        .into_iter()
        .find(|file| !file.is_file())
    {
        None => Ok(library.display().to_string()),
        Some(missing) => Err(format!("{} is missing", missing.display())),
    }
}

/// Whether a test is to be skipped, which it says with the reason.
///
/// # Panics
/// If Citus is missing where [`REQUIRED`] is set.
pub fn is_missing(test: &str) -> bool {
    let Err(why) = found() else {
        return false;
    };
    println!("skipped: {test}: {why}");
    let is_required = std::env::var_os(REQUIRED).is_some();
    assert!(!is_required, "{test} needs Citus: {why}");
    true
}

impl Citus {
    /// A coordinator with two workers and few shards.
    ///
    /// # Errors
    /// What a server says.
    pub async fn start() -> Result<Self, CitusError> {
        Self::with(&[]).await
    }

    /// The same with these settings on each node.
    ///
    /// # Errors
    /// What a server says.
    pub async fn with(settings: &[(&str, &str)]) -> Result<Self, CitusError> {
        Self::of(&ExtensionDir::installed()?, settings).await
    }

    /// The same with this build of the extension.
    ///
    /// # Errors
    /// What a server says.
    pub async fn of(
        extension: &ExtensionDir,
        settings: &[(&str, &str)],
    ) -> Result<Self, CitusError> {
        let mut citus = Citus {
            coordinator: node(extension, settings)?,
            workers: Vec::new(),
            extension: extension.clone(),
        };
        let session = Session::connect(&citus.coordinator, "postgres").await?;
        session.execute("CREATE EXTENSION citus").await?;
        listen_to_itself(&session, &citus.coordinator).await?;
        let session = connect(&citus, "postgres").await?;
        session
            .execute(&format!(
                "SELECT citus_set_coordinator_host('{}', {})",
                citus.coordinator.socket_dir().display(),
                citus.coordinator.port()
            ))
            .await?;
        for _ in 0..2 {
            citus.add_worker(settings).await?;
        }
        Ok(citus)
    }

    /// Starts one more worker and makes it known to the coordinator.
    ///
    /// # Errors
    /// What a server says.
    pub async fn add_worker(&mut self, settings: &[(&str, &str)]) -> Result<(), CitusError> {
        let worker = node(&self.extension, settings)?;
        let session = Session::connect(&worker, "postgres").await?;
        session
            .execute("CREATE EXTENSION citus; CREATE EXTENSION pg_trickle")
            .await?;
        listen_to_itself(&session, &worker).await?;
        let (folder, port) = (worker.socket_dir().display(), worker.port());
        let add = format!("SELECT citus_add_node('{folder}', {port})");
        Session::connect(self, "postgres")
            .await?
            .execute(&add)
            .await?;
        self.workers.push(worker);
        Ok(())
    }

    /// The coordinator.
    pub fn coordinator(&self) -> &Cluster {
        &self.coordinator
    }

    /// The workers.
    pub fn workers(&self) -> &[Cluster] {
        &self.workers
    }
}

/// Tells a node how it reaches itself, as it does to move shards.
async fn listen_to_itself(session: &Session, node: &Cluster) -> Result<(), SqlError> {
    let folder = node.socket_dir().display();
    let tell = format!("ALTER SYSTEM SET citus.local_hostname = '{folder}'");
    session.execute(&tell).await?;
    session.execute("SELECT pg_reload_conf()").await
}

/// What it has committed is there after a crash: positions in its changes would be of another history.
fn node(extension: &ExtensionDir, settings: &[(&str, &str)]) -> Result<Cluster, ClusterError> {
    let mut options = ClusterOptions::new()
        .extension(extension.clone())
        .setting("synchronous_commit", "on")
        .setting("full_page_writes", "on")
        .setting("shared_preload_libraries", "citus, pg_trickle")
        .setting("wal_level", "logical")
        .setting("citus.shard_count", "4")
        .setting("max_worker_processes", "32");
    for (name, value) in settings {
        options = options.setting(*name, *value);
    }
    Cluster::start(&options)
}

impl Backend for Citus {
    fn socket_dir(&self) -> &Path {
        self.coordinator.socket_dir()
    }

    fn port(&self) -> u16 {
        self.coordinator.port()
    }
}
