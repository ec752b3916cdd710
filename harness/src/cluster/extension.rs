//! The extension's files, outside the server's own folders.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::ClusterError;
use crate::postgres;

/// A folder with `lib/pg_trickle.so` and `share/extension/pg_trickle.control`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtensionDir {
    root: PathBuf,
}

impl ExtensionDir {
    /// The folder, checked.
    pub fn at(root: &Path) -> Result<Self, ClusterError> {
        for file in ["lib/pg_trickle.so", "share/extension/pg_trickle.control"] {
            if !root.join(file).is_file() {
                return Err(ClusterError::NoExtension {
                    dir: root.to_owned(),
                    missing: file.into(),
                });
            }
        }
        Ok(Self {
            root: root.to_owned(),
        })
    }

    /// Where the last build was installed: `PGT_INSTALL_DIR`, or `target/pg_trickle-install` of
    /// this workspace, with `-pg17` for another major version than the usual one.
    pub fn installed() -> Result<Self, ClusterError> {
        Self::at(&Self::default_root())
    }

    /// The folder that [`ExtensionDir::installed`] looks at.
    pub fn default_root() -> PathBuf {
        if let Some(dir) = env::var_os("PGT_INSTALL_DIR").filter(|dir| !dir.is_empty()) {
            return PathBuf::from(dir);
        }
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join(format!("target/pg_trickle-install{}", postgres::suffix()))
    }

    /// The build for another major version, beside the one that [`ExtensionDir::installed`] finds.
    pub fn built_for(major: u32) -> Result<Self, ClusterError> {
        let name = format!("pg_trickle-install{}", postgres::suffix_of(major));
        Self::at(&Self::default_root().with_file_name(name))
    }

    /// Copies the files to a folder that the server's account can read and that no later build
    /// writes to. They replace those that are there by rename: a library must never change under a server that
    /// has it open.
    pub(super) fn stage(&self, to: &Path) -> Result<Self, ClusterError> {
        for part in ["lib", "share/extension"] {
            let from = self.root.join(part);
            let target = to.join(part);
            fs::create_dir_all(&target)
                .map_err(ClusterError::io(format!("create {}", target.display())))?;
            let entries = fs::read_dir(&from)
                .map_err(ClusterError::io(format!("read {}", from.display())))?;
            for entry in entries {
                let path = entry
                    .map_err(ClusterError::io(format!("read {}", from.display())))?
                    .path();
                let Some(name) = path.file_name().filter(|_| path.is_file()) else {
                    continue;
                };
                let draft = target.join("draft");
                fs::copy(&path, &draft)
                    .map_err(ClusterError::io(format!("copy {}", path.display())))?;
                make_readable(&draft, 0o644)?;
                fs::rename(&draft, target.join(name))
                    .map_err(ClusterError::io(format!("replace {}", name.display())))?;
            }
        }
        for dir in ["", "lib", "share", "share/extension"] {
            make_readable(&to.join(dir), 0o755)?;
        }
        Self::at(to)
    }

    /// The settings that make a server look here.
    pub(super) fn settings(&self) -> Vec<(String, String)> {
        let root = self.root.display();
        vec![
            (
                "extension_control_path".into(),
                format!("{root}/share:$system"),
            ),
            ("dynamic_library_path".into(), format!("{root}/lib:$libdir")),
        ]
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

/// Sets permission bits.
fn make_readable(path: &Path, mode: u32) -> Result<(), ClusterError> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(ClusterError::io(format!(
        "set permissions of {}",
        path.display()
    )))
}
