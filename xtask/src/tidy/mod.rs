//! `cargo xtask tidy`: the rules of the house that no compiler checks. Also a plain test.
//!
//! A rule is a pure function from a file's path and text to complaints; each complaint names
//! `path:line` and the remedy. The driver only walks the files that git tracks or would track.

mod circles;
mod dependencies;
mod layers;
mod lints;
mod mentions;
mod text;

use crate::digests;
use crate::paths;
use crate::ui;
use anyhow::{Result, bail};
use std::fmt;
use std::process::ExitCode;
use xshell::{Shell, cmd};

/// A file of the repository.
pub struct File {
    /// Relative to the root of the checkout.
    pub path: String,
    /// Its content.
    pub text: String,
}

/// Something to put right.
#[derive(Debug, PartialEq, Eq)]
pub struct Complaint {
    path: String,
    line: usize,
    what: String,
}

impl Complaint {
    fn new(file: &File, line: usize, what: impl Into<String>) -> Self {
        Self {
            path: file.path.clone(),
            line,
            what: what.into(),
        }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

type Rule = fn(&File) -> Vec<Complaint>;

const RULES: &[Rule] = &[
    text::file_is_short,
    text::module_has_a_header,
    text::nothing_is_left_for_later,
    text::no_machine_is_named,
    text::no_whitespace_at_line_ends,
    layers::dependencies_run_downward,
    layers::code_map_is_whole,
    layers::engine_is_pure,
    lints::backend_code_is_guarded,
    layers::only_one_room_asks_for_the_version,
    dependencies::every_dependency_says_why,
];

/// Prints every complaint; fails if there is one.
pub fn run() -> Result<ExitCode> {
    let files = files()?;
    let mut complaints = complaints(&files);
    complaints.extend(digests::all()?.into_iter().map(|finding| Complaint {
        path: finding.path,
        line: finding.line,
        what: finding.what,
    }));
    for complaint in &complaints {
        println!("{complaint}");
    }
    match complaints.len() {
        0 => println!("tidy: {} files in order", files.len()),
        count => println!("tidy: {count} to put right"),
    }
    Ok(ui::exit(complaints.is_empty()))
}

fn complaints(files: &[File]) -> Vec<Complaint> {
    let of_files = files
        .iter()
        .flat_map(|file| RULES.iter().flat_map(move |rule| rule(file)));
    of_files.chain(circles::no_circle(files)).collect()
}

/// The text files that are tracked, and new ones that are not ignored.
fn files() -> Result<Vec<File>> {
    let root = paths::repository();
    let sh = Shell::new()?;
    let listed = cmd!(
        sh,
        "git -C {root} ls-files --cached --others --exclude-standard"
    )
    .read()?;
    let files: Vec<File> = listed
        .lines()
        .filter_map(|path| {
            // A binary file, or one deleted but not yet staged, has no text to judge.
            let text = std::fs::read_to_string(root.join(path)).ok()?;
            Some(File {
                path: path.to_owned(),
                text,
            })
        })
        .collect();
    if files.is_empty() {
        bail!("git lists no files in {}", root.display());
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file for a rule to judge.
    pub fn file(path: &str, text: &str) -> File {
        File {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn the_tree_is_tidy() {
        let complaints = complaints(&files().unwrap());
        let shown: Vec<String> = complaints.iter().map(ToString::to_string).collect();
        assert!(shown.is_empty(), "\n{}", shown.join("\n"));
    }

    #[test]
    fn a_complaint_can_be_clicked() {
        let complaint = Complaint::new(&file("a/b.rs", ""), 7, "does not belong here");
        assert_eq!(complaint.to_string(), "a/b.rs:7: does not belong here");
    }
}
