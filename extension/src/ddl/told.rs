//! Server messages name internal objects: views and state tables, change buffers, indexes. Users do not know
//! these, so the messages name the stream table, or the table whose changes wait, instead.

use pgrx::pg_sys;

use super::internal_view::STATE_SCHEMA;
use crate::catalog;
use crate::pg::depend::describe_relation;
use crate::pg::error_detail::Words;
use crate::pg::name;

/// The schema of change buffers.
const CHANGES_SCHEMA: &str = "pgtrickle_changes";

/// What CASCADE is no help for.
const HINT: &str = "CASCADE does not help, since refreshes find rows by an index that needs it. Drop the stream table first, \
                    or give it another query.";

/// A name of an internal object in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part<'a> {
    /// Where it begins, with its schema and a quote.
    from: usize,
    /// Where it ends.
    to: usize,
    /// A column of it that is named with it.
    column: Option<&'a str>,
    owner: Owner,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    /// The stream table with this id.
    StreamTable(i64),
    /// The table with this OID, whose changes are captured.
    Source(u32),
}

/// The replacement for words that name parts of stream tables; `None` if they do not.
pub fn without_parts(words: &Words) -> Option<Words> {
    let detail = words.detail.as_deref().unwrap_or_default();
    let (mut lines, mut owners, mut is_indexed) = (Vec::new(), Vec::new(), false);
    for line in detail.lines() {
        match part_in(line) {
            None => lines.push(line.to_owned()),
            Some(part) if is_object(line, part) => lines.push(line.to_owned()),
            Some(part) => {
                is_indexed |= line.contains("pgt_key_")
                    || line.contains("pgt_partition_")
                    || line.contains("_idx");
                owners.push(part.owner);
            }
        }
    }
    let message = without_part(&words.message);
    if owners.is_empty() && message.is_none() {
        return None;
    }
    owners.sort_unstable();
    owners.dedup();
    for owner in owners {
        let Some((what, name)) = described(owner) else {
            continue;
        };
        if !lines.iter().any(|line| mentions(line, &name)) {
            lines.push(match words.is_error {
                true => format!("{what}{name} depends on it"),
                false => format!("drop cascades to {what}{name}"),
            });
        }
    }
    Some(Words {
        message: message.unwrap_or_else(|| words.message.clone()),
        detail: words.detail.is_some().then(|| lines.join("\n")),
        hint: match is_indexed && words.is_error {
            true => Some(HINT.to_owned()),
            false => words.hint.clone(),
        },
        is_error: words.is_error,
    })
}

/// Whether this is the name of an index that is beside its stream table, where users see it.
fn is_key_index(name: &str) -> bool {
    let name = name.trim_matches('"');
    name.starts_with("pgt_key_") || name.starts_with("pgt_partition_")
}

/// Whether the part is an index that something else depends on.
fn is_object(line: &str, part: Part<'_>) -> bool {
    let verb = line.find(" depends on ");
    verb.is_some_and(|verb| verb < part.from)
        && line.get(part.from..part.to).is_some_and(is_key_index)
}

/// Whether a line names the object, and not one whose name only begins alike.
fn mentions(line: &str, object: &str) -> bool {
    line.match_indices(object).any(|(at, _)| {
        let after = line.get(at + object.len()..).unwrap_or_default();
        !after.starts_with(|next: char| next.is_alphanumeric() || next == '_' || next == '.')
    })
}

/// What an owner is, and its description by the server.
fn described(owner: Owner) -> Option<(&'static str, String)> {
    match owner {
        Owner::StreamTable(id) => {
            let table = catalog::load(id).ok().flatten()?;
            Some(("stream ", describe_relation(table.relid)?))
        }
        Owner::Source(oid) => Some(("capture of ", describe_relation(pg_sys::Oid::from(oid))?)),
    }
}

/// A single message with the owner in the place of its part.
fn without_part(message: &str) -> Option<String> {
    let part = part_in(message)?;
    let (before, after) = (message.get(..part.from)?, message.get(part.to..)?);
    let quoted = |text: &str| format!("\"{text}\"");
    let (before, instead) = match part.owner {
        Owner::StreamTable(id) => {
            let table = catalog::load(id).ok().flatten()?;
            let whole = format!("stream table {}", quoted(&table.plain_name()));
            let index = message.get(part.from..part.to)?;
            if is_key_index(index) {
                let is_told = after.starts_with(" of stream table ");
                return (!is_told).then(|| format!("{before}{index} of {whole}{after}"));
            }
            let kinds = ["column ", "table ", "view ", "index "];
            let kind = kinds.iter().find_map(|kind| before.strip_suffix(kind));
            let names_whole =
                describe_relation(table.relid).is_some_and(|name| mentions(after, &name));
            let whole = match names_whole {
                true => format!("a part of {whole}"),
                false => whole,
            };
            (kind.unwrap_or(before).to_owned(), whole)
        }
        Owner::Source(oid) => {
            let source = pg_sys::Oid::from(oid);
            let table = name::relation_name(source)?;
            let column = |text: &str| {
                let number = text.strip_prefix('a')?.parse().ok()?;
                name::column_name(source, number)
            };
            match part.column.and_then(column) {
                Some(column) => (before.to_owned(), quoted(&format!("{table}.{column}"))),
                None => {
                    // column "a2" of table "changes_16400", with quotes or without
                    let head = before.strip_suffix(" of table ");
                    let named = head.and_then(|head| {
                        let (lead, last) = head.rsplit_once(' ')?;
                        let column = column(last.trim_matches('"'))?;
                        Some(format!("{lead} {} of table ", quoted(&column)))
                    });
                    (named.unwrap_or_else(|| before.to_owned()), quoted(&table))
                }
            }
        }
    };
    Some(format!("{before}{instead}{after}"))
}

/// The first name of an internal object in a text: qualified, quoted by itself, or that of an index of a stream table.
fn part_in(text: &str) -> Option<Part<'_>> {
    let is_inside = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts = [STATE_SCHEMA, CHANGES_SCHEMA]
        .into_iter()
        .flat_map(|schema| {
            let found = text.match_indices(schema);
            found.filter_map(move |(at, _)| {
                let dot = at + schema.len();
                (text.get(dot..=dot) == Some(".")).then_some((at, dot + 1))
            })
        });
    let quotes = (text.match_indices('"')).map(|(at, quote)| (at, at + quote.len()));
    let words = ["pgt_key_", "pgt_partition_"]
        .into_iter()
        .flat_map(|stem| (text.match_indices(stem)).map(|(at, _)| (at, at)));
    starts.chain(quotes).chain(words).find_map(|(from, start)| {
        let rest = text.get(start..)?;
        let length = rest.find(|c| !is_inside(c)).unwrap_or(rest.len());
        let owner = owner_of(rest.get(..length)?)?;
        let mut to = start + length;
        let mut column = None;
        if text.get(from..=from) == Some("\"") {
            let inner = text.get(to..)?;
            let end = inner.find('"')?;
            column = inner.get(..end)?.strip_prefix('.');
            to += end + 1;
        }
        Some(Part {
            from,
            to,
            column,
            owner,
        })
    })
}

/// Whose part has this name.
fn owner_of(name: &str) -> Option<Owner> {
    let id = |stem: &str| name.strip_prefix(stem)?.parse().ok();
    let of_state = || name.strip_prefix("st_")?.split_once('_')?.0.parse().ok();
    let table = id("view_")
        .or_else(of_state)
        .or_else(|| id("pgt_key_"))
        .or_else(|| id("pgt_partition_"));
    let source = || {
        let oid = (name.strip_prefix("changes_")).or_else(|| name.strip_prefix("capture_"))?;
        oid.parse().ok().map(Owner::Source)
    };
    table.map(Owner::StreamTable).or_else(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(text: &str) -> Option<(&str, Option<&str>, Owner)> {
        let part = part_in(text)?;
        Some((text.get(part.from..part.to)?, part.column, part.owner))
    }

    #[test]
    fn names_of_parts_are_found_in_lists_and_in_quotes() {
        let table = Owner::StreamTable(3);
        let source = Owner::Source(16_400);
        for (text, found) in [
            (
                "owner of view pgtrickle_state.view_3",
                ("pgtrickle_state.view_3", None, table),
            ),
            (
                "column c1 of table pgtrickle_state.st_3_n0 depends on type mood",
                ("pgtrickle_state.st_3_n0", None, table),
            ),
            (
                "index pgt_key_3 depends on operator class c_ops",
                ("pgt_key_3", None, table),
            ),
            (
                "column a2 of table pgtrickle_changes.changes_16400 depends on type c",
                ("pgtrickle_changes.changes_16400", None, source),
            ),
            (
                "cannot alter type \"c\" because column \"changes_16400.a2\" uses it",
                ("\"changes_16400.a2\"", Some("a2"), source),
            ),
            (
                "column \"a2\" of table \"changes_16400\" contains null values",
                ("\"changes_16400\"", None, source),
            ),
        ] {
            assert_eq!(part(text), Some(found), "{text}");
        }
        for text in [
            "table g depends on type mood",
            "owner of table pgtrickle_state_of_mine",
            "view view_3 depends on type mood",
            "cannot drop \"viewers\"",
        ] {
            assert_eq!(part(text), None, "{text}");
        }
    }

    #[test]
    fn an_object_is_not_taken_for_one_with_a_longer_name() {
        assert!(mentions(
            "column c of table t depends on type mood",
            "table t"
        ));
        assert!(!mentions(
            "column c of table t2 depends on type mood",
            "table t"
        ));
        assert!(!mentions(
            "column c of table t.x depends on type mood",
            "table t"
        ));
    }
}
