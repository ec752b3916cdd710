//! Building the extension and laying it out for private clusters.

use crate::command::Group;
use crate::installation::{self, EXTENSION, LIBRARY, PACKAGE, replace};
use crate::paths;
use crate::previous;
use crate::setup::{self, Machine};
use crate::ui;
use anyhow::{Result, bail};
use harness::postgres;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

/// What to build.
#[derive(clap::Args, Debug, Clone, Default)]
pub struct Options {
    /// Optimised, as for users; without it: quick to build, with debug assertions
    #[arg(long)]
    pub release: bool,
    /// Optimised, but quicker to build than for users.
    #[arg(skip)]
    pub demo: bool,
    /// Extra cargo features of the extension, comma-separated
    #[arg(long, default_value = "")]
    pub features: String,
    /// The previous version, from the history of the repository
    #[arg(long, conflicts_with_all = ["release", "features"])]
    pub previous: bool,
    /// Print the folder of the installation to standard output
    #[arg(long)]
    pub print_path: bool,
}

impl Options {
    /// The optimised build.
    pub fn release() -> Self {
        Self {
            release: true,
            ..Self::default()
        }
    }

    /// The build that the demo shows.
    pub fn demo() -> Self {
        Self {
            demo: true,
            ..Self::default()
        }
    }

    /// The profile, and its folder.
    fn profile(&self) -> (&'static str, &'static str) {
        match (self.release, self.demo) {
            (true, _) => ("release", "release"),
            (_, true) => ("demo", "demo"),
            _ => ("dev", "debug"),
        }
    }

    /// Where this combination is laid out; each has a folder of its own, and the plain debug build
    /// the one where the harness looks by itself.
    fn install_folder(&self) -> PathBuf {
        let mut name = "pg_trickle-install".to_owned();
        if self.release || self.demo {
            name.push('-');
            name.push_str(self.profile().0);
        }
        if !self.features.is_empty() {
            name.push('-');
            name.push_str(&self.features.replace([',', '/'], "-"));
        }
        name.push_str(&postgres::suffix());
        paths::target().join(name)
    }
}

/// Builds and lays out; returns the installation folder.
pub fn run(machine: &Machine, options: &Options) -> Result<PathBuf> {
    if options.previous {
        return previous::build(machine);
    }
    let started = Instant::now();
    eprintln!("building the extension");
    let mut cargo = machine.cargo("build");
    cargo.args(["--lib", "--package", PACKAGE, "--profile"]);
    cargo.arg(options.profile().0);
    cargo.args(machine.features(&options.features));
    if !cargo.status()?.success() {
        bail!("the extension does not build");
    }

    let install = options.install_folder();
    let built = paths::target().join(options.profile().1).join(LIBRARY);
    installation::lay_out(
        &paths::repository(),
        env!("CARGO_PKG_VERSION"),
        &built,
        &install,
    )?;
    copy_updates(&install.join(EXTENSION))?;
    eprintln!("extension ready in {}", ui::elapsed(started));
    Ok(install)
}

/// Compiles meanwhile, in the background, what needs neither PostgreSQL nor libclang: on a machine where these are
/// still to be brought. Dropped, it stops.
pub struct Ahead(#[expect(dead_code, reason = "it is kept to be dropped")] Option<Group>);

impl Ahead {
    /// Begins. What fails for want of a server is compiled later, by [`run`].
    pub fn begin(options: &Options) -> Self {
        let mut cargo = setup::cargo_without_server("build");
        cargo.args(["--quiet", "--keep-going", "--lib", "--package", PACKAGE]);
        cargo.args(["--profile", options.profile().0]);
        cargo.stdin(Stdio::null()).stdout(Stdio::null());
        cargo.stderr(Stdio::null());
        Ahead(Group::spawn(cargo).ok())
    }
}

/// The scripts of `ALTER EXTENSION … UPDATE`.
fn copy_updates(extension: &Path) -> Result<()> {
    for entry in fs::read_dir(paths::repository().join("extension/sql"))? {
        let script = entry?;
        replace(&extension.join(script.file_name()), |path| {
            fs::copy(script.path(), path).map(|_| ())
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_combination_of_profile_and_features_has_its_own_folder() {
        let canary = Options {
            features: "canary-a,canary-b".to_owned(),
            ..Options::default()
        };
        let name = |options: &Options| {
            let folder = options.install_folder();
            folder
                .strip_prefix(paths::target())
                .unwrap()
                .display()
                .to_string()
        };
        assert_eq!(name(&Options::default()), "pg_trickle-install");
        assert_eq!(name(&Options::release()), "pg_trickle-install-release");
        assert_eq!(name(&Options::demo()), "pg_trickle-install-demo");
        assert_eq!(name(&canary), "pg_trickle-install-canary-a-canary-b");
    }
}
