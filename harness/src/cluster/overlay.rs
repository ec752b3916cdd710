//! Before 18 a server looks for extensions among its own files only. So it gets a place of its own: its programs are
//! copied, since they find everything else relative to where they are; everything else is linked, and the extension's
//! files beside it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::{ClusterError, ExtensionDir};
use crate::postgres::Installation;

/// The first major version with `extension_control_path`.
pub(super) const FIRST_WITHOUT: u32 = 18;

/// The installation with the extension in it, laid out below `to`.
pub(super) fn lay_out(
    installation: &Installation,
    extension: &ExtensionDir,
    to: &Path,
) -> Result<Installation, ClusterError> {
    let folders = [
        &installation.bin_dir,
        &installation.share_dir,
        &installation.package_lib_dir,
    ];
    let common = (installation.bin_dir.ancestors())
        .find(|folder| folders.iter().all(|other| other.starts_with(folder)))
        .unwrap_or(Path::new("/"));
    let moved = |folder: &Path| to.join(folder.strip_prefix(common).unwrap_or(folder));
    let overlay = Installation {
        bin_dir: moved(&installation.bin_dir),
        share_dir: moved(&installation.share_dir),
        package_lib_dir: moved(&installation.package_lib_dir),
        ..installation.clone()
    };
    fill(&installation.bin_dir, &overlay.bin_dir, |from, to| {
        fs::copy(from, to).map(|_| ())
    })?;
    let scripts = overlay.share_dir.join("extension");
    for (from, to) in [
        (installation.share_dir.clone(), overlay.share_dir.clone()),
        (installation.share_dir.join("extension"), scripts.clone()),
        (extension.root().join("share/extension"), scripts),
        (
            installation.package_lib_dir.clone(),
            overlay.package_lib_dir.clone(),
        ),
        (
            extension.root().join("lib"),
            overlay.package_lib_dir.clone(),
        ),
    ] {
        fill(&from, &to, |from, to| symlink(from, to))?;
    }
    Ok(overlay)
}

/// Puts what is in one folder into another, which is made, but for folders of extensions, which are filled by themselves.
fn fill(
    from: &Path,
    to: &Path,
    put: impl Fn(&Path, &Path) -> std::io::Result<()>,
) -> Result<(), ClusterError> {
    let failed = |path: &Path| ClusterError::io(format!("lay out {}", path.display()));
    fs::create_dir_all(to).map_err(failed(to))?;
    let entries: Vec<PathBuf> = fs::read_dir(from)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
        .map_err(failed(from))?;
    for entry in entries {
        let Some(name) = entry.file_name().filter(|name| *name != "extension") else {
            continue;
        };
        let target = to.join(name);
        put(&entry, &target).map_err(failed(&target))?;
    }
    Ok(())
}
