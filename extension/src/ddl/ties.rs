//! What settles the ties of a stream table's query: shown once, and stored as the comment of its view.

use pgrx::pg_sys;

use crate::error::Result;
use crate::parse::{self, Settled};
use crate::pg::settings::Settings;
use crate::pg::{comment, report};

/// Keeps it for `explain_st`.
pub fn keep(view: pg_sys::Oid, ties: &[(String, String)]) {
    if ties.is_empty() {
        return;
    }
    let lines: Vec<String> = (ties.iter())
        .map(|(construct, by)| format!("{construct}: {by}"))
        .collect();
    comment::set_on_relation(view, &lines.join("\n"));
}

/// The query of a text with its ties settled, what settles them, and what of that the user has to be told: nothing
/// where the query as it is written has one right answer.
pub fn settled(query: &str, settings: &Settings) -> Result<(Settled, Vec<(String, String)>)> {
    let settled = parse::settled(parse::single_select(query, settings)?);
    let is_told =
        !settled.ties.is_empty() && (settled.is_unordered || parse::has_ties(query, settings)?);
    let told = match is_told {
        true => settled.ties.clone(),
        false => Vec::new(),
    };
    Ok((settled, told))
}

/// Tells the user.
pub fn announce(name: &str, ties: &[(String, String)]) {
    if ties.is_empty() {
        return;
    }
    let lines: Vec<String> = (ties.iter())
        .map(|(construct, by)| format!("{construct}: by {by}"))
        .collect();
    report::notice(
        &format!(
            "the query of stream table \"{name}\" has several correct results, of which it holds one"
        ),
        Some(&format!(
            "Its ORDER BY continues where it ties: {}.",
            lines.join("; ")
        )),
        Some("Add columns to ORDER BY to choose another result."),
    );
}
