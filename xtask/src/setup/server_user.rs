//! The user that the private clusters run as: PostgreSQL refuses to run as root.

use crate::command;
use crate::paths;
use anyhow::Result;
use xshell::{Shell, cmd};

/// Users that may run a server, in order of preference; the last one is ours to create.
const CANDIDATES: [&str; 2] = ["postgres", "pgtrickle"];

/// The user to run servers as; the present one unless that is root.
pub fn find() -> Option<String> {
    if !paths::is_root() {
        return Some(std::env::var("USER").unwrap_or_else(|_| "the current user".to_owned()));
    }
    let sh = Shell::new().ok()?;
    CANDIDATES
        .into_iter()
        .find(|name| command::output(cmd!(sh, "id -u {name}")).is_ok())
        .map(str::to_owned)
}

/// Finds the user or creates it.
pub fn ensure() -> Result<String> {
    if let Some(user) = find() {
        return Ok(user);
    }
    let [_, ours] = CANDIDATES;
    let sh = Shell::new()?;
    let home = ["--no-create-home", "--home-dir", "/nonexistent"];
    command::output(cmd!(
        sh,
        "useradd --system --user-group {home...} --shell /bin/sh {ours}"
    ))?;
    Ok(format!("{ours} created"))
}
