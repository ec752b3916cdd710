//! The `.rpm` in an empty system, by dnf. No archive with servers for such systems is at hand: packages that claim to be
//! one stand in, and a server of this machine runs what was installed.

use super::{block, serves};
use crate::command;
use crate::package::{server_version, work};
use crate::setup::Machine;
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use xshell::{Cmd, Shell, cmd};

/// Installs it, beside a server that is new enough and only then; runs it; removes it.
pub fn try_out(machine: &Machine, rpm: &Path, deb: &Path) -> Result<String> {
    let (major, version) = (machine.postgres.major, server_version(&machine.postgres));
    let name = format!("postgresql{major}-server");
    let sh = Shell::new()?;
    let root = work("rpm-root")?;
    sh.write_file(root.join("dnf.conf"), "")?;
    let needs = command::output(cmd!(sh, "rpm -qp --requires {rpm}"))?;
    let is_library = |line: &&str| line.contains(".so") || line.starts_with("rtld");
    let libraries: Vec<&str> = needs.lines().filter(is_library).collect();
    let system = stand_in(&sh, "glibc", "2.34", &libraries)?;
    command::output(dnf(&sh, &root, "install").arg(system))?;
    let old = stand_in(&sh, &name, &(major - 1).to_string(), &[])?;
    let server = stand_in(&sh, &name, &version, &[])?;
    for lacking in [vec![], vec![&old]] {
        let install = dnf(&sh, &root, "install").arg(rpm).args(lacking);
        let refusal = command::output(install).err().map(|why| why.to_string());
        let refusal = refusal.context("it is installed without a server that is new enough")?;
        let wanted = format!("{name} >= {version}");
        ensure!(
            refusal.contains(&wanted),
            "not for want of {wanted}: {refusal}"
        );
    }
    command::output(dnf(&sh, &root, "install").arg(&server))?;
    let install = block("dnf", major)?;
    let install = install.lines().next().context("an empty block")?;
    // The document's line, with this system in the place of the machine's own.
    let alias = r#"sudo() { "$@"; }; dnf() { command dnf $DNF "$@"; }; cd "$1"; eval "$2""#;
    let folder = rpm.parent().context("no folder")?;
    let line = cmd!(sh, "bash -euc {alias} bash {folder} {install}");
    command::output(line.env("DNF", options(&root).join(" ")))?;

    let unpacked = work("deb-root")?;
    command::output(cmd!(sh, "dpkg-deb -x {deb} {unpacked}"))?;
    let ours = root.join(format!("usr/pgsql-{major}"));
    let theirs =
        ["lib", "share"].map(|kind| unpacked.join(format!("usr/{kind}/postgresql/{major}")));
    let [libraries, shared] = theirs;
    command::output(cmd!(sh, "diff -r {ours}/lib {libraries}/lib"))?;
    command::output(cmd!(sh, "diff -r {ours}/share {shared}"))?;
    let served = serves(&ours)?;
    command::output(dnf(&sh, &root, "remove").arg(format!("postgresql-{major}-pg-trickle")))?;
    let left = cmd!(sh, "find {root}/usr -iname *trickle*").read()?;
    ensure!(left.is_empty(), "left behind: {left}");
    Ok(format!(
        "installed with {name} {version}, not with an older one; {served}"
    ))
}

fn dnf<'a>(sh: &'a Shell, root: &Path, task: &str) -> Cmd<'a> {
    sh.cmd("dnf").args(options(root)).args([task, "-y"])
}

/// A system of its own, and nothing from the machine's configuration.
fn options(root: &Path) -> Vec<String> {
    let root = root.display();
    vec![
        format!("--installroot={root}"),
        format!("--config={root}/dnf.conf"),
        "--setopt=reposdir=/nonexistent".to_owned(),
        format!("--setopt=cachedir={root}/var/cache/dnf"),
        "--releasever=9".to_owned(),
    ]
}

/// A package without files that claims to be this one, and to provide these things.
fn stand_in(sh: &Shell, name: &str, version: &str, provides: &[&str]) -> Result<PathBuf> {
    let top = work(&format!("rpm-{name}-{version}"))?;
    let provides: String = provides
        .iter()
        .map(|what| format!("Provides: {what}\n"))
        .collect();
    let specification = top.join("stand-in.spec");
    let text = format!(
        "Name: {name}\nVersion: {version}\nRelease: 1\nSummary: stands in\nLicense: PostgreSQL\nBuildArch: noarch\n{provides}\n\
         %description\nStands in.\n%files\n"
    );
    sh.write_file(&specification, text)?;
    let places = [
        format!("_topdir {}", top.display()),
        format!("_rpmdir {}", top.display()),
        "_rpmfilename server.rpm".to_owned(),
    ];
    let places = places.map(|place| format!("--define={place}"));
    let rpmbuild = cmd!(sh, "rpmbuild -bb --quiet {places...} {specification}");
    command::output(rpmbuild)?;
    Ok(top.join("server.rpm"))
}
