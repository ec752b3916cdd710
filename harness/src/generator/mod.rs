//! Made-up schemas, queries and changes, biased to what kills incremental maintenance.
//!
//! A [`Case`] is a tree of small numbers: every choice is an index that is taken modulo what there
//! is to choose from when the case is printed as SQL. So each part shrinks on its own, index 0
//! being the simplest choice, and never makes another part invalid.
//!
//! **Invariant:** the query's result is a function of the sources' contents. Where SQL leaves a
//! choice (which of `1.0` and `1.00` represents a group, the order inside `array_agg`), the
//! generator takes it away.

mod batch;
mod case;
mod distribution;
mod dml;
mod expr;
mod finding;
mod names;
mod on_nodes;
mod query;
mod reading;
mod report;
mod run;
mod schema;
mod scoped;
mod script;
mod search;
mod session_settings;
mod types;

pub use case::{Case, case};
pub use finding::{Finding, FindingKind};
pub use on_nodes::{NodesReport, number, search as search_on_nodes};
pub use report::write_report;
pub use run::Arena;
pub use script::{Act, Script};
pub use search::{Search, SearchReport};
