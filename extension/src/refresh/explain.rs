//! What `explain_st` shows: the plan, its keys and state, and the statements that a change runs.

use std::collections::BTreeSet;

use pgtrickle_dvm::operators::aggregate;
use pgtrickle_dvm::operators::{image, output, partition, reach, recursion, state};
use pgtrickle_dvm::plan::{Image, Partition, Source, Store};
use pgtrickle_dvm::sql::{image_table, state_table};
use pgtrickle_dvm::tree::Expr;

use crate::catalog::{self, RefreshMode};
use crate::error::{Error, Result};
use crate::parse;
use crate::pg::{comment, depend, name};

use super::compiled::{self, Compiled, has_table};
use super::node::emit;

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
    let table = catalog::load(pgt_id)?
        .ok_or_else(|| Error::Internal(format!("stream table {pgt_id} has no catalog row")))?;
    let mut lines = vec![line("mode", "requested", table.requested_mode.name())];
    lines.push(line("mode", "refresh", table.refresh_mode.name()));
    if let (Some(code), Some(reason)) = (&table.mode_code, &table.mode_reason) {
        lines.push(line("mode", code, reason));
    }
    let owner = depend::owner_of(table.relid).ok_or(Error::Vanished)?;
    let read = parse::analyse_view(table.view, owner, &table.settings)?.settings;
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
    if table.refresh_mode == RefreshMode::Full || table.is_spread() {
        return Ok(lines);
    }
    match compiled::get(&table)? {
        compiled::Outcome::Unsupported(obstacles) => {
            for obstacle in obstacles {
                lines.push(line("obstacle", &obstacle.code, &obstacle.reason));
            }
        }
        compiled::Outcome::Compiled(compiled) => explain_plan(&compiled, &mut lines),
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
        let oid = table.oid.to_u32();
        let relation = name::qualified_name(table.oid).unwrap_or_default();
        recursions(compiled, table.oid.to_u32(), &relation, lines);
        let images = compiled.plan.images.iter();
        let reading = images.filter(|i| i.opaque.sources.iter().any(|s| s.oid == oid));
        let mut changed = BTreeSet::new();
        for image in reading {
            content(image, &format!("{relation} changed"), lines);
            changed.insert(Source::Image(image.id));
        }
        changed.insert(Source::Table(oid));
        statements(compiled, changed, &format!("{relation} changed"), lines);
    }
    for image in compiled.plan.images.iter().filter(|i| i.opaque.polled) {
        let what = match image.is_bound {
            true => format!("bound {} moved", image.id),
            false => format!("image {} changed", image.id),
        };
        content(image, &what, lines);
        let changed = BTreeSet::from([Source::Image(image.id)]);
        statements(compiled, changed, &what, lines);
    }
}

/// The query whose result is compared with the image. A recursion that has a rule runs it only for a large change.
fn content(image: &Image, event: &str, lines: &mut Vec<ExplainLine>) {
    if image.recursion.is_none() {
        let item = format!("content of image {}, {event}", image.id);
        lines.push(line("statement", &item, &image::content(image)));
    }
}

/// The statements of the recursions over a table: what its change derives, what that derives, and what else derives
/// rows that were lost.
fn recursions(compiled: &Compiled, oid: u32, relation: &str, lines: &mut Vec<ExplainLine>) {
    let context = compiled.context();
    for image in &compiled.plan.images {
        let changed = BTreeSet::from([Source::Table(oid)]);
        let Some(rule) = &image.recursion else {
            continue;
        };
        let Some(derived) = recursion::changes(context, rule, &changed) else {
            continue;
        };
        let item = |what: &str| format!("{what} of image {}, {relation} changed", image.id);
        lines.push(line("statement", &item("derived rows"), &derived));
        let round = recursion::step(context, image, rule, &BTreeSet::new());
        lines.push(line("statement", &item("round"), &round));
        if rule.distinct {
            let again = recursion::rederive(context, rule, &[]);
            lines.push(line("statement", &item("rederived rows"), &again));
        }
    }
}

/// The statements that run when something changes, and what follows from it.
fn statements(
    compiled: &Compiled,
    mut changed: BTreeSet<Source>,
    event: &str,
    lines: &mut Vec<ExplainLine>,
) {
    let context = compiled.context();
    for node in &compiled.plan.nodes {
        if node.block.sources().is_disjoint(&changed) {
            continue;
        }
        let item = |what: &str| format!("{what} of node {}, {event}", node.id);
        let delta = state::delta(context, node, &changed);
        for step in &delta.steps {
            lines.push(line("statement", &item(&step.name), &step.sql));
        }
        if let Some(terms) = &delta.terms {
            lines.push(line("statement", &item("delta"), terms));
        }
        let columns: Vec<Expr> = node.columns().iter().map(Expr::of).collect();
        let emit = emit(compiled, node, &columns);
        if let Some(Partition::Window {
            calls,
            order: Some(order),
        }) = node.partition()
        {
            for (what, sql) in [
                ("reach", reach::regions(context, node, order, calls)),
                ("stored rows", reach::stored(context, node, order)),
                ("rows around", reach::rows(context, node, order)),
                ("results", reach::results(node, order, calls)),
            ] {
                lines.push(line("statement", &item(what), &sql));
            }
            changed.insert(Source::Node(node.id));
            continue;
        }
        if let Some(rule) = node.partition() {
            let sql = partition::recompute(context, node, rule, &emit, &[]);
            lines.push(line("statement", &item("recomputation"), &sql));
            changed.insert(Source::Node(node.id));
            continue;
        }
        if node.keeps_rows() {
            changed.insert(Source::Node(node.id));
            continue;
        }
        if !matches!(node.store, Store::None) {
            let combine = aggregate::combine(node, &emit);
            lines.push(line("statement", &item("combine"), &combine));
        }
        if node.may_recompute() {
            lines.push(line(
                "statement",
                &item("recomputation"),
                &aggregate::recompute(context, node, &emit, &[]),
            ));
        }
        changed.insert(Source::Node(node.id));
    }
    let delta = output::delta(context, &changed);
    for step in &delta.steps {
        lines.push(line("statement", &step.name, &step.sql));
    }
    if let Some(terms) = &delta.terms {
        lines.push(line(
            "statement",
            &format!("delta of the output, {event}"),
            terms,
        ));
    }
}

fn line(section: &'static str, item: &str, detail: &str) -> ExplainLine {
    ExplainLine {
        section,
        item: item.to_owned(),
        detail: detail.to_owned(),
    }
}
