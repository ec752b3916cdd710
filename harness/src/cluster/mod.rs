//! A private PostgreSQL server: own data directory, Unix socket only, own account when we are
//! root, gone when the [`Cluster`] goes.
//!
//! **Invariant:** nothing outlives the process that made the cluster, however that process ends.
//! `Drop` cleans up on return and on panic; a watchdog process does it when we are killed or when
//! the cluster lives in a static.

mod account;
mod extension;
mod log;
mod options;
mod overlay;
mod server;
mod watchdog;

pub use account::Account;
pub use extension::ExtensionDir;
pub use log::{LogMark, crash_lines};
pub use options::ClusterOptions;
pub use server::{Cluster, SUPERUSER, StopMode};

use std::path::PathBuf;

/// What can go wrong with a cluster.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// No server programs.
    #[error(transparent)]
    Locate(#[from] crate::postgres::LocateError),
    /// The operating system said no.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What it said.
        source: std::io::Error,
    },
    /// We are root, and the server refuses to run as root.
    #[error(
        "no account to run the server under: create one (useradd --system postgres) or name one \
         in PGT_SERVER_USER"
    )]
    NoAccount,
    /// A program of the server failed.
    #[error("{program} failed: {output}")]
    Program {
        /// Its name.
        program: String,
        /// What it printed.
        output: String,
    },
    /// The server did not come up, or did not go down.
    #[error("the server {what}; the end of its log:\n{log}")]
    Server {
        /// What it did not do.
        what: String,
        /// The last lines of its log.
        log: String,
    },
    /// The extension's files are not where they should be.
    #[error(
        "the extension is not installed in {}: {missing} is missing (cargo xtask build makes it)",
        dir.display()
    )]
    NoExtension {
        /// Where it was expected.
        dir: PathBuf,
        /// What was not found.
        missing: String,
    },
}

impl ClusterError {
    /// Wraps an operating system error.
    fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
