//! Whether packages do what they are for: each is installed as `docs/install.md` says, and a server makes a stream table
//! with what was installed.

mod debian;
mod pgxn;
mod rpm;

use super::{Options, make, work};
use crate::command;
use crate::paths;
use crate::setup::{self, Machine, packages};
use crate::ui::Steps;
use anyhow::{Context, Result, anyhow, ensure};
use harness::cluster::{Cluster, ClusterOptions, ExtensionDir};
use harness::document;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use xshell::{Shell, cmd};

/// What has come of it.
pub enum Verdict {
    /// Everything works.
    Works,
    /// It could not be tried here.
    Skipped(String),
}

/// Makes packages and tries them; with an update, if there is a build of the previous version.
pub fn run(machine: &Machine, options: &Options, previous: &Result<PathBuf>) -> Result<Verdict> {
    if let Some(why) = cannot() {
        return Ok(Verdict::Skipped(why));
    }
    let made = make(machine, options)?;
    let of_kind = |kind: &str| {
        let is_it = |file: &&PathBuf| file.extension().is_some_and(|extension| extension == kind);
        made.iter().find(is_it)
    };
    let deb = of_kind("deb").context("no .deb was made")?;
    let mut steps = Steps::new(if options.deb { 4 } else { 6 });
    steps.step("lintian", |_| Ok(((), lint(deb)?)))?;
    steps.step("the image's layout", |_| Ok(((), image(deb)?)))?;
    if let (Some(rpm), Some(archive)) = (of_kind("rpm"), of_kind("zip")) {
        steps.step(".rpm", |_| Ok(((), rpm::try_out(machine, rpm, deb)?)))?;
        steps.step("PGXN", |progress| {
            Ok((
                (),
                pgxn::try_out(machine, archive, options.profile, progress)?,
            ))
        })?;
    }
    let previous = previous_deb(machine, previous)?;
    debian::try_out(&mut steps, machine.postgres.major, deb, &previous)
}

/// That of the previous version, or why there is none.
fn previous_deb(machine: &Machine, build: &Result<PathBuf>) -> Result<Result<PathBuf>> {
    if let Err(why) = build {
        return Ok(Err(anyhow!("{why:#}")));
    }
    let options = Options {
        previous: true,
        ..Options::default()
    };
    let made = make(machine, &options)?.into_iter().next();
    Ok(Ok(made.context("no .deb of the previous version was made")?))
}

/// The lines of one of the document's blocks, for this major version.
fn block(name: &str, major: u32) -> Result<String> {
    let path = paths::repository().join("docs/install.md");
    let blocks = document::blocks(&fs::read_to_string(path)?);
    let block = blocks
        .iter()
        .find(|block| block.is("packaged") && block.is(name))
        .with_context(|| format!("docs/install.md has no block for {name}"))?;
    ensure!(
        block.lines.len() <= 3,
        "line {}: more than three lines",
        block.line
    );
    // The document is written for one of the servers.
    Ok(block.lines.join("\n").replace("18", &major.to_string()))
}

/// Why it cannot be tried on this machine.
fn cannot() -> Option<String> {
    if !paths::is_root() {
        return Some("only root can make a fresh Debian".to_owned());
    }
    if setup::source_build::os_release()
        .get("ID")
        .map(String::as_str)
        != Some("debian")
    {
        return Some("a fresh Debian is made on Debian".to_owned());
    }
    let missing = packages::missing(packages::TESTS);
    let needed: Vec<&str> = ["debootstrap", "lintian", "rpm", "dnf", "unzip"]
        .into_iter()
        .filter(|name| missing.contains(name))
        .collect();
    (!needed.is_empty()).then(|| packages::remedy(&needed))
}

/// Debian's own judge finds no errors; warnings are shown.
fn lint(deb: &Path) -> Result<String> {
    let sh = Shell::new()?;
    let lintian = cmd!(
        sh,
        "lintian --allow-root --fail-on error --tag-display-limit 0 {deb}"
    );
    let said = command::output(lintian)?;
    let warnings: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("W: "))
        .collect();
    Ok(format!(
        "no errors, {} warnings {}",
        warnings.len(),
        warnings.join("; ")
    ))
}

/// The folders of the image for CloudNativePG (`images/Dockerfile.ext`), taken from the package as it takes them: a
/// server finds the extension in them by its search paths.
fn image(deb: &Path) -> Result<String> {
    let unpacked = work("image")?;
    let sh = Shell::new()?;
    command::output(cmd!(sh, "dpkg-deb -x {deb} {unpacked}"))?;
    let only = |folder: &str| -> Result<PathBuf> {
        let found = sh.read_dir(unpacked.join(folder))?;
        found.into_iter().next().context("an empty folder")
    };
    let libraries = only("usr/lib/postgresql")?.join("lib");
    let extension = only("usr/share/postgresql")?.join("extension");
    serves(&tree_of("image-tree", &libraries, &extension)?)
}

/// A folder with `lib` and `share/extension`, where a server looks.
fn tree_of(name: &str, libraries: &Path, extension: &Path) -> Result<PathBuf> {
    let tree = work(name)?;
    fs::create_dir(tree.join("share"))?;
    symlink(libraries, tree.join("lib"))?;
    symlink(extension, tree.join("share/extension"))?;
    Ok(tree)
}

fn server_with(tree: &Path) -> Result<Cluster> {
    let extension = ExtensionDir::at(tree)?;
    Ok(Cluster::start(&ClusterOptions::new().extension(extension))?)
}

/// A server with the extension of this folder keeps a stream table.
fn serves(tree: &Path) -> Result<String> {
    let cluster = server_with(tree)?;
    let mut psql = cluster.client_command("psql");
    psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", "postgres", "-f"]);
    psql.arg(paths::repository().join("packaging/installcheck.sql"));
    let version = command::output(psql)?;
    ensure!(
        version == env!("CARGO_PKG_VERSION"),
        "it is version {version}"
    );
    Ok(format!("version {version} works"))
}
