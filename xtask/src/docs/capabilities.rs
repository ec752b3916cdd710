//! The tables of what can be maintained, printed from the extension's own table of capabilities.

use std::fmt::{Result, Write};

use pgtrickle_dvm::capability::{ALL, Area, Capability, Support};

/// Headings of the areas, in order.
const AREAS: [(Area, &str); 6] = [
    (Area::Source, "What is read"),
    (Area::Join, "Joins"),
    (Area::Expression, "Expressions"),
    (Area::Aggregate, "Groups, aggregates and windows"),
    (Area::Query, "Whole queries"),
    (Area::Security, "Who may read what"),
];

/// Headings of what is not maintained, with the word for it and a sentence.
const OBSTACLES: [(&str, &str, &str); 3] = [
    (
        "recomputed",
        "Recomputed",
        "In `AUTO`; refused in `DIFFERENTIAL`. The code is what `explain_capabilities` and the mode's reason show.",
    ),
    (
        "not immediate",
        "Refused in IMMEDIATE",
        "Maintained in `DIFFERENTIAL`.",
    ),
    ("refused", "Refused", ""),
];

/// Each construct with its example. The test `capabilities` of the harness reads this form.
pub fn examples() -> std::result::Result<String, std::fmt::Error> {
    let mut text = String::new();
    for (area, heading) in AREAS {
        writeln!(text, "## {heading}\n")?;
        for capability in ALL.iter().filter(|c| c.area == area) {
            section(&mut text, capability)?;
        }
    }
    Ok(text)
}

/// Markdown for all constructs.
pub fn table() -> std::result::Result<String, std::fmt::Error> {
    let mut text = String::from("## Maintained incrementally\n\n| construct | how |\n|---|---|\n");
    for capability in ALL {
        if let Support::Maintained { how } = capability.support {
            writeln!(text, "| {} | {} |", cell(capability.title), cell(how))?;
        }
    }
    for (word, heading, sentence) in OBSTACLES {
        write!(text, "\n## {heading}\n\n")?;
        if !sentence.is_empty() {
            write!(text, "{sentence}\n\n")?;
        }
        text.push_str("| construct | code | reason | instead |\n|---|---|---|---|\n");
        for capability in ALL {
            let (said, reason, remedy) = verdict(capability.support);
            if said == word {
                let (title, code) = (cell(capability.title), capability.code);
                let (reason, remedy) = (cell(reason), cell(remedy));
                writeln!(text, "| {title} | `{code}` | {reason} | {remedy} |")?;
            }
        }
    }
    Ok(text)
}

/// The word for it, how or why, and what to do instead.
fn verdict(support: Support) -> (&'static str, &'static str, &'static str) {
    match support {
        Support::Maintained { how } => ("maintained", how, ""),
        Support::NotImmediate { reason, remedy } => ("not immediate", reason, remedy),
        Support::FullOnly { reason, remedy } => ("recomputed", reason, remedy),
        Support::Refused { reason, remedy } => ("refused", reason, remedy),
    }
}

fn section(text: &mut String, capability: &Capability) -> Result {
    let (word, reason, remedy) = verdict(capability.support);
    writeln!(text, "### {}\n", cell(capability.title))?;
    write!(
        text,
        "`{}` · **{word}**: {}.",
        capability.code,
        cell(reason)
    )?;
    if !remedy.is_empty() {
        write!(text, " Instead: {}.", cell(remedy))?;
    }
    text.push_str("\n\n");
    if !capability.example.is_empty() {
        writeln!(text, "```sql\n{};\n```\n", capability.example)?;
    }
    Ok(())
}

/// The text in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_construct_has_a_row_and_a_section() {
        let (table, examples) = (table().unwrap(), examples().unwrap());
        for capability in ALL {
            let title = format!("| {} |", cell(capability.title));
            assert!(table.contains(&title), "{title}");
            let code = format!("`{}` · **", capability.code);
            assert!(examples.contains(&code), "{code}");
        }
    }
}
