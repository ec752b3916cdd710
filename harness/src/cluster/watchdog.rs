//! Stops a server and removes its folder when we cannot.

use std::path::Path;

use crate::waiting_shell::WaitingShell;

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

/// The shell that stops the server in `data` and deletes the folder `remove`, if there is one.
pub(super) fn start(data: &Path, remove: Option<&Path>) -> Result<WaitingShell, ClusterError> {
    let arguments = [data, remove.unwrap_or(Path::new(""))];
    WaitingShell::start("pg_trickle-watchdog", SCRIPT, arguments)
        .map_err(ClusterError::io("start the clean-up process"))
}
