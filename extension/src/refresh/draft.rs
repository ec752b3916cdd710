//! The plan of a view before its stream table exists: made once, when the refresh mode is decided.

use std::collections::BTreeSet;

use pgrx::pg_sys;
use pgtrickle_dvm::plan::{self, Plan};

use crate::error::Obstacle;
use crate::parse::Analysis;

use super::engine_obstacle::engine_obstacle;

/// A plan, and what it depends on.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The plan.
    pub(super) plan: Plan,
    /// Whether the query has subqueries that depend on the row around them.
    pub(super) is_dependent: bool,
    /// Whether text may say what the clock decides.
    pub(super) may_meet_clock_words: bool,
    /// Types whose definition is in printed values, with that definition.
    pub(super) definitions: BTreeSet<String>,
    /// The settings that the result depends on.
    pub(super) settings_read: BTreeSet<&'static str>,
    /// Every relation whose change can make it out of date.
    pub(super) relations: Vec<pg_sys::Oid>,
    /// Whether shards of this node stand for tables of Citus.
    pub(super) reads_shards: bool,
    /// The query to be read for the content, where the plan is that of the second of two steps.
    pub(super) rest: Option<String>,
    /// When it was analysed.
    pub(super) generation: u64,
}

impl Draft {
    /// The plan of the analysed tree, which is taken, or why the engine has none; `None` if there is no tree. `generation`
    /// is that of the server's notices before the analysis.
    pub fn of(analysis: &mut Analysis, generation: u64) -> Option<Result<Self, Obstacle>> {
        let tree = analysis.relation.take()?;
        let is_dependent = tree.has_dependent();
        let draft = plan::compile(tree).map(|plan| Draft {
            plan,
            is_dependent,
            may_meet_clock_words: analysis.may_meet_clock_words,
            definitions: analysis.definitions.clone(),
            settings_read: analysis.settings.clone(),
            relations: analysis.relations.clone(),
            reads_shards: !analysis.spread.replaced.is_empty(),
            rest: None,
            generation,
        });
        Some(draft.map_err(|error| engine_obstacle(&error)))
    }

    /// Whether the content can change although no source does.
    pub fn is_polled(&self) -> bool {
        self.plan.is_polled()
    }
}
