//! What a SQL-callable function does, read from the doc comment above it.

use anyhow::Result;
use std::collections::HashMap;
use std::fs;
use std::path::Path;

/// Doc comments of every documented function below `folder`, by function name. SQL-callable functions
/// come first where names collide.
pub fn descriptions(folder: &Path) -> Result<HashMap<String, String>> {
    let mut found = HashMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                read(&fs::read_to_string(&path)?, &mut found);
            }
        }
    }
    Ok(found
        .into_iter()
        .map(|(name, doc)| (name, doc.text))
        .collect())
}

struct Doc {
    text: String,
    callable: bool,
}

fn read(source: &str, found: &mut HashMap<String, Doc>) {
    let (mut text, mut callable) = (Vec::new(), false);
    // An attribute may run over several lines.
    let mut in_attribute = false;
    for line in source.lines().map(str::trim) {
        if in_attribute || line.starts_with("#[") {
            callable |= line.contains("pg_extern");
            in_attribute = !line.ends_with(']');
        } else if let Some(doc) = line.strip_prefix("///") {
            text.push(doc.trim());
        } else {
            if let Some(name) = function_name(line)
                && !text.is_empty()
                && (callable || !found.contains_key(name))
            {
                let known_callable = found.get(name).is_some_and(|doc| doc.callable);
                if callable || !known_callable {
                    let text = paragraphs(&text);
                    found.insert(name.to_owned(), Doc { text, callable });
                }
            }
            text.clear();
            callable = false;
        }
    }
}

fn function_name(line: &str) -> Option<&str> {
    let after = line.split_once("fn ")?;
    let before_is_modifiers = after.0.split_whitespace().all(|word| {
        word.starts_with("pub") || matches!(word, "unsafe" | "extern" | "\"C-unwind\"")
    });
    let name = after.1.split(['(', '<']).next()?.trim();
    (before_is_modifiers && !name.is_empty()).then(|| name.trim_start_matches("r#"))
}

/// Lines joined into paragraphs; an empty line separates them. List items and code keep their lines.
fn paragraphs(lines: &[&str]) -> String {
    let mut text = String::new();
    for line in lines {
        if line.is_empty() {
            text.push_str("\n\n");
        } else {
            let own_line = line.starts_with(['-', '*', '|', '`']);
            if !text.is_empty() && !text.ends_with('\n') {
                text.push(if own_line { '\n' } else { ' ' });
            }
            text.push_str(line);
        }
    }
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_comment_of_the_callable_function_wins() {
        let source = "
/// Not this one.
pub fn refresh() {}
/// Refreshes a stream table.
/// All of it.
///
/// Twice.
#[pg_extern(
    name = \"x\"
)]
fn refresh(name: &str) {}
/// Nor this one.
fn refresh() {}
fn undocumented() {}
";
        let mut found = HashMap::new();
        read(source, &mut found);
        assert_eq!(found.len(), 1);
        assert_eq!(
            found["refresh"].text,
            "Refreshes a stream table. All of it.\n\nTwice."
        );
    }
}
