//! Cleans up after us when we cannot.
//!
//! A shell waits for the end of a pipe that only we hold open. When our process ends, by whatever
//! means, the kernel closes the pipe, and the shell stops the server and removes the folder.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::ClusterError;

/// Stops the server whose data directory is `$1`, then removes `$2` unless it is empty.
const SCRIPT: &str = r#"
cat >/dev/null
pid=$(head -n 1 "$1/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ]; then
    kill -QUIT "$pid" 2>/dev/null
    n=0
    while kill -0 "$pid" 2>/dev/null && [ $n -lt 50 ]; do sleep 0.1; n=$((n+1)); done
    kill -KILL "$pid" 2>/dev/null
fi
if [ -n "$2" ]; then rm -rf "$2"; fi
"#;

/// The waiting shell.
#[derive(Debug)]
pub(super) struct Watchdog {
    child: Child,
}

impl Watchdog {
    /// Starts it. `remove` is the folder to delete at the end.
    pub(super) fn start(data: &Path, remove: Option<&Path>) -> Result<Self, ClusterError> {
        let child = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "pg_trickle-watchdog"])
            .arg(data)
            .arg(remove.unwrap_or(Path::new("")))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir("/")
            .process_group(0)
            .spawn()
            .map_err(ClusterError::io("start the clean-up process"))?;
        Ok(Self { child })
    }

    /// Lets it do its work now, and waits for it.
    pub(super) fn finish(&mut self) {
        drop(self.child.stdin.take());
        // The shell has nothing to report; a failure to wait leaves only a zombie.
        let _ = self.child.wait();
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.finish();
    }
}
