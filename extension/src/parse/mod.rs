//! From PostgreSQL's analysed query to the operator tree: the only room that knows parse nodes.
//!
//! The server has already parsed the text, resolved names, chosen operators and made coercions
//! explicit. Here each query level becomes a
//! [`Relation`](pgtrickle_dvm::tree::Relation), and every construct that cannot be maintained is
//! collected with its row of the [capability table](crate::capability). The analysis changes nothing in the
//! database and keeps nothing between calls.
//!
//! The types: [`analysis`] is the result, [`analyzer`] the state, [`scope`] a level with its [`input`]s,
//! [`derived`] a level as its reader sees it, [`group_columns`], [`display_scale`], [`spread`]. The readers of constructs:
//!
//! - [`level`]: one SELECT; [`set_operation`]: UNION, INTERSECT, EXCEPT; [`range`]: range table;
//!   [`from`] and [`join`]: FROM; [`computed`]: functions and VALUES in it; [`grouping`], [`grouping_sets`] and [`aggregate`]: GROUP BY and
//!   aggregates; [`window`], [`windows`], [`frame`] and [`window_functions`]: windows; [`order`]: ORDER BY with LIMIT or DISTINCT ON; [`settle`]: its ties, with [`input_order`].
//! - [`stage`]: where expressions stand; [`sublink`]: subqueries in them.
//! - [`bind`]: columns become parameters; [`implied`]: operators that printing would not name;
//!   [`expression`]: printing, conjuncts, equalities; [`collation`]: explicit ones.
//! - [`clock_words`], [`clock_documents`]: text that may say `now`; [`json_value`]: a bug of some servers.
//! - [`facts`], [`nullable`], [`scale`], [`volatility`]: what is known about types and values.
//! - [`opaque`]: subqueries computed whole; [`bounds`], [`clock`], [`clock_conditions`], [`clock_forms`]: what follows the clock.
//! - [`sources`]: every relation that a query names, supported or not; [`row_security`]: their hidden rows; [`place`]: the shards that replace Citus tables.

mod aggregate;
mod analysis;
mod analyzer;
mod bind;
mod bounds;
mod call_reads;
mod clock;
mod clock_conditions;
mod clock_documents;
mod clock_forms;
mod clock_words;
mod collation;
mod computed;
mod counted;
mod derived;
mod describe;
mod display_scale;
mod expression;
mod facts;
mod frame;
mod from;
mod group_columns;
mod grouping;
mod grouping_sets;
mod implied;
mod input;
mod input_order;
mod join;
mod json_value;
mod level;
mod limit;
mod nullable;
mod opaque;
mod order;
mod place;
mod range;
mod reach;
mod recursion;
mod row_security;
mod scale;
mod scope;
mod set_operation;
mod settle;
mod sources;
mod spread;
mod stage;
mod sublink;
mod tested_input;
mod volatility;
mod window;
mod window_functions;
mod windows;

pub use analysis::{Analysis, Construct, OutputColumn, SourceTable, Unsupported};
pub use describe::describe;
pub use place::{text_as_maintained, text_of, text_on_this_node, text_over_tables};
pub use settle::{Settled, settled};
pub use spread::Place;

use pgrx::pg_sys;
use pgtrickle_dvm::plan;

use crate::capability::TIES;
use crate::error::{Error, Result};
use crate::pg::deparse::PrintSettings;
use crate::pg::inner_query::located;
use crate::pg::node::{self, Node, NodeOf};
use crate::pg::query;
use crate::pg::settings::{Level, Settings};
use crate::pg::table::TableFacts;
use crate::pg::user::{self, OwnerContext};

/// Analyses the query of a stored view, as it will run with the rights of `owner` and under these settings: also
/// here, since what is constant in it is computed.
pub fn analyse_view(
    view: pg_sys::Oid,
    owner: pg_sys::Oid,
    settings: &Settings,
) -> Result<Analysis> {
    analyse_at(view, owner, settings, Place::ThisNode)
}

/// The same of a query that is to be maintained at this place: over shards, the tree reads tables of Citus as if they were
/// ordinary ones; in two steps, distributed tables only, and for others this node's shards.
pub fn analyse_at(
    view: pg_sys::Oid,
    owner: pg_sys::Oid,
    settings: &Settings,
    place: Place,
) -> Result<Analysis> {
    let _owner = OwnerContext::enter(owner, settings)?;
    let query = query::of_view(view)?;
    let mut analysis = analyse(query, owner, place)?;
    if let Some(facts) = TableFacts::load(view) {
        for (column, attribute) in analysis.columns.iter_mut().zip(&facts.attributes) {
            column.name.clone_from(&attribute.name);
        }
    }
    Ok(analysis)
}

/// The same as [`analyse_at`], of a text.
pub fn analyse_query_at(text: &str, place: Place) -> Result<Analysis> {
    let query = single_select(text, &Settings::of_session())?;
    analyse(query, user::current(), place)
}

/// Analyses the text of a query with the rights of the current user. It must be one SELECT.
pub fn analyse_query(text: &str) -> Result<Analysis> {
    let settings = Settings::of_session();
    let settled = settled(single_select(text, &settings)?);
    let query = node::copy_query(settled.query);
    let mut analysis = analyse(query, user::current(), Place::ThisNode)?;
    if !settled.ties.is_empty() && (settled.is_unordered || has_ties(text, &settings)?) {
        let ties = settled.ties.into_iter().map(|(construct, by)| Construct {
            capability: &TIES,
            construct: format!("{construct}, by {by}"),
        });
        analysis.constructs.extend(ties);
    }
    Ok(analysis)
}

/// The analysed query of a text read under these settings, which must be one SELECT (or VALUES or TABLE) that
/// only reads.
pub fn single_select(text: &str, settings: &Settings) -> Result<NodeOf<pg_sys::Query>> {
    let _level = Level::for_reading(settings)?;
    let bad = |fact: &str| Err(Error::BadQuery(fact.to_owned()));
    let statements = located(text, || query::parse(text))?;
    let raw = match statements.as_slice() {
        &[raw] => raw,
        [] => return bad("The text is empty."),
        several => return bad(&format!("The text has {} statements.", several.len())),
    };
    let select: Option<NodeOf<pg_sys::SelectStmt>> = Node::new(raw.stmt).and_then(Node::cast);
    if select.is_none() {
        return bad("The statement is not a SELECT.");
    }
    let query = located(text, || query::analyse(raw, text))?;
    if query.commandType != pg_sys::CmdType::CMD_SELECT {
        return bad("SELECT INTO creates a table.");
    }
    if query.hasModifyingCTE {
        return bad("A WITH clause changes data.");
    }
    if node::list_length(query.rowMarks) > 0 {
        return bad("A locking clause changes rows.");
    }
    Ok(query)
}

/// Whether the query of a text depends on the order of rows that it does not tell apart; true when in doubt.
pub fn has_ties(text: &str, settings: &Settings) -> Result<bool> {
    let query = single_select(text, settings)?;
    let relation = analyse(query, user::current(), Place::ThisNode)?.relation;
    Ok(relation.is_none_or(|relation| plan::compile(relation).is_err()))
}

fn analyse(query: NodeOf<pg_sys::Query>, owner: pg_sys::Oid, place: Place) -> Result<Analysis> {
    let analyzer = analyzer::Analyzer::new(owner, place);
    let _settings = PrintSettings::pin();
    analyzer.run(query)
}
