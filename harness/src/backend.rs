//! Where a server runs. Sessions, scenarios and the oracle need to know no more of it than this, so that the
//! same files prove an embedded server and one in a container.

use std::fmt;
use std::path::Path;

use crate::cluster::Cluster;

/// A server that is reached through a Unix socket.
pub trait Backend: fmt::Debug + Sync {
    /// The folder of the socket.
    fn socket_dir(&self) -> &Path;
    /// The port, which only names the socket.
    fn port(&self) -> u16;
}

impl Backend for Cluster {
    fn socket_dir(&self) -> &Path {
        self.socket_dir()
    }

    fn port(&self) -> u16 {
        self.port()
    }
}
