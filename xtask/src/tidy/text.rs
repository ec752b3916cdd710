//! Rules about the text of a file: its length, its header, and words that must not be in it.

use super::{Complaint, File};

/// More lines than this, and there is a second idea in the file.
const MAX_LINES: usize = 500;

/// Sites that documentation may point to. Everything else is a mirror or a machine.
const LINKABLE: &[&str] = &[
    "www.debian.org",
    "www.postgresql.org",
    "wiki.postgresql.org",
    "docs.rs",
    "doc.rust-lang.org",
    "github.com",
    "www.tpc.org",
    "www.w3.org",
    // Every machine to itself.
    "localhost",
];

pub fn file_is_short(file: &File) -> Vec<Complaint> {
    let lines = file.text.lines().count();
    if !file.path.ends_with(".rs") || lines <= MAX_LINES {
        return Vec::new();
    }
    let what = format!("{lines} lines; over {MAX_LINES}, split off the second idea");
    vec![Complaint::new(file, 1, what)]
}

pub fn module_has_a_header(file: &File) -> Vec<Complaint> {
    if !file.path.ends_with(".rs") || file.text.starts_with("//!") {
        return Vec::new();
    }
    let what = "no header; begin with `//!` and say what lives here";
    vec![Complaint::new(file, 1, what)]
}

pub fn nothing_is_left_for_later(file: &File) -> Vec<Complaint> {
    if !file.path.ends_with(".rs") {
        return Vec::new();
    }
    // Put together here so that this file passes its own rule.
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
        concat!("to", "do!("),
        concat!("un", "implemented!("),
    ];
    matching_lines(file, |line| {
        marks.into_iter().find(|mark| line.contains(mark))
    })
    .map(|(line, mark)| Complaint::new(file, line, format!("`{mark}`; do it now or file an issue")))
    .collect()
}

pub fn no_machine_is_named(file: &File) -> Vec<Complaint> {
    if file.path.ends_with(".lock") {
        return Vec::new();
    }
    matching_lines(file, |line| {
        let homes = [
            concat!("/ro", "ot/"),
            concat!("/ho", "me/"),
            concat!("/wo", "rk/"),
        ];
        homes
            .into_iter()
            .find(|home| line.contains(home))
            .map(str::to_owned)
            .or_else(|| foreign_host(line))
    })
    .map(|(line, found)| {
        let what = format!("`{found}` names a machine; derive it from the environment");
        Complaint::new(file, line, what)
    })
    .collect()
}

/// The host of the first address in the line that documentation may not point to.
fn foreign_host(line: &str) -> Option<String> {
    line.match_indices("://")
        .filter(|(at, _)| line[..*at].ends_with("http") || line[..*at].ends_with("https"))
        .map(|(at, mark)| {
            line[at + mark.len()..]
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))
                .collect::<String>()
        })
        .find(|host| !host.is_empty() && !LINKABLE.contains(&host.as_str()))
}

pub fn no_whitespace_at_line_ends(file: &File) -> Vec<Complaint> {
    matching_lines(file, |line| line.ends_with([' ', '\t']).then_some(()))
        .map(|(line, ())| Complaint::new(file, line, "whitespace at the end of the line"))
        .collect()
}

/// The numbers of the lines in which `find` finds something, and what.
fn matching_lines<'a, T>(
    file: &'a File,
    find: impl Fn(&'a str) -> Option<T>,
) -> impl Iterator<Item = (usize, T)> {
    file.text
        .lines()
        .enumerate()
        .filter_map(move |(index, line)| Some((index + 1, find(line)?)))
}

#[cfg(test)]
mod tests {
    use super::super::tests::file;
    use super::*;

    #[test]
    fn a_long_file_is_told_to_split() {
        let long = file("a.rs", &"x\n".repeat(MAX_LINES + 1));
        assert_eq!(
            file_is_short(&long)[0].to_string(),
            "a.rs:1: 501 lines; over 500, split off the second idea"
        );
        assert!(file_is_short(&file("a.rs", &"x\n".repeat(MAX_LINES))).is_empty());
    }

    #[test]
    fn a_module_without_header_is_found() {
        assert_eq!(module_has_a_header(&file("a.rs", "use x;\n")).len(), 1);
        assert!(module_has_a_header(&file("a.rs", "//! About x.\n")).is_empty());
        assert!(module_has_a_header(&file("a.md", "text\n")).is_empty());
    }

    #[test]
    fn a_mark_for_later_is_found_with_its_line() {
        let marked = file("a.rs", concat!("fn a() {\n    to", "do!()\n}\n"));
        assert_eq!(nothing_is_left_for_later(&marked)[0].line, 2);
    }

    #[test]
    fn machines_and_mirrors_are_found_but_documentation_is_not() {
        let found = |text: &str| no_machine_is_named(&file("a.md", text)).len();
        assert_eq!(found(concat!("see https", "://mirror.example/debian")), 1);
        assert_eq!(found("see https://www.postgresql.org/docs/18/"), 0);
        assert_eq!(found(concat!("cd /wo", "rk/x")), 1);
        assert_eq!(found("the artwork/x folder"), 0);
    }
}
