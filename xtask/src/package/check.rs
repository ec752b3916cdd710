//! Whether packages do what they are for: the `.deb` in a fresh Debian with Debian's own server, as `docs/install.md`
//! says; the `.rpm` by its files and dependencies; the image for CloudNativePG by its layout.

use super::{Options, make};
use crate::command;
use crate::images::rootfs;
use crate::paths;
use crate::setup::{self, Machine, packages, unpacked};
use crate::ui::Steps;
use anyhow::{Context, Result, bail, ensure};
use harness::cluster::{Cluster, ClusterOptions, ExtensionDir};
use harness::document;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What has come of it.
pub enum Verdict {
    /// Everything works.
    Works,
    /// It could not be tried here.
    Skipped(String),
}

/// Makes packages and tries them.
pub fn run(machine: &Machine, options: &Options) -> Result<Verdict> {
    if let Some(why) = cannot() {
        return Ok(Verdict::Skipped(why));
    }
    let made = make(machine, options)?;
    let previous = Options {
        previous: true,
        ..Options::default()
    };
    // It is for one major version only; tests that have no former build say why in this variable.
    let has_previous = machine.postgres.major == harness::postgres::MAJOR
        && std::env::var_os("PGT_NO_PREVIOUS").is_none();
    let previous = match has_previous {
        true => make(machine, &previous)?.into_iter().next(),
        false => None,
    };
    let of_kind = |kind: &str| {
        let is_it = |file: &&PathBuf| file.extension().is_some_and(|extension| extension == kind);
        made.iter().find(is_it).cloned()
    };
    let deb = of_kind("deb").context("no .deb was made")?;
    let mut steps = Steps::new(5);
    steps.step("lintian", |_| Ok(((), lint(&deb)?)))?;
    steps.step("the image's layout", |_| Ok(((), image(&deb)?)))?;
    steps.step(".rpm", |_| {
        let Some(rpm) = of_kind("rpm") else {
            return Ok(((), "not made".to_owned()));
        };
        Ok(((), installed_rpm(machine, &rpm, &deb)?))
    })?;
    let suites = unpacked::suites(machine.postgres.major).context("no release has the server")?;
    let mut suites = suites.split(' ');
    let base = suites.next().unwrap_or_default();
    // Between two steps of a transition Debian's archive may not install its own packages: that says nothing of ours.
    let system = steps.step("a fresh Debian", |progress| {
        rootfs::of_release(base, progress)
    });
    let system = match system {
        Ok(system) => system,
        Err(why) => return Ok(Verdict::Skipped(format!("no fresh Debian: {why:#}"))),
    };
    steps.step("installed, used, updated, removed", |progress| {
        let root = lay_out(&system, &deb, previous.as_deref(), machine.postgres.major)?;
        let suite = suites.next().unwrap_or(base);
        add_suite(&root, base, suite)?;
        let mut script = Command::new("unshare");
        // Whatever it starts ends with it.
        script
            .args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-euc"])
            .arg("mount -t proc proc \"$1/proc\"; exec chroot \"$1\" /packages/check.sh \"$2\" \"$3\"")
            .arg("sh")
            .arg(&root)
            .arg(machine.postgres.major.to_string())
            .arg(suite)
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        let outcome = command::logged(&mut script, "package-check", progress);
        let is_debian_broken = root.join(NO_SERVER).exists();
        fs::remove_dir_all(&root)?;
        if is_debian_broken {
            let why = "Debian's archive does not install its own server at present".to_owned();
            return Ok((Verdict::Skipped(why), "skipped".to_owned()));
        }
        outcome?;
        let what = if previous.is_some() { "with an update" } else { "without an update" };
        Ok((Verdict::Works, what.to_owned()))
    })
}

/// Left by the script where Debian's own server cannot be installed.
const NO_SERVER: &str = "packages/no-server";

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
    let needed: Vec<&str> = ["debootstrap", "lintian", "rpm"]
        .into_iter()
        .filter(|name| missing.contains(name))
        .collect();
    (!needed.is_empty()).then(|| packages::remedy(&needed))
}

/// Debian's own judge finds no errors; warnings are shown.
fn lint(deb: &Path) -> Result<String> {
    let mut lintian = Command::new("lintian");
    lintian
        .args([
            "--allow-root",
            "--fail-on",
            "error",
            "--tag-display-limit",
            "0",
        ])
        .arg(deb);
    let said = command::output(&mut lintian)?;
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
    let tree = super::work("image")?;
    command::output(Command::new("dpkg-deb").arg("-x").arg(deb).arg(&tree))?;
    let only = |folder: PathBuf| -> Result<PathBuf> {
        let mut found = fs::read_dir(&folder)?.flatten();
        Ok(found.next().context("an empty folder")?.path())
    };
    fs::create_dir(tree.join("share"))?;
    symlink(
        only(tree.join("usr/lib/postgresql"))?.join("lib"),
        tree.join("lib"),
    )?;
    symlink(
        only(tree.join("usr/share/postgresql"))?.join("extension"),
        tree.join("share/extension"),
    )?;
    let extension = ExtensionDir::at(&tree)?;
    let cluster = Cluster::start(&ClusterOptions::new().extension(extension))?;
    let version = command::output(cluster.client_command("psql").args([
        "-XAtq",
        "-d",
        "postgres",
        "-c",
        "CREATE EXTENSION pg_trickle",
        "-c",
        "SELECT pgtrickle.version()",
    ]))?;
    ensure!(
        version == env!("CARGO_PKG_VERSION"),
        "it is version {version}"
    );
    Ok(format!("version {version}"))
}

/// Puts the files of the `.rpm` into a folder of their own; they are those of the `.deb`.
fn installed_rpm(machine: &Machine, rpm: &Path, deb: &Path) -> Result<String> {
    let major = machine.postgres.major;
    let requires = command::output(Command::new("rpm").args(["-qp", "--requires"]).arg(rpm))?;
    let server = super::server_version(&machine.postgres)?;
    let wanted = format!("postgresql{major}-server >= {server}");
    ensure!(
        requires.lines().any(|line| line == wanted),
        "{wanted} is not among\n{requires}"
    );
    let root = super::work("rpm-root")?;
    command::output(
        Command::new("rpm")
            .arg("--root")
            .arg(&root)
            // There is no such server here.
            .args(["--nodeps", "-i"])
            .arg(rpm),
    )?;
    let unpacked = super::work("deb-root")?;
    command::output(Command::new("dpkg-deb").arg("-x").arg(deb).arg(&unpacked))?;
    let pairs = [
        (
            format!("usr/pgsql-{major}/lib"),
            format!("usr/lib/postgresql/{major}/lib"),
        ),
        (
            format!("usr/pgsql-{major}/share/extension"),
            format!("usr/share/postgresql/{major}/extension"),
        ),
    ];
    for (ours, theirs) in pairs {
        command::output(
            Command::new("diff")
                .arg("-r")
                .arg(root.join(ours))
                .arg(unpacked.join(theirs)),
        )?;
    }
    Ok(format!("the files of the .deb, for {wanted}"))
}

/// A copy of the system with the packages, the script and the document's blocks.
fn lay_out(system: &Path, deb: &Path, previous: Option<&Path>, major: u32) -> Result<PathBuf> {
    let root = super::work("debian")?;
    fs::remove_dir(&root)?;
    command::output(Command::new("cp").arg("-a").arg(system).arg(&root))?;
    let folder = root.join("packages");
    for (name, package) in [("current", Some(deb)), ("previous", previous)] {
        let Some(package) = package else { continue };
        let folder = folder.join(name);
        fs::create_dir_all(&folder)?;
        fs::copy(
            package,
            folder.join(package.file_name().context("no name")?),
        )?;
    }
    let repository = paths::repository();
    fs::copy(
        repository.join("packaging/check.sh"),
        folder.join("check.sh"),
    )?;
    let text = fs::read_to_string(repository.join("docs/install.md"))?;
    let blocks = document::blocks(&text);
    for name in ["install", "update", "remove"] {
        let block = blocks
            .iter()
            .find(|block| block.is("packaged") && block.is(name));
        let block = block.with_context(|| format!("docs/install.md has no block to {name}"))?;
        ensure!(
            block.lines.len() <= 3,
            "line {}: more than three lines",
            block.line
        );
        // The document is written for one of the servers.
        let lines = block.lines.join("\n").replace("18", &major.to_string());
        fs::write(folder.join(format!("{name}.sh")), lines)?;
    }
    for file in ["/etc/resolv.conf", "/etc/hosts"] {
        if Path::new(file).exists() {
            fs::copy(file, root.join(file.trim_start_matches('/')))?;
        }
    }
    // How the machine reaches its archive, and how late an archive may be; and no flush after each file.
    let machine = command::output(Command::new("apt-config").arg("dump"))?;
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
