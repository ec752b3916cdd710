//! The paths that a text of Rust mentions, imports one by one.

/// Words, as `::` separates them.
pub type Path<'a> = Vec<&'a str>;

/// A path in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention<'a> {
    /// It.
    pub path: Path<'a>,
    /// Whether `use` says it.
    pub is_import: bool,
    /// Whether `pub use` does.
    pub is_public: bool,
    /// The line.
    pub line: usize,
}

/// The text without the tests that stand in it.
pub fn code(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or(text)
}

/// The paths of imports, and those with `::` in the code.
pub fn mentioned(code: &str) -> Vec<Mention<'_>> {
    let tokens = tokens(code);
    let token = |at: usize| tokens.get(at).map_or(";", |(token, _)| *token);
    let line = |at: usize| tokens.get(at).map_or(0, |(_, line)| *line);
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let before = at.checked_sub(1).map_or(";", token);
        if token(at) == "use" && [";", "{", "}", "]", ")", "pub"].contains(&before) {
            let (mut paths, line) = (Vec::new(), line(at));
            at = branch(&tokens, at + 1, Vec::new(), &mut paths);
            found.extend(paths.into_iter().map(|path| Mention {
                path,
                is_import: true,
                is_public: ["pub", ")"].contains(&before),
                line,
            }));
        } else if is_word(token(at)) && token(at + 1) == "::" {
            let (mut path, line) = (vec![token(at)], line(at));
            while token(at + 1) == "::" && is_word(token(at + 2)) {
                path.push(token(at + 2));
                at += 2;
            }
            found.push(Mention {
                path,
                is_import: false,
                is_public: false,
                line,
            });
        }
        at += 1;
    }
    found
}

/// Reads one branch of a `use`; returns where it ends.
fn branch<'a>(
    tokens: &[(&'a str, usize)],
    mut at: usize,
    mut path: Path<'a>,
    found: &mut Vec<Path<'a>>,
) -> usize {
    while let Some((token, _)) = tokens.get(at) {
        match *token {
            "," | ";" | "}" => break,
            "{" => {
                while !matches!(tokens.get(at), None | Some(("}", _))) {
                    at += 1;
                    // A comma may come after the last branch.
                    if !matches!(tokens.get(at), Some(("}", _))) {
                        at = branch(tokens, at, path.clone(), found);
                    }
                }
                return at + 1;
            }
            "as" => at += 1,
            "self" if !path.is_empty() => {}
            word if is_word(word) => path.push(word),
            _ => {}
        }
        at += 1;
    }
    if !path.is_empty() {
        found.push(path);
    }
    at
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// Words, `::` and single signs, without comments, with their lines.
fn tokens(code: &str) -> Vec<(&str, usize)> {
    let mut tokens = Vec::new();
    for (number, line) in (1..).zip(code.lines()) {
        let mut rest = line.split("//").next().unwrap_or(line);
        while let Some(first) = rest.chars().next() {
            let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let end = match first {
                _ if is_part(first) => rest.find(|c| !is_part(c)).unwrap_or(rest.len()),
                ':' if rest.starts_with("::") => 2,
                _ => first.len_utf8(),
            };
            let (token, after) = rest.split_at(end);
            if !first.is_whitespace() {
                tokens.push((token, number));
            }
            rest = after;
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(code: &str) -> Vec<String> {
        let path = |mention: Mention<'_>| match (mention.is_import, mention.is_public) {
            (_, true) => format!("pub use {}", mention.path.join("::")),
            (true, _) => format!("use {}", mention.path.join("::")),
            _ => mention.path.join("::"),
        };
        mentioned(code).into_iter().map(path).collect()
    }

    #[test]
    fn imports_are_taken_apart() {
        let code =
            "use crate::{\n    a::{self, B as C},\n    d::*, // and e::f\n};\npub use g::H;\n";
        assert_eq!(
            shown(code),
            [
                "use crate::a",
                "use crate::a::B",
                "use crate::d",
                "pub use g::H"
            ]
        );
    }

    #[test]
    fn paths_in_code_are_found() {
        let code = "fn f() -> a::B {\n    super::c::d(e.f, g::<H>())\n}\n";
        assert_eq!(shown(code), ["a::B", "super::c::d", "g"]);
    }
}
