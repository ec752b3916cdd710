//! System packages, by the machine's own package manager.

use super::apt;
use crate::command;
use crate::paths;
use crate::ui::Progress;
use anyhow::{Result, bail};
use xshell::{Shell, cmd};

/// A Debian package, and a program or file pattern that shows that it is there on other systems.
pub struct Package {
    /// The name in Debian and Ubuntu.
    pub name: &'static str,
    /// A program that comes with it, if one does; asked for where there is no dpkg.
    pub program: Option<&'static str>,
}

pub const fn program(name: &'static str, program: &'static str) -> Package {
    Package {
        name,
        program: Some(program),
    }
}

pub const fn library(name: &'static str) -> Package {
    Package {
        name,
        program: None,
    }
}

/// What building the extension needs: a C toolchain, and libclang for the bindings.
pub const BUILD: &[Package] = &[
    program("build-essential", "cc"),
    program("clang", "clang"),
    library("libclang-dev"),
    program("pkg-config", "pkg-config"),
];

/// What building PostgreSQL from source needs on top.
pub const SOURCE_BUILD: &[Package] = &[
    program("bison", "bison"),
    program("flex", "flex"),
    program("bzip2", "bzip2"),
    program("xz-utils", "xz"),
    library("libreadline-dev"),
    library("zlib1g-dev"),
    library("libicu-dev"),
    library("libssl-dev"),
    library("liblz4-dev"),
    library("libzstd-dev"),
    library("libxml2-dev"),
];

/// What some tests need on top: a real Prometheus with its exporter, containers, and a fresh Debian with its judge, and
/// dbt's environment.
pub const TESTS: &[Package] = &[
    program("prometheus", "prometheus"),
    program(
        "prometheus-postgres-exporter",
        "prometheus-postgres-exporter",
    ),
    program("docker.io", "dockerd"),
    program("debootstrap", "debootstrap"),
    program("lintian", "lintian"),
    program("rpm", "rpmbuild"),
    program("dnf", "dnf"),
    program("unzip", "unzip"),
    library("python3-venv"),
];

/// What makes packages for Red Hat's systems.
pub const RPM: &[Package] = &[program("rpm", "rpmbuild")];

/// The packages of `wanted` that are not installed.
pub fn missing(wanted: &'static [Package]) -> Vec<&'static str> {
    let has_dpkg = paths::on_path("dpkg-query").is_some();
    wanted
        .iter()
        .filter(|package| match package.program {
            _ if has_dpkg => !installed(package.name),
            Some(program) => paths::on_path(program).is_none(),
            None => false,
        })
        .map(|package| package.name)
        .collect()
}

fn installed(package: &str) -> bool {
    let format = "${db:Status-Status}";
    let status = Shell::new()
        .map_err(Into::into)
        .and_then(|sh| command::output(cmd!(sh, "dpkg-query -W -f {format} {package}")));
    status.is_ok_and(|status| status == "installed")
}

/// Installs what is missing, or says which command would.
pub fn ensure(wanted: &'static [Package], progress: &Progress) -> Result<String> {
    let missing = missing(wanted);
    if missing.is_empty() {
        return Ok(format!("{} present", wanted.len()));
    }
    if paths::on_path("apt-get").is_none() {
        bail!(
            "these are missing and there is no apt-get to install them: {}",
            missing.join(" ")
        );
    }
    if !paths::is_root() {
        bail!(
            "packages are missing; run\n\n    {}\n\nand then this command again",
            remedy(&missing)
        );
    }
    progress.phase(&format!("installing {}", missing.join(" ")));
    apt::update(progress)?;
    apt::install(&missing, progress)?;
    Ok(format!("{} installed", missing.len()))
}

/// The command that a person runs to install `packages`.
pub fn remedy(packages: &[&str]) -> String {
    format!(
        "sudo apt-get update && sudo apt-get install -y --no-install-recommends {}",
        packages.join(" ")
    )
}
