//! A server in a container, as a backend of the harness.
//!
//! The socket is in a folder that both sides see, so the container needs no network, and sessions reach it as
//! they reach an embedded server; a [`Wire`] is the network between two of them. The image is what `cargo xtask images local` makes, or `PGT_IMAGE`.
//!
//! **Invariant:** a container does not outlive its [`ContainerServer`].

mod engine;
mod server;
mod wire;

pub use engine::{Engine, engine_for, previous_for};
pub use server::{ContainerServer, Options};
pub use wire::Wire;

/// What can go wrong with a container.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    /// The engine says no.
    #[error("the container engine: {0}")]
    Engine(#[from] bollard::errors::Error),
    /// The container does not start.
    #[error("the container: {0}")]
    Container(#[from] testcontainers::TestcontainersError),
    /// A folder for it cannot be made.
    #[error("a folder for the container: {0}")]
    Folder(#[from] std::io::Error),
    /// It runs, and its server does not answer.
    #[error("the server in the container does not answer; its log:\n{log}")]
    Silent {
        /// What it wrote.
        log: String,
    },
    /// A command in it failed.
    #[error("`{command}` failed with {code:?}: {output}")]
    Command {
        /// The command.
        command: String,
        /// Its exit status.
        code: Option<i64>,
        /// What it printed.
        output: String,
    },
}
