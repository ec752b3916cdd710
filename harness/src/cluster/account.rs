//! The operating system account that the server runs under.

use std::env;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::unistd::{User, geteuid};

use super::ClusterError;

/// Who runs the server. PostgreSQL refuses to run as root, so root lends it another account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Account {
    /// The account that we run under.
    Own,
    /// Another one, which only root can take.
    Other {
        /// User id.
        uid: u32,
        /// Its primary group.
        gid: u32,
    },
}

impl Account {
    /// Our own account unless we are root; then the one that `PGT_SERVER_USER` names, or the
    /// first usual one that exists.
    pub fn choose() -> Result<Self, ClusterError> {
        if !geteuid().is_root() {
            return Ok(Self::Own);
        }
        let named = env::var("PGT_SERVER_USER").ok();
        let names = match &named {
            Some(name) => vec![name.as_str()],
            None => vec!["postgres", "pg_trickle", "nobody"],
        };
        names
            .into_iter()
            .find_map(|name| User::from_name(name).ok().flatten())
            .map(|user| Self::Other {
                uid: user.uid.as_raw(),
                gid: user.gid.as_raw(),
            })
            .ok_or(ClusterError::NoAccount)
    }

    /// Makes the command run under this account, with a clean locale and environment for servers.
    pub fn apply(&self, command: &mut Command, home: &Path) {
        command
            .env("HOME", home)
            .env("LC_ALL", "C")
            .env_remove("PGDATA")
            .env_remove("PGHOST")
            .env_remove("PGPORT")
            .env_remove("PGUSER")
            .env_remove("PGDATABASE")
            .env_remove("PGOPTIONS")
            .current_dir(home);
        if let Self::Other { uid, gid } = self {
            command.uid(*uid).gid(*gid);
        }
    }

    /// Gives the path to the account.
    pub fn own(&self, path: &Path) -> Result<(), ClusterError> {
        match self {
            Self::Own => Ok(()),
            Self::Other { uid, gid } => {
                std::os::unix::fs::chown(path, Some(*uid), Some(*gid)).map_err(ClusterError::io(
                    format!("change the owner of {}", path.display()),
                ))
            }
        }
    }
}
