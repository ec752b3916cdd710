//! apt: installing packages, and reading which archive the machine is configured to use.
//!
//! The archive is never named here: it is whatever the machine's own sources say.

use crate::command;
use crate::ui::Progress;
use anyhow::{Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use xshell::{Cmd, Shell, cmd};

/// A configured package archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// Its address, as configured.
    pub uri: String,
    /// The suites that the machine takes from it.
    pub suites: Vec<String>,
    /// The keyring that signs it, if one is named.
    pub signed_by: Option<String>,
}

/// Refreshes the package lists.
pub fn update(progress: &Progress) -> Result<()> {
    let sh = Shell::new()?;
    command::logged(cmd!(sh, "apt-get update"), "apt-update", progress)
}

/// Installs packages without asking.
pub fn install(packages: &[&str], progress: &Progress) -> Result<()> {
    let sh = Shell::new()?;
    let install = cmd!(
        sh,
        "apt-get install -y --no-install-recommends {packages...}"
    );
    let install = install.env("DEBIAN_FRONTEND", "noninteractive");
    command::logged(install, "apt-install", progress)
}

/// Whether the machine's lists hold an installable package of this name.
pub fn offers(package: &str) -> bool {
    let Ok(sh) = Shell::new() else { return false };
    command::output(cmd!(sh, "apt-cache policy {package}")).is_ok_and(|policy| {
        policy
            .lines()
            .filter_map(|line| line.trim().strip_prefix("Candidate:"))
            .any(|candidate| candidate.trim() != "(none)")
    })
}

/// Other suites of an archive, with lists and state in a folder of our own: apt checks signatures, and the machine's
/// configuration stays as it is.
pub struct Elsewhere {
    state: PathBuf,
    shell: Shell,
}

impl Elsewhere {
    /// `kind` is `deb` or `deb-src`.
    pub fn new(state: &Path, archive: &Archive, kind: &str, suites: &str) -> Result<Self> {
        let elsewhere = Self {
            state: state.to_owned(),
            shell: Shell::new()?,
        };
        for folder in ["lists/partial", "cache/archives/partial", "download"] {
            fs::create_dir_all(state.join(folder))?;
        }
        fs::remove_dir_all(elsewhere.downloads())?;
        fs::create_dir_all(elsewhere.downloads())?;
        elsewhere.shell.change_dir(elsewhere.downloads());
        let keyring = match &archive.signed_by {
            Some(keyring) => format!("Signed-By: {keyring}\n"),
            None => String::new(),
        };
        fs::write(
            elsewhere.sources(),
            format!(
                "Types: {kind}\nURIs: {}\nSuites: {suites}\nComponents: main\n{keyring}",
                archive.uri
            ),
        )?;
        // What is installed here is of another release.
        fs::write(state.join("status"), "")?;
        Ok(elsewhere)
    }

    fn sources(&self) -> PathBuf {
        self.state.join("postgresql.sources")
    }

    /// Where downloads are.
    pub fn downloads(&self) -> PathBuf {
        self.state.join("download")
    }

    fn command(&self, program: &str) -> Cmd<'_> {
        let options = [
            ("Dir::Etc::sourcelist", self.sources()),
            ("Dir::Etc::sourceparts", PathBuf::from("/dev/null")),
            ("Dir::State::lists", self.state.join("lists")),
            ("Dir::State::status", self.state.join("status")),
            ("Dir::Cache", self.state.join("cache")),
            ("APT::Sandbox::User", PathBuf::from("root")),
        ];
        let options = options.map(|(name, value)| format!("-o{name}={}", value.display()));
        self.shell.cmd(program).args(options)
    }

    /// Refreshes the lists.
    pub fn update(&self, progress: &Progress) -> Result<()> {
        let update = self.command("apt-get").arg("update");
        command::logged(update, "elsewhere-update", progress)
    }

    /// The upstream tarball of a source package, and what comes with it.
    pub fn source(&self, package: &str, progress: &Progress) -> Result<()> {
        let apt_get = self.command("apt-get");
        let source = apt_get.args(["source", "--download-only", package]);
        command::logged(source, "elsewhere-source", progress)
    }

    /// Packages, and every library that they need, directly or not.
    pub fn with_libraries(&self, packages: &[&str]) -> Result<Vec<String>> {
        let others = [
            "recommends",
            "suggests",
            "conflicts",
            "breaks",
            "replaces",
            "enhances",
        ];
        let depends = self.command("apt-cache").args(["depends", "--recurse"]);
        let depends = depends.args(others.map(|relation| format!("--no-{relation}")));
        let found = command::output(depends.args(packages))?;
        let mut names: Vec<String> = found
            .lines()
            .filter(|line| packages.contains(line) || is_library(line))
            .map(str::to_owned)
            .collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Downloads packages as files.
    pub fn download<'a>(
        &self,
        packages: impl Iterator<Item = &'a String>,
        progress: &Progress,
    ) -> Result<()> {
        let download = self.command("apt-get").arg("download").args(packages);
        command::logged(download, "elsewhere-download", progress)
    }
}

/// Whether a line of `apt-cache depends` names a package with a library that programs are linked to.
fn is_library(line: &str) -> bool {
    line.starts_with("lib")
        && !["perl", "python", "-dev", ":"]
            .iter()
            .any(|no| line.contains(no))
}

/// The machine's main archive: the first configured one that is not for security updates and serves
/// the distribution's own release.
pub fn main_archive(codename: &str) -> Result<Archive> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(dir) = fs::read_dir("/etc/apt/sources.list.d") {
        let mut more: Vec<_> = dir.flatten().map(|entry| entry.path()).collect();
        more.sort();
        files.extend(more);
    }
    let archives: Vec<Archive> = files.iter().flat_map(|file| read(file)).collect();
    match choose(&archives, codename) {
        Some(archive) => Ok(archive.clone()),
        None => bail!("no archive for {codename} is configured in /etc/apt"),
    }
}

fn choose<'a>(archives: &'a [Archive], codename: &str) -> Option<&'a Archive> {
    archives
        .iter()
        .find(|archive| archive.suites.iter().any(|suite| suite == codename))
}

fn read(file: &Path) -> Vec<Archive> {
    let Ok(text) = fs::read_to_string(file) else {
        return Vec::new();
    };
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("list") => parse_lines(&text),
        Some("sources") => parse_stanzas(&text),
        _ => Vec::new(),
    }
}

/// The one-line format: `deb [signed-by=…] uri suite component…`.
fn parse_lines(text: &str) -> Vec<Archive> {
    text.lines()
        .filter_map(|line| {
            let rest = line.trim().strip_prefix("deb ")?.trim_start();
            let (options, rest) = match rest.strip_prefix('[') {
                Some(bracketed) => bracketed.split_once(']')?,
                None => ("", rest),
            };
            let mut words = rest.split_whitespace();
            Some(Archive {
                uri: words.next()?.to_owned(),
                suites: vec![words.next()?.to_owned()],
                signed_by: options
                    .split_whitespace()
                    .find_map(|option| option.strip_prefix("signed-by="))
                    .map(str::to_owned),
            })
        })
        .collect()
}

/// The deb822 format: stanzas of `Field: value` lines.
fn parse_stanzas(text: &str) -> Vec<Archive> {
    let uncommented: String = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| format!("{line}\n"))
        .collect();
    uncommented
        .split("\n\n")
        .filter_map(|stanza| {
            let field = |name: &str| {
                stanza.lines().find_map(|line| {
                    let (key, value) = line.split_once(':')?;
                    key.eq_ignore_ascii_case(name).then(|| value.trim())
                })
            };
            let enabled = field("Enabled").is_none_or(|value| value != "no");
            if !enabled || !field("Types")?.split_whitespace().any(|t| t == "deb") {
                return None;
            }
            Some(Archive {
                uri: field("URIs")?.split_whitespace().next()?.to_owned(),
                suites: field("Suites")?
                    .split_whitespace()
                    .map(str::to_owned)
                    .collect(),
                signed_by: field("Signed-By")
                    .filter(|keyring| keyring.starts_with('/'))
                    .map(str::to_owned),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANZAS: &str = "\
Types: deb
# a comment
URIs: mirror://one/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: mirror://one/debian-security
Suites: bookworm-security
Components: main
";

    #[test]
    fn the_main_archive_is_the_one_that_serves_the_release() {
        let archives = parse_stanzas(STANZAS);
        assert_eq!(archives.len(), 2);
        let main = choose(&archives, "bookworm").unwrap();
        assert_eq!(main.uri, "mirror://one/debian");
        assert_eq!(
            main.signed_by.as_deref(),
            Some("/usr/share/keyrings/debian-archive-keyring.gpg")
        );
        assert_eq!(choose(&archives, "trixie"), None);
    }

    #[test]
    fn one_line_sources_are_read_with_and_without_options() {
        let text = "# deb x y\ndeb [arch=amd64 signed-by=/k.gpg] mirror://two/d noble main\n\
                    deb-src mirror://two/d noble main\ndeb mirror://three/d jammy main universe\n";
        let archives = parse_lines(text);
        assert_eq!(archives.len(), 2);
        assert_eq!(archives[0].signed_by.as_deref(), Some("/k.gpg"));
        assert_eq!(choose(&archives, "jammy").unwrap().uri, "mirror://three/d");
    }

    #[test]
    fn libraries_are_told_from_what_depends_on_them_by_their_names() {
        assert!(is_library("libicu76") && is_library("libgssapi-krb5-2"));
        for line in [
            "  Depends: libicu76",
            "perl-base",
            "libjson-perl",
            "libc6-dev",
            "libc6:i386",
        ] {
            assert!(!is_library(line), "{line}");
        }
    }

    #[test]
    fn a_disabled_stanza_is_skipped() {
        let text = "Types: deb\nURIs: mirror://one/d\nSuites: x\nEnabled: no\n";
        assert!(parse_stanzas(text).is_empty());
    }
}
