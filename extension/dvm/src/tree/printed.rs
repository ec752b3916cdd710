//! Reading expressions that the server printed with `$n` where columns stand.

use super::column::{ColumnId, ColumnType};
use super::expr::{Expr, Part};

impl Expr {
    /// Splits printed text at its parameters: `$n` stands for the column with identity `n`.
    ///
    /// String literals and quoted identifiers are skipped. A literal that contains a backslash is
    /// rewritten as `E'…'`, so that the text means the same whatever
    /// `standard_conforming_strings` says when it is read again.
    pub fn from_printed(text: &str, ty: ColumnType, nullable: bool) -> Self {
        Self {
            parts: split(text),
            ty,
            nullable,
        }
    }
}

/// Text and holes of a printed expression.
fn split(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut sql = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let (taken, after) = match next {
            '\'' | '"' => rest.split_at(quoted_length(rest, next)),
            '$' => match parameter(rest) {
                Some((id, length)) => {
                    if !sql.is_empty() {
                        parts.push(Part::Sql(std::mem::take(&mut sql)));
                    }
                    parts.push(Part::Column(id));
                    rest = &rest[length..];
                    continue;
                }
                None => rest.split_at(1),
            },
            _ if is_word(next) => rest.split_at(word_length(rest)),
            _ => rest.split_at(next.len_utf8()),
        };
        if next == '\'' && taken.contains('\\') && !sql.ends_with(['E', 'e']) {
            sql.push('E');
            sql.push_str(&taken.replace('\\', "\\\\"));
        } else {
            sql.push_str(taken);
        }
        rest = after;
    }
    if !sql.is_empty() || parts.is_empty() {
        parts.push(Part::Sql(sql));
    }
    parts
}

/// Length of the quoted text at the start of `text`, quotes included; a doubled quote is one
/// character of the content.
fn quoted_length(text: &str, quote: char) -> usize {
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        if character == quote {
            match characters.peek() {
                Some((_, again)) if *again == quote => {
                    characters.next();
                }
                _ => return at + 1,
            }
        }
    }
    text.len()
}

/// The parameter at the start of `text` and its length.
fn parameter(text: &str) -> Option<(ColumnId, usize)> {
    let digits = text[1..]
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len() - 1);
    let id = text[1..1 + digits].parse().ok()?;
    Some((ColumnId(id), 1 + digits))
}

/// Length of the identifier, keyword or number at the start of `text`: they may contain `$`.
fn word_length(text: &str) -> usize {
    text.find(|c| !is_word(c) && c != '$').unwrap_or(text.len())
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_' || !character.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sql(text: &str) -> Part {
        Part::Sql(text.into())
    }

    fn column(id: u32) -> Part {
        Part::Column(ColumnId(id))
    }

    #[test]
    fn parameters_become_holes() {
        assert_eq!(
            split("($1 + $23) * 2"),
            [sql("("), column(1), sql(" + "), column(23), sql(") * 2")]
        );
    }

    #[test]
    fn a_bare_parameter_is_a_bare_column() {
        assert_eq!(split("$7"), [column(7)]);
    }

    #[test]
    fn parameters_next_to_casts_and_brackets_are_found() {
        assert_eq!(
            split("$1::text || ($2)[1]"),
            [column(1), sql("::text || ("), column(2), sql(")[1]")]
        );
    }

    #[test]
    fn dollars_inside_literals_are_text() {
        assert_eq!(
            split("'costs $1, isn''t it $2' || $3"),
            [sql("'costs $1, isn''t it $2' || "), column(3)]
        );
    }

    #[test]
    fn dollars_inside_identifiers_are_text() {
        assert_eq!(
            split("\"a\"\"$1\".f$2(b$3, $4)"),
            [sql("\"a\"\"$1\".f$2(b$3, "), column(4), sql(")")]
        );
    }

    #[test]
    fn letters_outside_ascii_are_identifier_characters() {
        assert_eq!(split("é$1"), [sql("é$1")]);
    }

    #[test]
    fn backslashes_become_escapes() {
        assert_eq!(
            split(r"$1 ~ 'a\d''\$2'"),
            [column(1), sql(r" ~ E'a\\d''\\$2'")]
        );
    }

    #[test]
    fn an_escape_literal_stays() {
        assert_eq!(split(r"E'a\\b'"), [sql(r"E'a\\b'")]);
    }

    #[test]
    fn a_dollar_without_digits_is_text() {
        assert_eq!(split("$ $x"), [sql("$ $x")]);
    }

    #[test]
    fn unterminated_literals_do_not_panic() {
        assert_eq!(split("'abc$1"), [sql("'abc$1")]);
        assert_eq!(split(""), [sql("")]);
    }

    #[test]
    fn whole_text_survives_rendering() {
        let text = "CASE WHEN $1 = 'x $2' THEN \"q$3\" ELSE $4 END";
        let ty = ColumnType {
            sql: "text".into(),
            collation: None,
            equality: String::new(),
            image_equality: true,
            sortable: true,
            reads_back: false,
            hashable: true,
            bounded: false,
        };
        let expr = Expr::from_printed(text, ty, true);
        assert_eq!(expr.render(|id| format!("${}", id.0)), text);
    }
}
