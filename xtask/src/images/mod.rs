//! `cargo xtask images local`: an image for tests, of what this machine has built.
//!
//! Where no registry can be reached the images of `images/` cannot be built. This one needs a package
//! archive only: a small system from debootstrap, the server and the extension of this machine, and the
//! libraries that they ask for. It is one layer, and is made anew whenever it is asked for; the small system
//! is kept in the cache.

mod engine;
pub mod rootfs;

pub use engine::Engine;

use crate::build;
use crate::command;
use crate::paths;
use crate::setup::{Machine, unpacked};
use crate::ui::Steps;
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use xshell::{Shell, cmd};

/// Its name.
const NAME: &str = "pg-trickle-local:dev";
/// That of one with the previous version of the extension.
const PREVIOUS: &str = "pg-trickle-local:previous";

/// What to do about images.
#[derive(clap::Subcommand)]
pub enum Task {
    /// Build the image that the container tests use, without a registry
    Local(build::Options),
    /// Unpack PostgreSQL with other extensions beside it, for the tests of `scenarios/beside/`
    Beside,
}

/// Does it.
pub fn run(task: &Task, machine: &Machine) -> Result<()> {
    match task {
        Task::Local(options) => local(machine, options, &Engine::running()?),
        Task::Beside => {
            println!("{}", beside(machine)?.display());
            Ok(())
        }
    }
}

/// Brings a server of this machine's major version with the packages of other extensions; where it is. It needs no
/// container engine: the programs find their libraries beside themselves.
pub fn beside(machine: &Machine) -> Result<PathBuf> {
    let mut steps = Steps::new(1);
    steps.step("PostgreSQL and its neighbours", |progress| {
        let folder = unpacked::lay_out_neighbours(machine.postgres.major, progress)?;
        let what = folder.display().to_string();
        Ok((folder, what))
    })
}

/// Makes the image for this engine.
pub fn local(machine: &Machine, options: &build::Options, engine: &Engine) -> Result<()> {
    let install = build::run(machine, options)?;
    let mut steps = Steps::new(3);
    let system = steps.step("a small system", rootfs::ensure)?;
    let tree = paths::target().join("image");
    steps.step("server, extension, and their libraries", |_| {
        let files = lay_out(machine, &install, &system, &tree)?;
        Ok(((), format!("{files} libraries")))
    })?;
    let name = if options.previous { PREVIOUS } else { NAME };
    steps.step(name, |_| {
        Ok((import(machine, &tree, engine, name)?, "imported".to_owned()))
    })
}

/// Puts the server, the extension and what they need into a copy of the system; returns how many libraries
/// that took.
fn lay_out(machine: &Machine, install: &Path, system: &Path, tree: &Path) -> Result<usize> {
    let sh = Shell::new()?;
    sh.remove_path(tree)?;
    command::output(cmd!(sh, "cp -a {system} {tree}"))?;
    let server = &machine.postgres;
    for dir in [&server.bin_dir, &server.package_lib_dir, &server.share_dir] {
        copy_dir(dir, &below(tree, dir))?;
    }
    copy_dir(&install.join("lib"), &below(tree, &server.package_lib_dir))?;
    copy_dir(
        &install.join("share/extension"),
        &below(tree, &server.share_dir.join("extension")),
    )?;
    let mut wanted = libraries(&server.program("postgres"))?;
    for program in ["psql", "initdb", "pg_ctl", "pg_isready", "pg_basebackup"] {
        wanted.extend(libraries(&server.program(program))?);
    }
    for entry in fs::read_dir(below(tree, &server.package_lib_dir))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "so") {
            wanted.extend(libraries(&path)?);
        }
    }
    wanted.retain(|library| !below(tree, library).exists());
    for library in &wanted {
        let to = below(tree, library);
        fs::create_dir_all(to.parent().context("a library without a folder")?)?;
        fs::copy(library, &to).with_context(|| format!("could not copy {}", library.display()))?;
    }
    let entrypoint = tree.join("usr/local/bin/entrypoint.sh");
    fs::create_dir_all(entrypoint.parent().context("no folder")?)?;
    fs::copy(
        paths::repository().join("images/local/entrypoint.sh"),
        &entrypoint,
    )?;
    for dir in ["var/lib/postgresql", "run/postgresql"] {
        let dir = tree.join(dir);
        fs::create_dir_all(&dir)?;
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o1777))?;
    }
    for (file, line) in [
        (
            "passwd",
            "postgres:x:999:999::/var/lib/postgresql:/bin/sh\n",
        ),
        ("group", "postgres:x:999:\n"),
    ] {
        let path = tree.join("etc").join(file);
        let known = fs::read_to_string(&path)?;
        fs::write(path, format!("{known}{line}"))?;
    }
    Ok(wanted.len())
}

/// Where an absolute path of this machine is in another tree.
fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

fn copy_dir(from: &Path, to: &Path) -> Result<()> {
    let sh = Shell::new()?;
    sh.create_dir(to)?;
    command::output(cmd!(sh, "cp -rL --preserve=mode {from}/. {to}")).map(drop)
}

/// The files of the libraries that a program or a library asks for, and of the loader that it names.
fn libraries(of: &Path) -> Result<BTreeSet<PathBuf>> {
    let sh = Shell::new()?;
    let listed = command::output(cmd!(sh, "ldd {of}"))?;
    Ok(listed
        .lines()
        .filter_map(|line| line.split(" (").next())
        .flat_map(|line| line.split(" => "))
        .map(str::trim)
        .map(Path::new)
        // Beside them stand complaints about the versions of this machine's libraries.
        .filter(|path| path.is_absolute() && path.is_file())
        .map(without_links)
        .collect())
}

/// The path with the links to its folder resolved: `/lib` is one, and must stay one in the image.
fn without_links(path: &Path) -> PathBuf {
    match (path.parent().map(Path::canonicalize), path.file_name()) {
        (Some(Ok(folder)), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}

/// Hands the tree to the engine as one layer.
fn import(machine: &Machine, tree: &Path, engine: &Engine, name: &str) -> Result<()> {
    let path = format!(
        "PATH={}:/usr/local/bin:/usr/bin:/bin",
        machine.postgres.bin_dir.display()
    );
    let archive = paths::target().join("image.tar");
    let sh = Shell::new()?;
    let owner = ["--numeric-owner", "--owner=0", "--group=0"];
    command::output(cmd!(
        sh,
        "tar --create {owner...} --file {archive} -C {tree} ."
    ))?;
    let changes = [
        "ENTRYPOINT [\"/usr/local/bin/entrypoint.sh\"]",
        "USER postgres",
        "ENV PGDATA=/var/lib/postgresql/data",
        // The client of this machine's server may look elsewhere; that of the published images looks there.
        "ENV PGHOST=/var/run/postgresql",
        &format!("ENV {path}"),
    ];
    let changes = changes.map(|change| format!("--change={change}"));
    let mut import = engine.docker();
    import.arg("import").args(changes).arg(&archive).arg(name);
    let imported = command::output(import);
    fs::remove_file(&archive)?;
    imported.map(|_| ())
}
