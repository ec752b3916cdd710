//! How a cluster is set up.

use std::path::PathBuf;

use super::extension::ExtensionDir;
use crate::postgres::{self, Installation};

/// Settings of a cluster before its first start.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    pub(super) installation: Option<Installation>,
    pub(super) extension: Option<ExtensionDir>,
    pub(super) data_root: Option<PathBuf>,
    pub(super) durable: bool,
    pub(super) among_the_servers: bool,
    pub(super) checksums: bool,
    pub(super) settings: Vec<(String, String)>,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl ClusterOptions {
    /// A cluster for tests: no extension, nothing flushed to disk.
    pub fn new() -> Self {
        Self {
            installation: None,
            extension: None,
            data_root: None,
            durable: false,
            among_the_servers: false,
            checksums: false,
            settings: Vec::new(),
        }
    }

    /// Uses this installation and not the first one found.
    pub fn installation(mut self, installation: Installation) -> Self {
        self.installation = Some(installation);
        self
    }

    /// Makes the extension's files known to the server.
    pub fn extension(mut self, dir: ExtensionDir) -> Self {
        self.extension = Some(dir);
        self
    }

    /// Puts the extension's files among the server's own, as a package does.
    pub fn packaged(mut self) -> Self {
        self.among_the_servers = true;
        self
    }

    /// Makes a data directory with checksums, which some versions do only when told.
    pub fn checksums(mut self) -> Self {
        self.checksums = true;
        self
    }

    /// Keeps the data directory, socket and log in this existing folder, and leaves it there at
    /// the end. Without it everything is in a temporary folder.
    pub fn data_root(mut self, root: PathBuf) -> Self {
        self.data_root = Some(root);
        self
    }

    /// Flushes like a server that matters. For benchmarks and crash tests.
    pub fn durable(mut self, durable: bool) -> Self {
        self.durable = durable;
        self
    }

    /// Preloads the extension, so that it refreshes by schedule.
    pub fn scheduled(self) -> Self {
        self.setting("shared_preload_libraries", "pg_trickle")
            .setting("max_worker_processes", "32")
    }

    /// One server setting.
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// The installation to use.
    pub(super) fn resolve_installation(&self) -> Result<Installation, postgres::LocateError> {
        match &self.installation {
            Some(installation) => Ok(installation.clone()),
            None => postgres::locate(postgres::major()),
        }
    }

    /// Every setting in the order in which they apply: ours, the extension's, the caller's.
    pub(super) fn all_settings(
        &self,
        socket_dir: &str,
        port: u16,
        extension: Option<&ExtensionDir>,
    ) -> Vec<(String, String)> {
        let mut all: Vec<(String, String)> = [
            ("listen_addresses", ""),
            ("unix_socket_directories", socket_dir),
            ("log_line_prefix", "%m [%p] %d "),
            ("max_connections", "60"),
            ("max_prepared_transactions", "20"),
            ("shared_buffers", "128MB"),
            ("autovacuum_naptime", "10s"),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
        all.push(("port".into(), port.to_string()));
        if !self.durable {
            for name in ["fsync", "synchronous_commit", "full_page_writes"] {
                all.push((name.into(), "off".into()));
            }
        }
        if let Some(extension) = extension {
            all.extend(extension.settings());
        }
        all.extend(self.settings.iter().cloned());
        all
    }
}

/// One line of `postgresql.conf`.
pub(super) fn setting_line(name: &str, value: &str) -> String {
    let quoted = value.replace('\\', "\\\\").replace('\'', "''");
    format!("{name} = '{quoted}'\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_values_are_quoted_for_the_configuration_file() {
        assert_eq!(setting_line("a.b", "it's"), "a.b = 'it''s'\n");
        assert_eq!(setting_line("path", r"C:\x"), "path = 'C:\\\\x'\n");
    }
}
