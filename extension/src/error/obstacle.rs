//! Why a refresh mode cannot maintain a query, and what to do about it.

/// A construct of a query that a refresh mode cannot maintain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// Stable name of the construct, as `explain_capabilities` lists it.
    pub code: String,
    /// Why it cannot be maintained.
    pub reason: String,
    /// What the user can do.
    pub remedy: String,
}

impl Obstacle {
    /// One line per reason, with the code.
    pub fn reasons(obstacles: &[Obstacle]) -> String {
        lines(
            obstacles
                .iter()
                .map(|o| format!("{} ({}).", o.reason, o.code)),
        )
    }

    /// One sentence per remedy.
    pub fn remedies(obstacles: &[Obstacle]) -> String {
        lines(obstacles.iter().map(|o| sentence(&o.remedy)))
    }
}

/// Lines, each once and none empty.
fn lines(texts: impl Iterator<Item = String>) -> String {
    let mut lines: Vec<String> = Vec::new();
    for text in texts {
        if !text.is_empty() && !lines.contains(&text) {
            lines.push(text);
        }
    }
    lines.join("\n")
}

/// A clause with a capital at its beginning and a full stop at its end.
fn sentence(clause: &str) -> String {
    let mut letters = clause.chars();
    match letters.next() {
        None => String::new(),
        Some(first) => {
            let stop = if clause.ends_with('.') { "" } else { "." };
            format!("{}{}{stop}", first.to_uppercase(), letters.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::sentence;

    #[test]
    fn a_clause_becomes_a_sentence() {
        assert_eq!(sentence("add an index"), "Add an index.");
        assert_eq!(sentence("Done."), "Done.");
        assert_eq!(sentence(""), "");
    }
}
