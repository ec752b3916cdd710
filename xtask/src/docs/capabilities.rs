//! The tables of what can be maintained, read from the extension's own table of capabilities.

use anyhow::{Result, ensure};
use std::fmt::Write;

/// One construct.
#[derive(Debug, PartialEq, Eq)]
struct Capability {
    code: String,
    area: String,
    kind: Kind,
    /// Title, then how; or reason and remedy; then an example.
    texts: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Maintained,
    FullOnly,
    Refused,
}

/// The constructs in this source file.
fn constructs(source: &str) -> Result<Vec<Capability>> {
    let capabilities = read(source);
    ensure!(
        capabilities.len() > 20,
        "the table of capabilities has another form now"
    );
    Ok(capabilities)
}

/// Headings of the areas, in order.
const AREAS: [(&str, &str); 6] = [
    ("Source", "What is read"),
    ("Join", "Joins"),
    ("Expression", "Expressions"),
    ("Aggregate", "Groups, aggregates and windows"),
    ("Query", "Whole queries"),
    ("Security", "Who may read what"),
];

/// Each construct with its example. The test `capabilities` of the harness reads this form.
pub fn examples(source: &str) -> Result<String> {
    let capabilities = constructs(source)?;
    let mut text = String::new();
    for (area, heading) in AREAS {
        writeln!(text, "## {heading}\n")?;
        for capability in capabilities.iter().filter(|c| c.area == area) {
            capability.write_section(&mut text)?;
        }
    }
    Ok(text)
}

/// Markdown for the constructs in this source file.
pub fn table(source: &str) -> Result<String> {
    let capabilities = constructs(source)?;
    let of = |kind| {
        capabilities
            .iter()
            .filter(move |capability| capability.kind == kind)
    };
    let mut text = String::from("## Maintained incrementally\n\n| construct | how |\n|---|---|\n");
    for capability in of(Kind::Maintained) {
        writeln!(text, "| {} | {} |", capability.text(0), capability.text(1))?;
    }
    text.push_str(
        "\n## Recomputed\n\nIn `AUTO`; refused in `DIFFERENTIAL`. The code is what `explain_capabilities` \
         and the mode's reason show.\n\n| construct | code | reason | instead |\n|---|---|---|---|\n",
    );
    for capability in of(Kind::FullOnly) {
        capability.write_row(&mut text)?;
    }
    text.push_str("\n## Refused\n\n| construct | code | reason | instead |\n|---|---|---|---|\n");
    for capability in of(Kind::Refused) {
        capability.write_row(&mut text)?;
    }
    Ok(text)
}

impl Capability {
    fn text(&self, index: usize) -> &str {
        self.texts.get(index).map_or("", String::as_str)
    }

    fn write_section(&self, text: &mut String) -> std::fmt::Result {
        let (word, example) = match self.kind {
            Kind::Maintained => ("maintained", self.text(2)),
            Kind::FullOnly => ("recomputed", self.text(3)),
            Kind::Refused => ("refused", self.text(3)),
        };
        writeln!(text, "### {}\n", self.text(0))?;
        write!(text, "`{}` · **{word}**: {}.", self.code, self.text(1))?;
        if self.kind != Kind::Maintained {
            write!(text, " Instead: {}.", self.text(2))?;
        }
        text.push_str("\n\n");
        if !example.is_empty() {
            writeln!(text, "```sql\n{};\n```\n", example.replace("\\|", "|"))?;
        }
        Ok(())
    }

    fn write_row(&self, text: &mut String) -> std::fmt::Result {
        writeln!(
            text,
            "| {} | `{}` | {} | {} |",
            self.text(0),
            self.code,
            self.text(1),
            self.text(2)
        )
    }
}

/// The rows `CODE: Area, "title", Kind { field: "text" }, "example";` of the macro call.
fn read(source: &str) -> Vec<Capability> {
    let Some((_, rows)) = source.split_once("\ncapabilities! {") else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let (mut code, mut texts) = (String::new(), Vec::new());
    let mut letters = rows.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => texts.push(literal(&mut letters)),
            ';' => {
                if let Some(capability) = row(&code, std::mem::take(&mut texts)) {
                    found.push(capability);
                }
                code.clear();
            }
            _ => code.push(letter),
        }
    }
    found
}

fn row(code: &str, texts: Vec<String>) -> Option<Capability> {
    let kind = [
        ("Maintained", Kind::Maintained),
        ("FullOnly", Kind::FullOnly),
        ("Refused", Kind::Refused),
    ]
    .into_iter()
    .find(|(word, _)| code.contains(word))?
    .1;
    let (code, rest) = code.split_once(':')?;
    Some(Capability {
        code: code.trim().to_owned(),
        area: rest.split(',').next()?.trim().to_owned(),
        kind,
        texts,
    })
}

/// The rest of a string literal; a backslash at the end of a line joins it with the next.
fn literal(letters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
    let mut text = String::new();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => break,
            '\\' if letters.peek() == Some(&'\n') => {
                while letters.next_if(|next| next.is_whitespace()).is_some() {}
            }
            '\\' => text.extend(letters.next()),
            '|' => text.push_str("\\|"),
            _ => text.push(letter),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_across_lines_and_escapes() {
        let source = r#"
macro_rules! capabilities { }
capabilities! {
    ONE: Source, "tables; all of them",
        Maintained { how: "by \"triggers\"" },
        "SELECT 1";
    TWO: Join, "outer joins",
        FullOnly {
            reason: "not \
                     yet",
            remedy: "inner",
        },
        "SELECT 2";
}"#;
        let found = read(source);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].code, "ONE");
        assert_eq!(found[0].area, "Source");
        assert_eq!(
            found[0].texts[..2],
            ["tables; all of them", "by \"triggers\""]
        );
        assert_eq!(found[1].kind, Kind::FullOnly);
        assert_eq!(found[1].texts[1..3], ["not yet", "inner"]);
    }
}
