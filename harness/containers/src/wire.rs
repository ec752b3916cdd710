//! A network between two servers that can be cut.
//!
//! Containers here have no network. What stands for one is a socket in a folder of its own that whoever mounts the
//! folder connects to, and a forwarder to the server's socket. A cut is silent, as that of a network is: connections
//! stay open, and nothing arrives any more, in either direction. When it is mended, connections of before are reset.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use harness::backend::Backend;
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::ContainerError;
use crate::server::open_to_all;

/// A wire to one server.
#[derive(Debug)]
pub struct Wire {
    folder: TempDir,
    is_whole: watch::Sender<bool>,
    forwarder: JoinHandle<()>,
}

impl Wire {
    /// Lays one. Must be called in a tokio runtime.
    pub fn to(server: &dyn Backend) -> Result<Self, ContainerError> {
        let folder = tempfile::tempdir()?;
        open_to_all(folder.path())?;
        let socket = format!(".s.PGSQL.{}", server.port());
        let near = folder.path().join(&socket);
        let listener = UnixListener::bind(&near)?;
        fs::set_permissions(&near, fs::Permissions::from_mode(0o777))?;
        let (is_whole, state) = watch::channel(true);
        let forwarder = tokio::spawn(accept(listener, server.socket_dir().join(socket), state));
        Ok(Self {
            folder,
            is_whole,
            forwarder,
        })
    }

    /// The folder of its near end.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Cuts it.
    pub fn cut(&self) {
        self.is_whole.send_replace(false);
    }

    /// Mends it.
    pub fn mend(&self) {
        self.is_whole.send_replace(true);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.forwarder.abort();
    }
}

/// Takes connections.
async fn accept(listener: UnixListener, far: PathBuf, state: watch::Receiver<bool>) {
    while let Ok((near, _)) = listener.accept().await {
        tokio::spawn(carry(near, far.clone(), state.clone()));
    }
}

/// Carries one connection, once the wire is whole, to its end, or to the time when a cut that it has met is mended.
async fn carry(mut near: UnixStream, far: PathBuf, mut state: watch::Receiver<bool>) {
    if state.wait_for(|is_whole| *is_whole).await.is_err() {
        return;
    }
    let Ok(mut far) = UnixStream::connect(far).await else {
        return;
    };
    let is_cut = tokio::select! {
        _ = copy_bidirectional(&mut near, &mut far) => false,
        _ = state.wait_for(|is_whole| !*is_whole) => true,
    };
    if is_cut {
        // An error says that the wire itself is gone.
        let _ = state.wait_for(|is_whole| *is_whole).await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    use super::*;

    #[derive(Debug)]
    struct Echo(TempDir);

    impl Backend for Echo {
        fn socket_dir(&self) -> &Path {
            self.0.path()
        }

        fn port(&self) -> u16 {
            1
        }
    }

    impl Echo {
        fn begin() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let listener = UnixListener::bind(folder.path().join(".s.PGSQL.1")).unwrap();
            tokio::spawn(async move {
                while let Ok((mut stream, _)) = listener.accept().await {
                    tokio::spawn(async move {
                        let (mut from, mut to) = stream.split();
                        tokio::io::copy(&mut from, &mut to).await
                    });
                }
            });
            Self(folder)
        }
    }

    async fn connect(wire: &Wire) -> UnixStream {
        let socket = wire.folder().join(".s.PGSQL.1");
        UnixStream::connect(socket).await.unwrap()
    }

    /// Whether a byte comes back.
    async fn echoes(stream: &mut UnixStream) -> bool {
        let mut byte = [0];
        stream.write_all(b"x").await.unwrap();
        let answer = timeout(Duration::from_millis(300), stream.read_exact(&mut byte)).await;
        answer.is_ok_and(|read| read.is_ok())
    }

    #[tokio::test]
    async fn a_cut_is_silent_and_a_mended_wire_carries_new_connections() {
        let echo = Echo::begin();
        let wire = Wire::to(&echo).unwrap();
        let mut before = connect(&wire).await;
        assert!(echoes(&mut before).await);
        wire.cut();
        assert!(!echoes(&mut before).await);
        let mut meanwhile = connect(&wire).await;
        assert!(!echoes(&mut meanwhile).await);
        wire.mend();
        assert_eq!(before.read(&mut [0]).await.unwrap_or(0), 0, "was not reset");
        assert_eq!(meanwhile.read(&mut [0]).await.unwrap(), 1, "was not taken");
        assert!(echoes(&mut connect(&wire).await).await);
    }
}
