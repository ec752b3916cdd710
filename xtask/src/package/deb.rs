//! The `.deb`, by `dpkg-deb`.

use super::files::{Contents, Place, licence};
use super::{DESCRIPTION, MAINTAINER, SUMMARY};
use crate::command;
use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use xshell::{Shell, cmd};

/// Of the package, of one version of the extension.
const REVISION: u32 = 1;

/// Makes it.
pub fn make(contents: &Contents) -> Result<PathBuf> {
    let sh = Shell::new()?;
    let architecture = cmd!(sh, "dpkg --print-architecture").read()?;
    let tree = super::work(&format!("{}-deb", contents.name))?;
    let library = lay_out(contents, &tree)?;
    let version = format!("{}-{REVISION}", contents.version);
    let control = tree.join("DEBIAN");
    create(&control)?;
    fs::write(control.join("md5sums"), md5sums(&tree)?)?;
    let depends = format!(
        "postgresql-{} (>= {}), {}",
        contents.major,
        contents.server,
        libraries(&tree, &library)?
    );
    let description = DESCRIPTION.replace('\n', "\n ");
    fs::write(
        control.join("control"),
        format!(
            "Package: {}\nVersion: {version}\nArchitecture: {architecture}\nMaintainer: {MAINTAINER}\n\
             Installed-Size: {}\nDepends: {depends}\nSection: database\nPriority: optional\n\
             Description: {SUMMARY}\n {description}\n .\n This package is for PostgreSQL {}.\n",
            contents.name,
            size_kb(&tree)?,
            contents.major
        ),
    )?;
    let name = format!("{}_{version}_{architecture}.deb", contents.name);
    let file = super::folder()?.join(name);
    let build = cmd!(sh, "dpkg-deb --root-owner-group -Zxz --build {tree} {file}");
    command::output(build.env("SOURCE_DATE_EPOCH", super::timestamp()))?;
    Ok(file)
}

/// Puts the files where Debian has them, and returns the library.
fn lay_out(contents: &Contents, tree: &Path) -> Result<PathBuf> {
    let major = contents.major;
    let documentation = tree.join(format!("usr/share/doc/{}", contents.name));
    let mut library = None;
    for file in &contents.files {
        let folder = match file.place {
            Place::Library => tree.join(format!("usr/lib/postgresql/{major}/lib")),
            Place::Extension => tree.join(format!("usr/share/postgresql/{major}/extension")),
            Place::Documentation => documentation.clone(),
        };
        create(&folder)?;
        let to = folder.join(file.name());
        fs::copy(&file.source, &to)?;
        fs::set_permissions(&to, fs::Permissions::from_mode(0o644))?;
        if file.place == Place::Library {
            library = Some(to);
        } else if file.place == Place::Documentation {
            gzip(&to)?;
        }
    }
    write_file(&documentation.join("copyright"), &copyright()?)?;
    let changelog = documentation.join("changelog.Debian");
    write_file(&changelog, &changes(contents)?)?;
    gzip(&changelog)?;
    library.context("there is no library to package")
}

fn write_file(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text)?;
    Ok(fs::set_permissions(
        path,
        fs::Permissions::from_mode(0o644),
    )?)
}

/// Every folder on the way, readable by all, whatever the mask of this process.
fn create(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let tree = folder
        .ancestors()
        .take_while(|folder| !folder.ends_with("package-work"));
    for folder in tree {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

fn gzip(file: &Path) -> Result<()> {
    let sh = Shell::new()?;
    command::output(cmd!(sh, "gzip -9n --force {file}")).map(drop)
}

/// Our licence, and where those of others are.
fn copyright() -> Result<String> {
    Ok(format!(
        "pg_trickle\n\n{}\nLibraries that are linked in have licences of their own: third-party-licences.txt.gz, beside this file.\n",
        licence()?
    ))
}

fn changes(contents: &Contents) -> Result<String> {
    let (sh, time) = (Shell::new()?, super::timestamp());
    let date = cmd!(sh, "date --rfc-email --utc --date @{time}")
        .env("LC_ALL", "C")
        .read()?;
    Ok(format!(
        "{} ({}-{REVISION}) unstable; urgency=medium\n\n  * Version {}, for PostgreSQL {} and later minor versions.\n\n \
         -- {MAINTAINER}  {date}\n",
        contents.name, contents.version, contents.version, contents.server
    ))
}

/// The libraries that the extension asks for, as Debian's own tool names their packages.
fn libraries(tree: &Path, library: &Path) -> Result<String> {
    let debian = tree.join("debian");
    fs::create_dir(&debian)?;
    fs::write(
        debian.join("control"),
        "Source: pg-trickle\n\nPackage: pg-trickle\nArchitecture: any\n",
    )?;
    let sh = Shell::new()?;
    sh.change_dir(tree);
    let found = command::output(cmd!(
        sh,
        "dpkg-shlibdeps -O --ignore-missing-info {library}"
    ))?;
    fs::remove_dir_all(&debian)?;
    let found = found
        .lines()
        .find_map(|line| line.strip_prefix("shlibs:Depends="));
    Ok(found
        .context("dpkg-shlibdeps names no libraries")?
        .to_owned())
}

fn md5sums(tree: &Path) -> Result<String> {
    let sh = Shell::new()?;
    sh.change_dir(tree);
    let sums = "find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum";
    Ok(command::output(cmd!(sh, "sh -c {sums}"))? + "\n")
}

fn size_kb(tree: &Path) -> Result<String> {
    let sh = Shell::new()?;
    let sizes = cmd!(sh, "du -sk {tree}/usr").read()?;
    let size = sizes.split_whitespace().next();
    Ok(size.context("du prints no size")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_and_the_other_licences_are_named() {
        let copyright = copyright().unwrap();
        assert!(copyright.contains("\nCopyright (c) 2026, the pg_trickle contributors\n"));
        assert!(copyright.contains("third-party-licences.txt"));
    }
}
