//! Where things live: the checkout, cargo's target folder, and the cache outside the repository.

use std::env;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The root of the checkout.
pub fn repository() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_path_buf()
}

/// Cargo's target folder.
pub fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => {
            let dir = PathBuf::from(dir);
            if dir.is_absolute() {
                dir
            } else {
                env::current_dir()
                    .unwrap_or_else(|_| repository())
                    .join(dir)
            }
        }
        None => repository().join("target"),
    }
}

/// What outlives a checkout: the PostgreSQL built from source, tools, logs.
pub fn cache() -> PathBuf {
    harness::postgres::cache_dir()
}

/// Whether this process runs as root, as which PostgreSQL refuses to start.
pub fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Whether any user may reach `path`: every folder on the way is searchable by others.
pub fn reachable_by_others(path: &Path) -> bool {
    path.ancestors()
        .filter(|dir| !dir.as_os_str().is_empty())
        .filter_map(|dir| std::fs::metadata(dir).ok())
        .all(|dir| dir.mode() & 0o001 != 0)
}

/// The first program of this name on the PATH.
pub fn on_path(program: &str) -> Option<PathBuf> {
    all_on_path(program).into_iter().next()
}

/// Every program of this name on the PATH, in its order.
pub fn all_on_path(program: &str) -> Vec<PathBuf> {
    let Some(path) = env::var_os("PATH") else {
        return Vec::new();
    };
    env::split_paths(&path)
        .map(|dir| dir.join(program))
        .filter(|file| file.is_file())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_holds_this_crate() {
        assert!(repository().join("xtask/Cargo.toml").is_file());
    }

    #[test]
    fn a_path_below_the_root_folder_is_reachable() {
        assert!(reachable_by_others(Path::new("/")));
    }
}
