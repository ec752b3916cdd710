//! `cargo xtask docs`: the generated tables of the documentation.
//!
//! Signatures and settings are read from a running server, so they are what users get; what a function
//! does is its `COMMENT`, or its Rust doc comment. What the metrics are, crate `monitoring` knows. A table stands between two marker lines and is
//! replaced as a whole; `--check` only compares, which `cargo xtask test` does.

mod capabilities;
mod source;

use crate::build;
use crate::cluster::{self, DATABASE};
use crate::paths;
use crate::setup::Machine;
use anyhow::{Context, Result, bail};
use harness::client::{Row, Session};
use std::fmt::Write;
use std::fs;

/// Options of `cargo xtask docs`.
#[derive(clap::Args)]
pub struct Options {
    /// Change nothing; fail if something would change
    #[arg(long)]
    pub check: bool,
}

struct Table {
    file: &'static str,
    marker: &'static str,
    text: String,
}

/// Regenerates or compares every table.
pub fn run(machine: &Machine, options: &Options) -> Result<()> {
    let cluster = cluster::start(
        machine,
        &build::Options::default(),
        &[("shared_preload_libraries", "pg_trickle")],
    )?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let tables = runtime.block_on(async {
        let session = Session::connect(&cluster, DATABASE).await?;
        anyhow::Ok([
            Table {
                file: "docs/sql-reference.md",
                marker: "functions",
                text: functions(&session).await?,
            },
            Table {
                file: "docs/CONFIGURATION.md",
                marker: "settings",
                text: settings(&session).await?,
            },
            Table {
                file: "docs/LIMITATIONS.md",
                marker: "capabilities",
                text: capabilities::table()?,
            },
            Table {
                file: "docs/SQL_SUPPORT.md",
                marker: "examples",
                text: capabilities::examples()?,
            },
        ])
    })?;
    let mut stale = Vec::new();
    for table in &tables {
        let path = paths::repository().join(table.file);
        let old = fs::read_to_string(&path).with_context(|| format!("no {}", table.file))?;
        let new = replace(&old, table.marker, &table.text)
            .with_context(|| format!("{} has no marker `{}`", table.file, table.marker))?;
        if new == old {
            continue;
        }
        stale.push(table.file);
        if !options.check {
            fs::write(&path, new)?;
        }
    }
    for file in monitoring::files() {
        let path = paths::repository().join(file.path);
        if fs::read_to_string(&path).is_ok_and(|old| old == file.text) {
            continue;
        }
        stale.push(file.path);
        if !options.check {
            fs::write(&path, file.text)?;
        }
    }
    match (stale.is_empty(), options.check) {
        (true, _) => println!("docs: up to date"),
        (false, false) => println!("docs: wrote {}", stale.join(", ")),
        (false, true) => bail!("stale: {}; run cargo xtask docs", stale.join(", ")),
    }
    Ok(())
}

async fn functions(session: &Session) -> Result<String> {
    let rows = session
        .rows(
            "SELECT p.proname,
                    pg_get_function_arguments(p.oid),
                    pg_get_function_result(p.oid),
                    obj_description(p.oid, 'pg_proc')
             FROM pg_proc p
             WHERE p.pronamespace = 'pgtrickle'::regnamespace
               AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
               AND p.proname NOT LIKE '\\_%'
             ORDER BY p.proname, 2",
        )
        .await?;
    let described = source::descriptions(&paths::repository().join("extension/src"))?;
    let mut text = String::new();
    for row in &rows {
        let [name, arguments, result, comment] = [0, 1, 2, 3].map(|column| cell(row, column));
        let (arguments, result) = signature(arguments, result);
        writeln!(text, "### `{name}`\n")?;
        writeln!(
            text,
            "```sql signature\npgtrickle.{name}({arguments})\n    RETURNS {result}\n```\n"
        )?;
        match (described.get(name), comment) {
            (Some(description), "") => writeln!(text, "{description}\n")?,
            (None, "") => bail!("`{name}` has neither a comment nor a doc comment"),
            (_, comment) => writeln!(text, "{}\n", sentence(comment))?,
        }
    }
    Ok(text)
}

/// Moves OUT parameters to the result, where they read better.
fn signature(arguments: &str, result: &str) -> (String, String) {
    match arguments.find("OUT ") {
        Some(at) => {
            let columns = arguments[at..].replace("OUT ", "");
            let inputs = arguments[..at].trim_end_matches([',', ' ']);
            (inputs.to_owned(), format!("TABLE({columns})"))
        }
        None => (arguments.to_owned(), result.to_owned()),
    }
}

/// A server comment as a sentence.
fn sentence(comment: &str) -> String {
    let mut letters = comment.chars();
    match letters.next() {
        Some(first) => format!(
            "{}{}.",
            first.to_uppercase(),
            letters.as_str().trim_end_matches('.')
        ),
        None => String::new(),
    }
}

async fn settings(session: &Session) -> Result<String> {
    session.execute("LOAD 'pg_trickle'").await?;
    let rows = session
        .rows(
            "SELECT name, coalesce(nullif(boot_val, ''), '''''') || coalesce(' ' || unit, ''),
                    CASE vartype WHEN 'enum' THEN array_to_string(enumvals, ', ')
                                 WHEN 'bool' THEN 'on, off'
                                 WHEN 'string' THEN 'text'
                                 ELSE min_val || ' – ' || max_val END,
                    context, short_desc || coalesce(' ' || extra_desc, '')
             FROM pg_settings WHERE name LIKE 'pg\\_trickle.%' ORDER BY name",
        )
        .await?;
    let mut text =
        String::from("| setting | default | values | who may change it | what it does |\n");
    text.push_str("|---|---|---|---|---|\n");
    for row in &rows {
        let [name, default, values, context, what] =
            [0, 1, 2, 3, 4].map(|column| cell(row, column));
        writeln!(
            text,
            "| `{name}` | `{default}` | {values} | {context} | {what} |"
        )?;
    }
    Ok(text)
}

fn cell(row: &Row, column: usize) -> &str {
    row.get(column).and_then(Option::as_deref).unwrap_or("")
}

/// The text with what stands between the markers replaced.
fn replace(text: &str, marker: &str, with: &str) -> Option<String> {
    let begin = format!("<!-- generated by cargo xtask docs: {marker} -->\n");
    let end = "<!-- end of generated -->";
    let from = text.find(&begin)? + begin.len();
    let to = from + text[from..].find(end)?;
    Some(format!(
        "{}\n{}\n\n{}",
        &text[..from],
        with.trim(),
        &text[to..]
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn out_parameters_are_shown_as_columns_of_the_result() {
        let shown = signature("name text, OUT a text, OUT b bigint", "SETOF record");
        assert_eq!(
            shown,
            ("name text".into(), "TABLE(a text, b bigint)".into())
        );
        let shown = signature("name text", "text");
        assert_eq!(shown, ("name text".into(), "text".into()));
    }

    #[test]
    fn only_what_stands_between_the_markers_is_replaced_and_only_once() {
        let text =
            "a\n<!-- generated by cargo xtask docs: x -->\nold\n<!-- end of generated -->\nb\n";
        let new = replace(text, "x", "new\n").unwrap();
        assert_eq!(
            new,
            "a\n<!-- generated by cargo xtask docs: x -->\n\nnew\n\n<!-- end of generated -->\nb\n"
        );
        assert_eq!(replace(&new, "x", "new\n").unwrap(), new);
        assert_eq!(replace(text, "y", "new"), None);
    }
}
