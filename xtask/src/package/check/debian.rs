//! The `.deb` in a fresh Debian with Debian's own server, as `docs/install.md` says.

use super::{Verdict, block};
use crate::command;
use crate::images::rootfs;
use crate::package::work;
use crate::paths;
use crate::setup::unpacked;
use crate::ui::Steps;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use xshell::{Shell, cmd};

/// Left by the script where Debian's own server cannot be installed.
const NO_SERVER: &str = "packages/no-server";

/// Installs it, uses it, updates it from the previous one if there is one, and removes it.
pub fn try_out(
    steps: &mut Steps,
    major: u32,
    deb: &Path,
    previous: &Result<PathBuf>,
) -> Result<Verdict> {
    let suites = unpacked::suites(major).context("no release has the server")?;
    let mut suites = suites.split(' ');
    let base = suites.next().unwrap_or_default();
    let suite = suites.next().unwrap_or(base);
    // Between two steps of a transition Debian's archive may not install its own packages: that says nothing of ours.
    let system = steps.step("a fresh Debian", |progress| {
        rootfs::of_release(base, progress)
    });
    let system = match system {
        Ok(system) => system,
        Err(why) => return Ok(Verdict::Skipped(format!("no fresh Debian: {why:#}"))),
    };
    steps.step("installed, used, updated, removed", |progress| {
        let root = lay_out(&system, deb, previous.as_deref().ok(), major)?;
        add_suite(&root, base, suite)?;
        let (sh, major) = (Shell::new()?, major.to_string());
        let inside =
            "mount -t proc proc \"$1/proc\"; exec chroot \"$1\" /packages/check.sh \"$2\" \"$3\"";
        // Whatever it starts ends with it.
        let script = cmd!(
            sh,
            "unshare --mount --pid --fork --kill-child sh -euc {inside} sh {root} {major} {suite}"
        );
        let script = script.env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        );
        let outcome = command::logged(script, "package-check", progress);
        let is_debian_broken = root.join(NO_SERVER).exists();
        fs::remove_dir_all(&root)?;
        if is_debian_broken {
            let why = "Debian's archive does not install its own server at present".to_owned();
            return Ok((Verdict::Skipped(why), "skipped".to_owned()));
        }
        outcome?;
        let what = match previous {
            Ok(_) => "with an update".to_owned(),
            Err(why) => format!("without an update: {why:#}"),
        };
        Ok((Verdict::Works, what))
    })
}

/// A copy of the system with the packages, the script and the document's blocks.
fn lay_out(system: &Path, deb: &Path, previous: Option<&Path>, major: u32) -> Result<PathBuf> {
    let sh = Shell::new()?;
    let root = work("debian")?;
    fs::remove_dir(&root)?;
    command::output(cmd!(sh, "cp -a {system} {root}"))?;
    let folder = root.join("packages");
    for (name, package) in [("current", Some(deb)), ("previous", previous)] {
        if let Some(package) = package {
            let folder = sh.create_dir(folder.join(name))?;
            sh.copy_file(package, folder)?;
        }
    }
    sh.copy_file(paths::repository().join("packaging/check.sh"), &folder)?;
    for name in ["install", "update", "remove"] {
        sh.write_file(folder.join(format!("{name}.sh")), block(name, major)?)?;
    }
    for file in ["/etc/resolv.conf", "/etc/hosts"] {
        if Path::new(file).exists() {
            fs::copy(file, root.join(file.trim_start_matches('/')))?;
        }
    }
    // How the machine reaches its archive, and how late an archive may be; and no flush after each file.
    let machine = cmd!(sh, "apt-config dump").read()?;
    let is_about_archives = |line: &&str| {
        let starts = ["Acquire::Check-", "Acquire::http::", "Acquire::https::"];
        starts.iter().any(|start| line.starts_with(start))
    };
    let settings: Vec<&str> = machine.lines().filter(is_about_archives).collect();
    fs::write(
        root.join("etc/apt/apt.conf.d/00machine"),
        settings.join("\n") + "\n",
    )?;
    fs::write(root.join("etc/dpkg/dpkg.cfg.d/quick"), "force-unsafe-io\n")?;
    Ok(root)
}

/// Lets apt use another suite of the same archive, too.
fn add_suite(root: &Path, base: &str, suite: &str) -> Result<()> {
    if suite == base {
        return Ok(());
    }
    let list = root.join("etc/apt/sources.list");
    let text = fs::read_to_string(&list)?;
    let Some(line) = text.lines().find(|line| line.contains(base)) else {
        bail!("{} does not name {base}", list.display());
    };
    let more = line.replacen(&format!(" {base} "), &format!(" {suite} "), 1);
    fs::write(&list, format!("{text}\n{more}\n"))?;
    Ok(())
}
