//! The `.rpm`, by `rpmbuild`, with the paths and names of PostgreSQL's archive for Red Hat's systems.

use super::files::{Contents, Place, licence};
use super::{DESCRIPTION, MAINTAINER, SUMMARY};
use crate::command;
use anyhow::{Context, Result, bail};
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use xshell::{Shell, cmd};

/// Makes it.
pub fn make(contents: &Contents) -> Result<PathBuf> {
    let top = super::work(&format!("{}-rpm", contents.name))?;
    let tree = top.join("tree");
    let specification = top.join("pg_trickle.spec");
    fs::write(&specification, spec(contents, &tree)?)?;
    let made = top.join("made");
    let definitions = [
        &format!("_topdir {}", top.display()),
        &format!("_rpmdir {}", made.display()),
        "_rpmfilename %{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm",
        // Others unpack zstd only since a few years.
        "_binary_payload w9.gzdio",
        "_build_id_links none",
        // The files are as they should be.
        "debug_package %{nil}",
        "__os_install_post %{nil}",
        "use_source_date_epoch_as_buildtime 1",
    ];
    let definitions = definitions.map(|definition| format!("--define={definition}"));
    let sh = Shell::new()?;
    let rpmbuild = cmd!(
        sh,
        "rpmbuild -bb --quiet --noclean {definitions...} {specification}"
    );
    command::output(rpmbuild.env("SOURCE_DATE_EPOCH", super::timestamp()))?;
    let files = sh.read_dir(&made)?;
    let [file] = files.as_slice() else {
        bail!("rpmbuild has made {files:?}");
    };
    let to = super::folder()?.join(file.file_name().context("a package without a name")?);
    fs::rename(file, &to)?;
    Ok(to)
}

/// Lays the files out in `tree`, and says what the package is.
fn spec(contents: &Contents, tree: &Path) -> Result<String> {
    let major = contents.major;
    let documentation = format!("/usr/share/doc/{}", contents.name);
    let licences = format!("/usr/share/licenses/{}", contents.name);
    // The folders are the package's own, and go with it.
    let mut files = format!("%dir {documentation}\n%dir {licences}\n");
    for file in &contents.files {
        let (folder, mark) = match file.place {
            Place::Library => (format!("/usr/pgsql-{major}/lib"), ""),
            Place::Extension => (format!("/usr/pgsql-{major}/share/extension"), ""),
            Place::Documentation => (documentation.clone(), "%doc "),
        };
        let path = format!("{folder}/{}", file.name());
        let mode = if file.place == Place::Library {
            0o755
        } else {
            0o644
        };
        put(
            &fs::read(&file.source)?,
            &tree.join(path.trim_start_matches('/')),
            mode,
        )?;
        writeln!(files, "{mark}{path}")?;
    }
    let path = format!("{licences}/LICENSE");
    put(
        licence()?.as_bytes(),
        &tree.join(path.trim_start_matches('/')),
        0o644,
    )?;
    writeln!(files, "%license {path}")?;
    Ok(format!(
        "Name: {name}\nVersion: {version}\nRelease: 1\nSummary: {SUMMARY}\nLicense: PostgreSQL\nPackager: {MAINTAINER}\n\
         Requires: postgresql{major}-server >= {server}\nProvides: pg_trickle_{major} = %{{version}}-%{{release}}\n\
         \n%description\n{DESCRIPTION}\nThis package is for PostgreSQL {major}.\n\
         \n%install\nmkdir -p %{{buildroot}}\ncp -a {tree}/. %{{buildroot}}\n\
         \n%files\n%defattr(-,root,root,-)\n{files}",
        name = contents.name,
        version = contents.version,
        server = contents.server,
        tree = tree.display(),
    ))
}

fn put(bytes: &[u8], to: &Path, mode: u32) -> Result<()> {
    fs::create_dir_all(to.parent().context("a file without a folder")?)?;
    fs::write(to, bytes)?;
    Ok(fs::set_permissions(to, fs::Permissions::from_mode(mode))?)
}
