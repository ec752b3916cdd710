//! What `explain_st` shows: the plan, its keys and state, and the statements that a change runs.

use std::collections::BTreeSet;

use pgtrickle_dvm::operators::Links;
use pgtrickle_dvm::operators::script::script;
use pgtrickle_dvm::plan::Source;
use pgtrickle_dvm::sql::{image_table, state_table};

use crate::catalog::{self, RefreshMode};
use crate::error::{Error, Result};
use crate::parse;
use crate::pg::{comment, depend, name};

use super::compiled::{Compiled, has_table};
use super::plan_cache::{self, Outcome};

/// One line of an explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainLine {
    /// What the line is about.
    pub section: &'static str,
    /// Which one of them.
    pub item: String,
    /// The text.
    pub detail: String,
}

/// Explains how a stream table is maintained.
pub fn explain(pgt_id: i64) -> Result<Vec<ExplainLine>> {
    let table = catalog::load(pgt_id)?.ok_or(Error::Vanished)?;
    let mut lines = vec![line("mode", "requested", table.requested_mode.name())];
    lines.push(line("mode", "refresh", table.refresh_mode.name()));
    if let (Some(code), Some(reason)) = (&table.mode_code, &table.mode_reason) {
        lines.push(line("mode", code, reason));
    }
    let outcome = match table.refresh_mode {
        RefreshMode::Full => None,
        _ if table.is_spread() => None,
        _ => Some(plan_cache::get(&table)?),
    };
    let read = match &outcome {
        Some(Outcome::Compiled(compiled)) => compiled.settings_read.clone(),
        Some(Outcome::Unsupported(_)) | None => {
            let owner = depend::owner_of(table.relid).ok_or(Error::Vanished)?;
            parse::analyse_view(table.view, owner, &table.settings)?.settings
        }
    };
    for (name, value) in table.settings.values() {
        lines.push(line("setting", name, &value));
        if read.contains(name) {
            lines.push(line("depends on setting", name, &value));
        }
    }
    // The comment of the view says what settles ties, `construct: columns` a line.
    let ties = comment::on_relation(table.view).unwrap_or_default();
    for (construct, by) in ties.lines().filter_map(|tie| tie.split_once(": ")) {
        lines.push(line("ties", construct, by));
    }
    match outcome {
        Some(Outcome::Unsupported(obstacles)) => {
            for obstacle in obstacles {
                lines.push(line("obstacle", &obstacle.code, &obstacle.reason));
            }
        }
        Some(Outcome::Compiled(compiled)) => explain_plan(&compiled, &mut lines),
        None => {}
    }
    Ok(lines)
}

fn explain_plan(compiled: &Compiled, lines: &mut Vec<ExplainLine>) {
    let context = compiled.context();
    for text in compiled.plan.to_string().lines() {
        lines.push(line("plan", "", text));
    }
    for image in &compiled.plan.images {
        lines.push(line(
            "state table",
            &format!(
                "{} {}",
                if image.is_bound { "bound" } else { "image" },
                image.id
            ),
            &image_table(context.state_prefix, image.id),
        ));
    }
    for node in compiled.plan.nodes.iter().filter(|n| has_table(n)) {
        lines.push(line(
            "state table",
            &format!("node {}", node.id),
            &state_table(context.state_prefix, node.id),
        ));
    }
    for missing in compiled.plan.missing_indexes() {
        lines.push(line(
            "missing index",
            &missing.relation,
            &format!("{} ({})", missing.column, missing.purpose),
        ));
    }
    for table in &compiled.tables {
        let relation = name::qualified_name(table.oid).unwrap_or_default();
        let changed = Source::Table(table.oid.to_u32());
        statements(compiled, changed, &format!("{relation} changed"), lines);
    }
    for image in compiled.plan.images.iter().filter(|i| i.opaque.polled) {
        let what = match image.is_bound {
            true => format!("bound {} moved", image.id),
            false => format!("image {} changed", image.id),
        };
        statements(compiled, Source::Image(image.id), &what, lines);
    }
}

/// The statements that run when something changes, and what follows from it.
fn statements(compiled: &Compiled, changed: Source, event: &str, lines: &mut Vec<ExplainLine>) {
    let mut changed = BTreeSet::from([changed]);
    for stage in script(&compiled.plan) {
        if !stage.is_due(&changed) {
            continue;
        }
        let of = match stage.makes() {
            Some(Source::Image(id)) => format!("image {id}"),
            Some(Source::Node(id)) => format!("node {id}"),
            Some(Source::Table(_)) | None => "the output".to_owned(),
        };
        let context = compiled.context();
        let hashed = stage.statements(context.linking(Links::Hashed), &changed);
        let sought = stage.statements(context, &changed);
        for ((name, sql), (_, hashed)) in sought.into_iter().zip(hashed) {
            let item = format!("{name} of {of}, {event}");
            lines.push(line("statement", &item, &sql));
            if hashed != sql {
                let item = format!("{item}, over many rows if cheaper");
                lines.push(line("statement", &item, &hashed));
            }
        }
        changed.extend(stage.makes());
    }
}

fn line(section: &'static str, item: &str, detail: &str) -> ExplainLine {
    ExplainLine {
        section,
        item: item.to_owned(),
        detail: detail.to_owned(),
    }
}
