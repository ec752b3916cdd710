//! The user that the private clusters run as: PostgreSQL refuses to run as root.

use crate::command;
use crate::paths;
use anyhow::Result;
use std::process::Command;

/// Users that may run a server, in order of preference; the last one is ours to create.
const CANDIDATES: [&str; 2] = ["postgres", "pgtrickle"];

/// The user to run servers as; the present one unless that is root.
pub fn find() -> Option<String> {
    if !paths::is_root() {
        return Some(std::env::var("USER").unwrap_or_else(|_| "the current user".to_owned()));
    }
    CANDIDATES
        .into_iter()
        .find(|name| command::succeeds(Command::new("id").args(["-u", name])))
        .map(str::to_owned)
}

/// Finds the user or creates it.
pub fn ensure() -> Result<String> {
    if let Some(user) = find() {
        return Ok(user);
    }
    let [_, ours] = CANDIDATES;
    command::output(Command::new("useradd").args([
        "--system",
        "--user-group",
        "--no-create-home",
        "--home-dir",
        "/nonexistent",
        "--shell",
        "/bin/sh",
        ours,
    ]))?;
    Ok(format!("{ours} created"))
}
