//! What the tests of the rules share: the statements of a query, as a test shows them.

use crate::plan::{Plan, Source, compile};
use crate::tree::Relation;

use super::links::Links;
use super::output;
use super::statement::Context;

/// Joins of up to this many scans are expanded inline, unless a test says otherwise.
const INLINE_LIMIT: usize = 5;

/// What the statements of a plan are made from; node `n` keeps its state in `st_n`.
pub(super) fn context(plan: &Plan) -> Context<'_> {
    Context {
        plan,
        state_prefix: "st_",
        inline_limit: INLINE_LIMIT,
        links: Links::Sought,
    }
}

/// The delta of a query when these sources changed.
pub(super) fn delta(relation: Relation, changed: &[Source]) -> String {
    delta_within(relation, changed, INLINE_LIMIT)
}

/// The same with another limit: the steps, each with its name, then the terms.
pub(super) fn delta_within(relation: Relation, changed: &[Source], inline_limit: usize) -> String {
    let plan = compile(relation).expect("supported");
    let context = Context {
        inline_limit,
        ..context(&plan)
    };
    let delta = output::delta(context, &changed.iter().copied().collect());
    let steps = delta.steps.iter();
    let steps = steps.map(|step| format!("{}:\n{}\n\n", step.name, step.sql));
    steps.collect::<String>() + &delta.terms.unwrap_or_else(|| "nothing".into())
}
