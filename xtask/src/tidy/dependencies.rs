//! Every dependency in a manifest is preceded by a comment that says what it is for.

use super::{Complaint, File};

pub fn every_dependency_says_why(file: &File) -> Vec<Complaint> {
    if !file.path.ends_with("Cargo.toml") {
        return Vec::new();
    }
    let mut complaints = Vec::new();
    let mut in_dependencies = false;
    let mut explained = false;
    for (index, line) in file.text.lines().enumerate() {
        let line = line.trim();
        if let Some(section) = line.strip_prefix('[') {
            in_dependencies = section.trim_end_matches(']').ends_with("dependencies");
            explained = false;
        } else if line.is_empty() {
            explained = false;
        } else if line.starts_with('#') {
            explained = true;
        } else if in_dependencies
            && !explained
            && let Some((name, _)) = line.split_once('=')
        {
            let what = format!("`{}`: say in a comment above what it is for", name.trim());
            complaints.push(Complaint::new(file, index + 1, what));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::super::tests::file;
    use super::*;

    #[test]
    fn a_dependency_without_a_reason_is_found() {
        let text = "[package]\nname = \"x\"\n\n[dependencies]\n# Parses.\na = \"1\"\nb = \"2\"\n\nc = \"3\"\n";
        let found: Vec<String> = every_dependency_says_why(&file("Cargo.toml", text))
            .iter()
            .map(ToString::to_string)
            .collect();
        // One comment may stand above several lines that belong together.
        assert_eq!(
            found,
            ["Cargo.toml:9: `c`: say in a comment above what it is for"]
        );
    }
}
